"""The pixels of one DICOM image as Hounsfield units."""

from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.dicom.header import Header, element_value, parse
from lungscore.scan.hounsfield import to_hounsfield
from lungscore.scan.limits import HU_RANGE

TAGS = [
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "PixelData",
]

#: Native pixels: implicit and explicit little endian, explicit big endian, deflated.
NATIVE = {
    "": "<",
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.1.99": "<",
    "1.2.840.10008.1.2.2": ">",
}

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"

#: Syntaxes whose last frame ends in an end-of-image marker: JPEG, JPEG-LS, JPEG 2000.
JPEG_FAMILY = "1.2.840.10008.1.2.4."
END_OF_IMAGE = b"\xff\xd9"

#: Hounsfield units that nothing reaches: signed values that were read as unsigned lie above.
IMPOSSIBLE_HU = 20_000


def read_hounsfield(header: Header) -> tuple[np.ndarray, bool]:
    """(rows, columns) int16 HU of one image, and whether it states how its values are scaled.

    Modality values only: MONOCHROME1 and windows are ways to show an image and change no value.
    Raises InputError ``dicom-truncated``, ``dicom-unreadable``, ``not-hounsfield`` and
    ``codec-missing``. Call it within ``quiet_pydicom``.
    """
    dataset = parse(header.path, TAGS, with_pixels=True)
    if not isinstance(element_value(dataset, "PixelData"), bytes):
        raise _truncated(header, "the pixels are missing")
    if header.syntax in NATIVE:
        stored = _native(header, dataset)
    else:
        stored = _decoded(header, dataset)
    values, scaled = _rescale(header, dataset, stored)
    padding = _number(header, dataset, "PixelPaddingValue")
    if padding is not None and np.iinfo(stored.dtype).min <= padding <= np.iinfo(stored.dtype).max:
        # Padding above every tissue is set to air; below, clipping has done it.
        shown, _ = _rescale(header, dataset, np.array([padding], dtype=stored.dtype))
        if shown[0] > HU_RANGE[1]:
            values = np.where(stored == padding, HU_RANGE[0], values)
    beyond = values > IMPOSSIBLE_HU
    if np.count_nonzero(beyond) > 1e-3 * values.size:
        raise InputError(
            "not-hounsfield",
            f"{header.path.name}: values up to {int(values.max())}",
            expected=f"{HU_RANGE[0]} to {HU_RANGE[1]} HU",
            hint="Signed values may be stored as unsigned ones (check PixelRepresentation)",
        )
    return to_hounsfield(values), scaled


def _native(header: Header, dataset: Any) -> np.ndarray:
    bits = int(_number(header, dataset, "BitsAllocated") or 0)
    if bits not in (8, 16, 32):
        raise InputError(
            "dicom-unreadable", f"{header.path.name}: {bits} bits per pixel", expected="8, 16 or 32"
        )
    expected = header.rows * header.columns * bits // 8
    data = dataset.PixelData
    if len(data) < expected:
        raise _truncated(header, f"{len(data)} of {expected} bytes of pixels")
    if len(data) > expected + 2:
        raise InputError(
            "dicom-unreadable",
            f"{header.path.name}: {len(data)} bytes of pixels",
            expected=f"{expected} for {header.rows} × {header.columns}",
        )
    order = NATIVE[header.syntax] if header.syntax else _guessed_order(dataset)
    signed = _number(header, dataset, "PixelRepresentation") == 1
    kind = f"{order}{'i' if signed else 'u'}{bits // 8}"
    pixels = np.frombuffer(data, dtype=kind, count=header.rows * header.columns)
    pixels = pixels.astype(pixels.dtype.newbyteorder("=")).reshape(header.rows, header.columns)
    return _without_garbage(header, dataset, pixels)


def _guessed_order(dataset: Any) -> str:
    """Without a transfer syntax: the byte order in which the parser could read the header."""
    _, little = dataset.original_encoding
    return ">" if little is False else "<"


def _without_garbage(header: Header, dataset: Any, pixels: np.ndarray) -> np.ndarray:
    """Clear what stands in the bits above HighBit (old overlays), keeping the sign and padding."""
    bits = 8 * pixels.dtype.itemsize
    stored = int(_number(header, dataset, "BitsStored") or bits)
    stated = _number(header, dataset, "HighBit")
    high = stored - 1 if stated is None else int(stated)
    if not 0 < stored < bits or not stored - 1 <= high < bits:
        return pixels
    up, down = bits - 1 - high, bits - stored
    # Shifting up and back drops the bits above; for signed numbers it repeats the sign.
    clean = np.right_shift(np.left_shift(pixels, up), down)
    padding = _number(header, dataset, "PixelPaddingValue")
    return clean if padding is None else np.where(pixels == padding, pixels, clean)


def _decoded(header: Header, dataset: Any) -> np.ndarray:
    from pydicom.pixels import get_decoder

    bits = _number(header, dataset, "BitsStored") or 16
    try:
        decoder = get_decoder(header.syntax)
        available = decoder.is_available
    except NotImplementedError:
        available = False
    if not available or (header.syntax == JPEG_EXTENDED and bits > 8):
        raise InputError(
            "codec-missing",
            f"{header.path.name}: no decoder for transfer syntax {header.syntax}",
            hint="pip install python-gdcm, or pylibjpeg-openjpeg for High-Throughput JPEG 2000",
        )
    data = dataset.PixelData
    if header.syntax.startswith(JPEG_FAMILY) and END_OF_IMAGE not in data[-64:]:
        raise _truncated(header, "the compressed pixels have no end")
    try:
        pixels, _ = decoder.as_array(dataset, raw=True)
    except Exception as error:  # a decoder fed by strangers may fail in any way
        raise InputError(
            "dicom-unreadable",
            f"{header.path.name}: the compressed pixels cannot be decoded",
            hint="Copy the file again from its source",
        ) from error
    if pixels.shape != (header.rows, header.columns):
        raise InputError(
            "dicom-unreadable",
            f"{header.path.name}: decoded to {pixels.shape}",
            expected=f"{header.rows} × {header.columns}",
        )
    return pixels


def _rescale(header: Header, dataset: Any, stored: np.ndarray) -> tuple[np.ndarray, bool]:
    """Stored values to HU (int32 or float32), and whether the file says how."""
    if "ModalityLUTSequence" in dataset:
        raise InputError(
            "not-hounsfield",
            f"{header.path.name}: the values are scaled by a table (Modality LUT)",
            expected="RescaleSlope and RescaleIntercept",
            hint="Export the original CT",
        )
    slope = _number(header, dataset, "RescaleSlope")
    intercept = _number(header, dataset, "RescaleIntercept")
    if slope is None and intercept is None:
        return stored.astype(np.int32), False
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if slope == 0:
        raise InputError(
            "not-hounsfield",
            f"{header.path.name}: RescaleSlope {slope:g}, RescaleIntercept {intercept:g}",
            expected="a slope other than 0",
        )
    if slope == 1 and intercept == int(intercept) and abs(intercept) < 2**15:
        return stored.astype(np.int32) + np.int32(intercept), True
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept), True


def _number(header: Header, dataset: Any, keyword: str) -> float | None:
    """The number of an element, None where it is absent or empty."""
    if keyword not in dataset or dataset.get_item(keyword).value in (None, b"", ""):
        return None
    try:
        number = float(element_value(dataset, keyword))
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError("dicom-unreadable", f"{header.path.name}: {keyword} is not a number")
    return number


def _truncated(header: Header, found: str) -> InputError:
    return InputError(
        "dicom-truncated",
        f"{header.path.name}: {found}",
        expected="the whole file",
        hint="Copy it again from its source",
    )
