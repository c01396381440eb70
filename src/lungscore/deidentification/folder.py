"""A folder of images without their patients, and the table of what was done."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from lungscore.deidentification.clean import Record, clean, refuse_identifying
from lungscore.deidentification.identity import Key, MadeIdentifiers
from lungscore.deidentification.pixels import Decoder, decoder, pixels_of, read
from lungscore.deidentification.rules import Options
from lungscore.errors import InputError
from lungscore.files import atomic_write, csv_text
from lungscore.guard import reported
from lungscore.report.case_folder import appearing, refuse_folder
from lungscore.scan.dicom.header import quiet_pydicom
from lungscore.scan.read import opened

TABLE = "deidentified.csv"
COLUMNS = ("tag", "name", "action", "elements")


@dataclass
class Done:
    """How a folder was de-identified. refused: why images were left out."""

    images: int = 0
    patients: set[str] = field(default_factory=set)
    studies: set[str] = field(default_factory=set)
    refused: list[InputError] = field(default_factory=list)


def deidentify(source: Path, out: Path, key: Key, options: Options) -> Done:
    """Write the images at ``source`` without their patients into the new folder ``out``.

    Parameters
    ----------
    source : path
        Folder, file or zip of DICOM images.
    out : path
        Folder to write, which appears when all of it is written: a folder for each patient, study
        and series under their new names, and the table of what was done.
    key : Key
        Makes the new names. Runs under one key give the same patient the same name.
    options : Options
        What stays on top of the basic profile.

    Returns
    -------
    Done
        What was written, and which images were refused.

    Raises
    ------
    InputError
        What finding files raises, ``format-not-recognised`` where they are not DICOM, and the
        first refusal where every image was refused.
    UsageError
        ``output-exists``.
    ResourceError
        ``output-not-writable`` or ``disk-full``.
    """
    refuse_folder(out, known=())
    done, record = Done(), Record()
    with opened(source) as files, quiet_pydicom(), decoder() as own:
        if files.content != "dicom":
            raise InputError("format-not-recognised", f"{source.name} contains no DICOM images")
        named = list(zip(files.files, files.names(source.name), strict=True))
        made = MadeIdentifiers(files.files)
        with appearing(out) as staging:
            counts: Counter[Path] = Counter()
            for path, name in named:
                try:
                    _one(path, name, staging, counts, done, key, options, record, own, made)
                except InputError as error:
                    done.refused.append(error)
            if not done.images:
                raise done.refused[0]
            atomic_write(staging / TABLE, csv_text(COLUMNS, _rows(record)))
    return done


def _one(
    path: Path,
    name: str,
    out: Path,
    counts: Counter[Path],
    done: Done,
    key: Key,
    options: Options,
    record: Record,
    own: Decoder,
    made: MadeIdentifiers,
) -> None:
    """Write one image; what nobody foresaw in it is a rejection of it alone."""
    own_record, content = Record(), BytesIO()
    with reported(name):
        dataset = read(path, name)
        refuse_identifying(dataset, options, name)
        made.fill(dataset, path)
        result = clean(dataset, pixels_of(dataset, path, name, own), key, options, own_record)
        # In memory, where only the image itself can be at fault: on disk, the disk can be too.
        result.save_as(content, enforce_file_format=True)
    uids = (result.StudyInstanceUID, result.SeriesInstanceUID)
    patient = str(result.PatientID)
    study, series = (uid.rpartition(".")[2][:12] for uid in uids)
    folder = Path(patient, study, series)
    atomic_write(out / folder / f"{counts[folder] + 1:05d}.dcm", content.getvalue())
    counts[folder] += 1
    record.actions.update(own_record.actions)
    done.images += 1
    done.patients.add(patient)
    done.studies.add(study)


def _rows(record: Record) -> Iterator[tuple[str, str, str, int]]:
    for (tag, name, action), count in sorted(record.actions.items()):
        yield tag, name, action, count
