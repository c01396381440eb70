"""All DICOM objects of a case, written whole or not at all."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pydicom.dataset import Dataset

from lungscore.errors import InputError, UsageError
from lungscore.guard import reported
from lungscore.pacs.fhir import FHIR, fhir_bytes
from lungscore.pacs.objects import Stamp, quiet_libraries, stamp_of
from lungscore.pacs.pictures import key_images, report_document, secondary_captures
from lungscore.pacs.segmentation import label_sets, segmentation
from lungscore.pacs.source import check_library
from lungscore.pacs.stored_masks import Stored, read_stored_case
from lungscore.pacs.structured_report import structured_report
from lungscore.report.case_folder import OBJECTS, REVIEWS, appearing, refuse_folder
from lungscore.scan.dicom.elements import text
from lungscore.scan.dicom.header import parse, quiet_pydicom
from lungscore.scan.names import safe_name

#: Files of a folder of objects, beside a mask for each kind of label.
MEASUREMENTS, DOCUMENT, PICTURES = "measurements.dcm", "report.dcm", "picture-{:02d}.dcm"


@dataclass(frozen=True)
class ObjectSettings:
    """Which objects are written.

    regions: also the 20 regions as segments. etiology: a key of codes.ETIOLOGIES, stated by the
    user. fhir: also a FHIR Bundle that refers to the study. verified_for: the organisation for
    which the reader of a review verifies the report.
    """

    regions: bool = False
    etiology: str | None = None
    fhir: bool = False
    verified_for: str | None = None


class Written(NamedTuple):
    """What was written. faults: what the source itself violates, in words, without values."""

    folder: Path
    files: tuple[str, ...]
    faults: tuple[str, ...]


def folder_name(case: Path) -> str:
    """What a folder of the objects of ``case`` is called where those of several cases lie.

    A saved review lies in a folder of its reader's name, which those of other cases have too.
    """
    case = Path(os.path.abspath(case))
    of_review = case.parent.name == REVIEWS
    return safe_name(f"{case.parents[1].name}-{case.name}" if of_review else case.name)


def write_objects(
    case: Path,
    source: Path,
    folder: Path,
    *,
    settings: ObjectSettings = ObjectSettings(),
    moment: datetime | None = None,
    overwrite: bool = False,
) -> Written:
    """Write the DICOM objects of a case into ``folder``, which appears when all are written.

    Parameters
    ----------
    case : path
        Case folder written by ``analyze`` or ``score``.
    source : path
        Folder, file or zip of the DICOM series that was analysed.
    folder : path
        Folder to write, one file for each object.
    settings : ObjectSettings
        Which objects are written.
    moment : datetime, optional
        Date and time that the objects state; now by default. Nothing else differs between two runs.
    overwrite : bool
        Replace a folder of objects of the same study.

    Returns
    -------
    Written
        The folder, the names of its files and what the source violates.

    Raises
    ------
    InputError
        ``source-not-dicom``, ``source-missing``, ``source-changed``, ``source-unusable``,
        ``case-incomplete``, ``case-damaged``, ``mask-geometry`` and whatever reading raises.
    UsageError
        ``output-exists``, also where objects of another study would be replaced.
    ResourceError
        ``output-not-writable`` or ``disk-full``.
    """
    check_library()
    refuse_folder(folder, known=OBJECTS, overwrite=overwrite)
    stored = read_stored_case(case, source)
    _refuse_other_study(folder, str(stored.source.first.StudyInstanceUID))
    options = [settings.etiology or ""]
    if settings.verified_for is not None:
        options.append(f"verified for {settings.verified_for}")
    stamp = stamp_of(stored.content, moment or datetime.now(), *options)
    names = []
    with appearing(folder, overwrite=overwrite) as staging, quiet_libraries():
        for name, instance in _guarded(objects(stored, stamp, settings), source.name):
            instance.save_as(staging / name, enforce_file_format=True)
            names.append(name)
        if settings.fhir:
            study = str(stored.source.first.StudyInstanceUID)
            bundle = fhir_bytes(stored.result, study_uid=study, etiology=settings.etiology)
            (staging / FHIR).write_bytes(bundle)
            names.append(FHIR)
    return Written(folder, tuple(names), stored.source.faults)


def _refuse_other_study(folder: Path, study: str) -> None:
    """Raise ``output-exists`` where ``folder`` holds objects of another study than ``study``."""
    for path in sorted(folder.glob("*.dcm")):
        try:
            with quiet_pydicom():
                dataset = parse(path, ["StudyInstanceUID"], with_pixels=False)
        except InputError:  # a damaged object is of no study
            continue
        if text(dataset, "StudyInstanceUID") not in ("", study):
            raise UsageError(
                "output-exists",
                f"{folder.name} in the output folder contains objects of another study",
                hint="Choose another folder with -o, or move the objects away first",
            )


def _guarded(built: Iterator[tuple[str, Dataset]], source: str) -> Iterator[tuple[str, Dataset]]:
    """``built``; what nobody foresaw in the header of ``source`` is a rejection."""
    while True:
        with reported(source):
            entry = next(built, None)
        if entry is None:
            return
        yield entry


def objects(
    stored: Stored, stamp: Stamp, settings: ObjectSettings
) -> Iterator[tuple[str, Dataset]]:
    """File name and content of every object of a case."""
    result, source, etiology = stored.result, stored.source, settings.etiology
    sets = label_sets(stored.masks, result, regions=settings.regions)
    segmentations = {}
    for kind, mask in sets.items():
        instance = segmentation(kind, mask, source, result, stamp, etiology=etiology)
        if instance is not None:
            segmentations[kind] = instance
            yield f"{kind}.dcm", instance
    report = structured_report(
        result,
        source,
        segmentations,
        stamp,
        etiology=etiology,
        verified_for=settings.verified_for,
    )
    yield MEASUREMENTS, report
    images = key_images(stored.masks, source)
    yield DOCUMENT, report_document(stored.folder, result, images, source, stamp)
    captures = secondary_captures(images, result, source, stamp)
    for number, capture in enumerate(captures, start=1):
        yield PICTURES.format(number), capture
