"""What one DICOM file says about its image, without its pixels and without its patient's name."""

import hashlib
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lungscore.errors import InputError
from lungscore.scan.bounded_file import BoundedFile
from lungscore.scan.dicom.elements import Unreadable, integer, numbers, text, texts
from lungscore.scan.limits import MAX_DEFLATED_BYTES

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DICOMDIR = "1.2.840.10008.1.3.10"
DEFLATED = b"1.2.840.10008.1.2.1.99"

#: Syntaxes that always lose something: JPEG baseline and extended, JPEG-LS near-lossless.
LOSSY_SYNTAXES = {
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.81",
}

#: The only modality texts that are ever shown; any other is called "unknown".
MODALITIES = set(
    "CT MR PT NM US CR DX DR MG XA RF OT SC SR SEG PR KO RTSTRUCT RTDOSE RTPLAN REG DOC".split()
)

#: Modalities of files that are about images and hold none themselves.
NOT_SLICES = {"SR", "SEG", "PR", "KO", "RTSTRUCT", "RTDOSE", "RTPLAN", "REG", "DOC"}

#: What people write into the contrast field when there was none.
NO_CONTRAST = {"", "NO", "NONE", "N", "0", "WITHOUT", "OHNE", "NON", "NIL", "NO CONTRAST"}

#: Elements of the geometry, and how many numbers each holds.
GEOMETRY = {
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
    "PixelSpacing": 2,
    "SliceThickness": 1,
    "SpacingBetweenSlices": 1,
}

#: What an image shows if not a single slice: values of ImageType and the like.
PROJECTIONS = {"MIP", "MINIP", "MNIP", "MAXIP", "PROJECTION", "PROJECTIONIMAGE", "RAYSUM", "VRT"}
AVERAGES = {"AVERAGE", "AVERAGEIP", "AVG", "AVE", "MEAN", "MEANIP"}
#: The same in a SeriesDescription, which people write: less is certain by it.
DESCRIBED = {"MIP", "MINIP", "MNIP", "MAXIP", "RAYSUM", "AVERAGE", "AVERAGEIP", "AVG", "AIP"}

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "Modality",
    "ImageType",
    "VolumetricProperties",
    "VolumeBasedCalculationTechnique",
    "SeriesNumber",
    "SeriesDescription",
    "ConvolutionKernel",
    "AcquisitionNumber",
    "AcquisitionTime",
    "AcquisitionDateTime",
    *GEOMETRY,
    "ContrastBolusAgent",
    "LossyImageCompression",
    "NumberOfFrames",
    "SamplesPerPixel",
    "Rows",
    "Columns",
]


@dataclass(frozen=True)
class Header:
    """One image. Lengths in mm, directions and positions in DICOM's own LPS+ sense.

    orientation: direction of increasing column index, then of increasing row index.
    pixel_spacing: between rows, between columns. unreadable: keywords of geometry that is there but
    cannot be read. projection, averaged: whether the image is one of several slices or phases.
    described: whether the description of the series alone says so.
    acquisition, acquired_s: number and seconds of the day. recipe: what images of one series have
    in common. patient, person and study only tell patients apart.
    name: what messages call the file: its own name may be the patient's.
    """

    path: Path
    name: str
    sop_class: str
    sop_uid: str
    series_uid: str
    modality: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    frames: int
    samples: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None
    spacing_between: float | None
    syntax: str
    contrast: bool
    lossy: bool
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    projection: bool
    averaged: bool
    described: bool
    acquisition: str
    acquired_s: float | None
    frame: str
    recipe: tuple = field(repr=False)
    patient: str = field(repr=False)
    person: str = field(repr=False)
    study: str = field(repr=False)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from quoting values, names among them, in warnings."""
    from pydicom import config

    mode = config.settings.reading_validation_mode
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config.settings.reading_validation_mode = config.IGNORE
            yield
    finally:
        config.settings.reading_validation_mode = mode


def parse(path: Path, tags: list[str], *, with_pixels: bool, name: str | None = None) -> Any:
    """The pydicom dataset of ``path`` with ``tags`` only; call it within ``quiet_pydicom``.

    name: what messages call it; by default its own name.
    Raises InputError ``dicom-unreadable`` for whatever goes wrong in the parser, nesting without
    end included, and ``archive-unsafe`` for a deflated file that grows without measure.
    """
    import pydicom

    name = path.name if name is None else name
    try:
        with open(path, "rb") as opened:
            file = BoundedFile(opened, path.stat().st_size)
            _check_deflated(name, file)
            return pydicom.dcmread(
                file,  # type: ignore[arg-type]
                force=True,
                stop_before_pixels=not with_pixels,
                specific_tags=list(tags),
            )
    except (InputError, FileNotFoundError):
        raise
    except Exception as error:  # a parser fed by strangers may fail in any way
        raise InputError(
            "dicom-unreadable",
            f"{name} cannot be parsed ({type(error).__name__})",
            hint="Copy the file again from its source",
        ) from error


def read_header(path: Path, name: str | None = None) -> Header | None:
    """The header of an image; None for a DICOM file that is none (a DICOMDIR, a report).

    name: what messages call the file; by default its own name.
    Raises InputError ``dicom-unreadable`` or ``dicom-truncated``.
    """
    with quiet_pydicom():
        name = path.name if name is None else name
        return _header(path, parse(path, TAGS, with_pixels=False, name=name), name)


def _header(path: Path, dataset: Any, name: str) -> Header | None:
    meta = getattr(dataset, "file_meta", None) or {}
    stored_class = text(meta, "MediaStorageSOPClassUID")
    sop_class = text(dataset, "SOPClassUID") or stored_class
    if DICOMDIR in (sop_class, stored_class):
        return None
    modality = text(dataset, "Modality").upper()
    rows, columns = integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)
    if rows < 1 or columns < 1:
        # The class in the data set may itself be cut off: that of the meta header came before it.
        is_cut_off = stored_class == CT_IMAGE and CT_IMAGE.startswith(sop_class)
        if sop_class == CT_IMAGE or is_cut_off or (not sop_class and modality == "CT"):
            raise InputError("dicom-truncated", f"{name} ends before its image begins")
        if not sop_class and not modality:
            raise InputError("dicom-unreadable", f"{name} contains no readable DICOM element")
    syntax = text(meta, "TransferSyntaxUID")
    missing = [] if meta else ["file meta information"]
    missing += [] if syntax else ["TransferSyntaxUID"]
    is_ct = sop_class in (CT_IMAGE, *ENHANCED_CT)
    missing += [] if modality or not is_ct else ["Modality"]
    if not modality and is_ct:
        modality = "CT"
    values, unreadable = _geometry(dataset)
    image_type = tuple(texts(dataset, "ImageType"))
    kinds = _kinds(dataset, image_type)
    return Header(
        path=path,
        name=name,
        sop_class=sop_class,
        sop_uid=text(dataset, "SOPInstanceUID"),
        series_uid=_shown_uid(text(dataset, "SeriesInstanceUID")),
        modality=modality if modality in MODALITIES else "unknown",
        image_type=image_type,
        rows=rows,
        columns=columns,
        frames=integer(dataset, "NumberOfFrames", 1),
        samples=integer(dataset, "SamplesPerPixel", 1),
        position=values["ImagePositionPatient"],
        orientation=values["ImageOrientationPatient"],
        pixel_spacing=values["PixelSpacing"],
        thickness=_length(values["SliceThickness"]),
        spacing_between=_length(values["SpacingBetweenSlices"]),
        syntax=syntax,
        contrast=text(dataset, "ContrastBolusAgent").upper() not in NO_CONTRAST,
        lossy=text(dataset, "LossyImageCompression") == "01" or syntax in LOSSY_SYNTAXES,
        missing=tuple(missing),
        unreadable=unreadable,
        projection=bool(kinds & PROJECTIONS),
        averaged=bool(kinds & AVERAGES),
        described=not DESCRIBED.isdisjoint(
            re.split(r"[^A-Z0-9]+", text(dataset, "SeriesDescription").upper())
        ),
        acquisition=text(dataset, "AcquisitionNumber"),
        acquired_s=_acquired(dataset),
        frame=text(dataset, "FrameOfReferenceUID"),
        recipe=(
            image_type,
            text(dataset, "SeriesNumber"),
            text(dataset, "SeriesDescription"),
            text(dataset, "ConvolutionKernel"),
        ),
        patient=text(dataset, "PatientID"),
        person=_person(dataset),
        study=text(dataset, "StudyInstanceUID"),
    )


def _kinds(dataset: Any, image_type: tuple[str, ...]) -> set[str]:
    """The words that say what kind of image this is, without blanks and marks."""
    values = [*image_type[2:]]
    for keyword in ("VolumetricProperties", "VolumeBasedCalculationTechnique"):
        values += texts(dataset, keyword)
    kinds = {re.sub(r"[^A-Z0-9]", "", value) for value in values}
    return kinds.union(*(re.split(r"[^A-Z0-9]+", value) for value in values))


def _person(dataset: Any) -> str:
    """Name, birth date and sex in one form, to see whether two images are of one person."""
    name = re.sub(r"[\W_]+", " ", text(dataset, "PatientName").casefold()).strip()
    return "|".join((name, text(dataset, "PatientBirthDate"), text(dataset, "PatientSex")))


def _check_deflated(name: str, file: BoundedFile) -> None:
    """A deflated file is inflated whole by the parser: see first that it stays small."""
    head = file.read(1024)
    file.seek(0)
    if DEFLATED not in head or head[128:132] != b"DICM":
        return
    from pydicom.filereader import read_dataset

    file.seek(132)
    # The meta elements are never deflated: what follows them is.
    read_dataset(file, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)  # type: ignore[arg-type]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    for block in iter(lambda: file.read(2**16), b""):
        while block and size <= MAX_DEFLATED_BYTES:
            size += len(inflater.decompress(block, 2**20))
            block = inflater.unconsumed_tail
    file.seek(0)
    if size > MAX_DEFLATED_BYTES:
        raise InputError(
            "archive-unsafe",
            f"{name} grows beyond {MAX_DEFLATED_BYTES} bytes",
            hint="Export the series without deflate",
        )


def _geometry(dataset: Any) -> tuple[dict[str, tuple[float, ...] | None], tuple[str, ...]]:
    """The numbers of GEOMETRY, and the keywords of those that are there but cannot be read."""
    values: dict[str, tuple[float, ...] | None] = {}
    unreadable = []
    for keyword, count in GEOMETRY.items():
        try:
            values[keyword] = numbers(dataset, keyword, count)
        except Unreadable:
            values[keyword] = None
            unreadable.append(keyword)
    return values, tuple(unreadable)


def _length(values: tuple[float, ...] | None) -> float | None:
    return values[0] if values and values[0] > 0 else None


def _acquired(dataset: Any) -> float | None:
    """Seconds of the day at which the image was acquired, None where that is not said."""
    for keyword in ("AcquisitionDateTime", "AcquisitionTime"):
        digits = re.sub(r"[:\s]", "", text(dataset, keyword)).removeprefix("-")
        digits = digits[8:] if keyword == "AcquisitionDateTime" else digits
        match = re.match(r"(\d{2})(\d{2})(\d{2}(?:\.\d+)?)", digits)
        if match:
            hours, minutes, seconds = map(float, match.groups())
            return 3600 * hours + 60 * minutes + seconds
    return None


#: UIDs, and the UUIDs that some anonymisers put in their place.
_UID = re.compile(r"[0-9.]{1,64}|[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")


def _shown_uid(uid: str) -> str:
    """A UID as results show it: other text under its tag could name the patient, and is replaced
    by a UID that follows from it."""
    if not uid or _UID.fullmatch(uid):
        return uid
    digest = hashlib.sha256(uid.encode("utf-8", "replace")).digest()
    return f"2.25.{int.from_bytes(digest[:16])}"
