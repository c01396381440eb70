"""What one DICOM file says about its image, without its pixels and without its patient's name."""

import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from lungscore.errors import InputError
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

#: What people write into the contrast field when there was none.
NO_CONTRAST = {"", "NO", "NONE", "N", "0", "WITHOUT", "OHNE", "NON", "NIL", "NO CONTRAST"}

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "Modality",
    "ImageType",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
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
    pixel_spacing: between rows, between columns. patient and study only tell patients apart.
    """

    path: Path
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
    patient: str = field(repr=False)
    study: str = field(repr=False)


class BoundedFile:
    """A file that never reads more than is left, whatever length a header states."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size is None or size < 0 else min(size, left))


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


def parse(path: Path, tags: list[str], *, with_pixels: bool) -> Any:
    """The pydicom dataset of ``path`` with ``tags`` only; call it within ``quiet_pydicom``.

    Raises InputError ``dicom-unreadable`` for whatever goes wrong in the parser, nesting without
    end included, and ``archive-unsafe`` for a deflated file that grows without measure.
    """
    import pydicom

    try:
        with open(path, "rb") as opened:
            file = BoundedFile(opened, path.stat().st_size)
            _check_deflated(path, file)
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
            f"{path.name} cannot be parsed ({type(error).__name__})",
            hint="Copy the file again from its source",
        ) from error


def read_header(path: Path) -> Header | None:
    """The header of an image; None for a DICOM file that is none (a DICOMDIR, a report).

    Raises InputError ``dicom-unreadable`` or ``dicom-truncated``.
    """
    with quiet_pydicom():
        return _header(path, parse(path, TAGS, with_pixels=False))


def _header(path: Path, dataset: Any) -> Header | None:
    meta = getattr(dataset, "file_meta", None) or {}
    stored_class = _text(meta, "MediaStorageSOPClassUID")
    sop_class = _text(dataset, "SOPClassUID") or stored_class
    if DICOMDIR in (sop_class, stored_class):
        return None
    modality = _text(dataset, "Modality").upper()
    rows, columns = _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0)
    if rows < 1 or columns < 1:
        if sop_class == CT_IMAGE or (not sop_class and modality == "CT"):
            raise InputError("dicom-truncated", f"{path.name} ends before its image begins")
        if not sop_class and not modality:
            raise InputError("dicom-unreadable", f"{path.name} contains no readable DICOM element")
    syntax = _text(meta, "TransferSyntaxUID")
    missing = [] if meta else ["file meta information"]
    missing += [] if syntax else ["TransferSyntaxUID"]
    is_ct = sop_class in (CT_IMAGE, *ENHANCED_CT)
    missing += [] if modality or not is_ct else ["Modality"]
    if not modality and is_ct:
        modality = "CT"
    return Header(
        path=path,
        sop_class=sop_class,
        sop_uid=_text(dataset, "SOPInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        modality=modality if modality in MODALITIES else "unknown",
        image_type=tuple(_texts(dataset, "ImageType")),
        rows=rows,
        columns=columns,
        frames=_integer(dataset, "NumberOfFrames", 1),
        samples=_integer(dataset, "SamplesPerPixel", 1),
        position=_numbers(dataset, "ImagePositionPatient", 3),
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=_numbers(dataset, "PixelSpacing", 2),
        thickness=_length(dataset, "SliceThickness"),
        spacing_between=_length(dataset, "SpacingBetweenSlices"),
        syntax=syntax,
        contrast=_text(dataset, "ContrastBolusAgent").upper() not in NO_CONTRAST,
        lossy=_text(dataset, "LossyImageCompression") == "01" or syntax in LOSSY_SYNTAXES,
        missing=tuple(missing),
        patient=_text(dataset, "PatientID"),
        study=_text(dataset, "StudyInstanceUID"),
    )


def _check_deflated(path: Path, file: BoundedFile) -> None:
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
            f"{path.name} grows beyond {MAX_DEFLATED_BYTES} bytes",
            hint="Export the series without deflate",
        )


def element_value(dataset: Any, keyword: str) -> Any:
    """The value of an element, None where it is absent or cannot be converted."""
    try:
        return dataset.get(keyword)
    except Exception:  # conversion happens here, and may fail in any way
        return None


def _text(dataset: Any, keyword: str) -> str:
    value = element_value(dataset, keyword)
    return "" if value is None else str(value).strip(" \0")


def _texts(dataset: Any, keyword: str) -> list[str]:
    value = element_value(dataset, keyword)
    if value is None:
        return []
    items = [value] if isinstance(value, str) else list(value)
    return [str(item).strip().upper() for item in items]


def _numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...] | None:
    value = element_value(dataset, keyword)
    try:
        numbers = tuple(float(item) for item in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _length(dataset: Any, keyword: str) -> float | None:
    try:
        number = float(element_value(dataset, keyword))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _integer(dataset: Any, keyword: str, default: int) -> int:
    try:
        return int(element_value(dataset, keyword))
    except (TypeError, ValueError):
        return default
