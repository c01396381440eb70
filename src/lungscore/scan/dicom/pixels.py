"""The pixels of one DICOM image as Hounsfield units."""

from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.dicom.codestream import (
    END_OF_IMAGE,
    HUFFMAN_JPEG,
    JPEG_FAMILY,
    SOMETHING_ELSE,
    is_encapsulated,
    syntax_of,
)
from lungscore.scan.dicom.elements import Unreadable, number
from lungscore.scan.dicom.header import Header, parse
from lungscore.scan.hounsfield import to_hounsfield
from lungscore.scan.limits import HU_RANGE

#: Elements that hold the image, and the type of their values where the element itself says it.
PIXELS = {"PixelData": None, "FloatPixelData": "<f4", "DoubleFloatPixelData": "<f8"}

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
    "FloatPixelPaddingValue",
    "DoubleFloatPixelPaddingValue",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    *PIXELS,
]

#: Native pixels: implicit and explicit little endian, deflated, explicit big endian, and GE's
#: private syntax, whose header is implicit little endian and whose pixels are big endian.
NATIVE = {
    "": "<",
    "1.2.840.10008.1.2": "<",
    "1.2.840.10008.1.2.1": "<",
    "1.2.840.10008.1.2.1.99": "<",
    "1.2.840.10008.1.2.2": ">",
    "1.2.840.113619.5.2": ">",
}

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"

#: For pydicom: no change of colours, nor of the bits beside the image, which are judged here.
_AS_DECODED: Any = {"raw": True, "correct_unused_bits": False}

#: Hounsfield units that nothing reaches: signed values that were read as unsigned lie above.
IMPOSSIBLE_HU = 20_000

#: Part of the values of an image that may not be numbers: they count as air.
LOST_PART = 1e-4

#: No scale of a CT comes near; beyond, 32-bit numbers lose the grey levels or end.
LARGEST_SCALE = 1e6


class Encapsulated(Exception):
    """The pixels are compressed, whatever the transfer syntax says: for a process of its own."""


def read_hounsfield(header: Header, *, decode: bool = True) -> tuple[np.ndarray, str]:
    """(rows, columns) int16 HU of one image, and how it states its scale.

    Modality values only: MONOCHROME1 and windows are ways to show an image and change no value.
    decode: False raises Encapsulated for compressed pixels. The scale is "slope and intercept", one
    of them, or "". Raises InputError ``dicom-truncated``, ``dicom-unreadable``,
    ``not-hounsfield``, ``not-finite`` and ``codec-missing``. Call it within ``quiet_pydicom``.
    """
    dataset = parse(header.path, TAGS, with_pixels=True, name=header.name)
    stored = _stored(header, dataset, decode)
    values, scale = _rescale(header, dataset, stored)
    padding = _padding(header, dataset, stored.dtype)
    if padding is not None:
        # Padding above every tissue is set to air; below, clipping has done it.
        shown, _ = _rescale(header, dataset, np.array([padding], dtype=stored.dtype))
        if shown[0] > HU_RANGE[1]:
            values = np.where(stored == padding, HU_RANGE[0], values)
    values = _finite(header, values)
    beyond = values > IMPOSSIBLE_HU
    if np.count_nonzero(beyond) > 1e-3 * values.size:
        raise InputError(
            "not-hounsfield",
            f"{header.name}: values up to {int(values.max())}",
            expected=f"{HU_RANGE[0]} to {HU_RANGE[1]} HU",
            hint="Signed values may be stored as unsigned ones (check PixelRepresentation)",
        )
    return to_hounsfield(values), scale


def _stored(header: Header, dataset: Any, decode: bool) -> np.ndarray:
    """The values as they are stored, whatever way the pixels are written."""
    keyword = next((keyword for keyword in PIXELS if keyword in dataset), None)
    if keyword is None:
        raise _without_pixels(header, "The file holds no pixels")
    try:
        raw = dataset.get_item(keyword)
    except Exception as error:  # its value representation does not exist
        raise InputError(
            "dicom-unreadable",
            f"{header.name}: {keyword} cannot be parsed ({type(error).__name__})",
            hint="Copy the file again from its source",
        ) from error
    if not isinstance(raw.value, bytes) or not raw.value:
        raise _without_pixels(header, f"{keyword} is empty")
    if PIXELS[keyword] is not None or not is_encapsulated(raw):
        _refuse_unknown_syntax(header)
    if PIXELS[keyword] is not None:
        order = NATIVE.get(header.syntax, "<")
        kind = PIXELS[keyword].replace("<", ">" if order == ">" else "<")  # type: ignore[union-attr]
        return _native(header, raw, np.dtype(kind))
    if is_encapsulated(raw):
        if not decode:
            raise Encapsulated(header.name)
        return _without_garbage(header, dataset, _decoded(header, dataset, raw.value), True)
    # Where the syntax says compressed and the pixels are not, they are as most files have them.
    bits = int(_number(header, dataset, "BitsAllocated") or 0)
    if bits not in (8, 16, 32):
        raise InputError(
            "dicom-unreadable", f"{header.name}: {bits} bits per pixel", expected="8, 16 or 32"
        )
    order = NATIVE.get(header.syntax, "<") if header.syntax else _guessed_order(dataset)
    signed = _number(header, dataset, "PixelRepresentation") == 1
    kind = f"{order}{'i' if signed else 'u'}{bits // 8}"
    return _without_garbage(header, dataset, _native(header, raw, np.dtype(kind)))


def _native(header: Header, raw: Any, dtype: np.dtype) -> np.ndarray:
    """(rows, columns) numbers of pixels that are not compressed; padding behind them is ignored."""
    data, count = raw.value, header.rows * header.columns
    expected = count * dtype.itemsize
    if len(data) < expected:
        stated = getattr(raw, "length", len(data))
        fault = f"{len(data)} of {expected} bytes of pixels"
        if len(data) < stated:
            raise _truncated(header, fault)
        raise InputError(
            "dicom-unreadable",
            f"{header.name}: {fault} for {header.rows} × {header.columns} pixels",
            expected="Rows, Columns and BitsAllocated that agree with the pixels",
            hint="Export the image again",
        )
    rest = data[expected:]
    if len(rest) > header.columns * dtype.itemsize and rest.count(rest[:1]) < len(rest):
        raise InputError(
            "dicom-unreadable",
            f"{header.name}: {len(data)} bytes of pixels",
            expected=f"{expected} for {header.rows} × {header.columns}",
        )
    pixels = np.frombuffer(data, dtype=dtype, count=count)
    return pixels.astype(dtype.newbyteorder("=")).reshape(header.rows, header.columns)


def _refuse_unknown_syntax(header: Header) -> None:
    """Native pixels say nothing of their byte order: a syntax that nobody knows leaves it open."""
    if header.syntax in NATIVE or _is_standard(header.syntax):
        return
    raise InputError(
        "codec-missing",
        f"{header.name}: no decoder for {_syntax_text(header.syntax)}",
        hint="Export the images in a transfer syntax of the standard, such as Explicit VR "
        "Little Endian",
    )


def _guessed_order(dataset: Any) -> str:
    """Without a transfer syntax: the byte order in which the parser could read the header."""
    _, little = dataset.original_encoding
    return ">" if little is False else "<"


def _without_garbage(
    header: Header, dataset: Any, pixels: np.ndarray, decoded: bool = False
) -> np.ndarray:
    """``pixels`` without overlays, as the header of the image describes them."""
    stored = int(_number(header, dataset, "BitsStored") or 8 * pixels.dtype.itemsize)
    stated = _number(header, dataset, "HighBit")
    high = stored - 1 if stated is None else int(stated)
    padding = _number(header, dataset, "PixelPaddingValue")
    return without_overlays(pixels, stored, high, padding=padding, decoded=decoded)[0]


def without_overlays(
    pixels: np.ndarray, stored: int, high: int, *, padding: float | None, decoded: bool = False
) -> tuple[np.ndarray, int]:
    """Clear what stands beside the bits of an image (old overlays), keeping the sign and padding.

    stored, high: BitsStored and HighBit, as the header states them. decoded: some encoders have
    moved the bits down already, whatever HighBit says. Gives the pixels in the lower bits, and how
    many bits their numbers have: all of them where the header contradicts itself and nothing is
    cleared, one more than is stated where the numbers need it.
    """
    bits = 8 * pixels.dtype.itemsize
    if not 0 < stored < bits or not stored - 1 <= high < bits:
        return pixels, bits
    # Padding may need more bits than the image, and says nothing of it.
    measured = pixels if padding is None else pixels[pixels != padding]
    low, top = (int(measured.min()), int(measured.max())) if measured.size else (0, 0)
    if decoded and max(-low, top) < 2**stored:
        high = stored - 1
    signed = pixels.dtype.kind == "i"
    least, most = (-(2 ** (stored - 1)), 2 ** (stored - 1) - 1) if signed else (0, 2**stored - 1)
    if high == stored - 1 and least <= low and top <= most:
        return pixels, stored  # nothing stands above
    if signed and high == stored - 1 and low < 0 and 2 * least <= low and top <= 2 * most + 1:
        return pixels, stored + 1  # one bit more than is stated, the sign repeated above
    up, down = bits - 1 - high, bits - stored
    # Shifting up and back drops the bits above; for signed numbers it repeats the sign.
    clean = np.right_shift(np.left_shift(pixels, up), down)
    return (clean if padding is None else np.where(pixels == padding, pixels, clean)), stored


def _decoded(header: Header, dataset: Any, data: bytes) -> np.ndarray:
    from pydicom.pixels import get_decoder

    syntax = header.syntax if header.syntax not in NATIVE else syntax_of(data)
    bits = _number(header, dataset, "BitsStored") or 16
    try:
        decoder = get_decoder(syntax or header.syntax)
        available = decoder.is_available
    except NotImplementedError:
        available = False
    if not available or (syntax == JPEG_EXTENDED and bits > 8):
        raise InputError(
            "codec-missing",
            f"{header.name}: no decoder for {_syntax_text(syntax or header.syntax)}",
            hint="pip install python-gdcm, or pylibjpeg-openjpeg for High-Throughput JPEG 2000",
        )
    if syntax != header.syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
    # The marker cannot occur within compressed data; padding of any kind may follow it.
    if syntax.startswith(JPEG_FAMILY) and END_OF_IMAGE not in data:
        pixels = _decoded_without_end(dataset, decoder, data, syntax)
        if pixels is None:
            raise _truncated(header, "the compressed pixels have no end")
    else:
        try:
            pixels, _ = decoder.as_array(dataset, **_AS_DECODED)
        except Exception as error:  # a decoder fed by strangers may fail in any way
            raise InputError(
                "dicom-unreadable",
                f"{header.name}: the compressed pixels cannot be decoded",
                hint="Copy the file again from its source",
            ) from error
    if pixels.shape != (header.rows, header.columns):
        raise InputError(
            "dicom-unreadable",
            f"{header.name}: decoded to {pixels.shape}",
            expected=f"{header.rows} × {header.columns}",
        )
    return pixels


def _decoded_without_end(dataset: Any, decoder: Any, data: bytes, syntax: str) -> np.ndarray | None:
    """The pixels of a stream without its end marker, None where more than the marker is missing.

    Decoders of JPEG 2000 and JPEG-LS refuse a stream that is too short. Those of JPEG go on with
    whatever follows: where the stream is complete, that does not change the pixels.
    """
    from pydicom.encaps import encapsulate, generate_frames

    def decoded(stream: bytes) -> np.ndarray:
        dataset.PixelData = encapsulate([stream + END_OF_IMAGE])
        return np.array(decoder.as_array(dataset, **_AS_DECODED)[0])

    try:
        frame = next(generate_frames(data, number_of_frames=1))
        bare = frame.rstrip(b"\0")  # a byte of padding makes the length even
        if syntax in HUFFMAN_JPEG:
            bare += b"\0" if bare.endswith(b"\xff") else b""
            pixels, again = decoded(bare), decoded(bare + SOMETHING_ELSE)
            return pixels if np.array_equal(pixels, again) else None
        try:
            return decoded(frame)
        except Exception:
            return decoded(bare)
    except Exception:  # a decoder fed by strangers may fail in any way
        return None


def _syntax_text(syntax: str) -> str:
    """A transfer syntax as messages call it: one that is not in the standard may be any text."""
    from pydicom.uid import UID

    if not _is_standard(syntax):
        return "a transfer syntax that DICOM does not know"
    return f"transfer syntax {syntax} ({UID(syntax).name})"


def _is_standard(syntax: str) -> bool:
    """Whether the standard lists this transfer syntax, be it retired."""
    from pydicom.uid import UID

    uid = UID(syntax)
    return uid.name != syntax and uid.is_transfer_syntax


def _rescale(header: Header, dataset: Any, stored: np.ndarray) -> tuple[np.ndarray, str]:
    """Stored values to HU (int32 or float32), and how the file says so."""
    if "ModalityLUTSequence" in dataset:
        raise InputError(
            "not-hounsfield",
            f"{header.name}: the values are scaled by a table (Modality LUT)",
            expected="RescaleSlope and RescaleIntercept",
            hint="Export the original CT",
        )
    slope = _number(header, dataset, "RescaleSlope")
    intercept = _number(header, dataset, "RescaleIntercept")
    given = {"slope": slope is not None, "intercept": intercept is not None}
    scale = " and ".join(name for name, is_given in given.items() if is_given)
    slope = 1.0 if slope is None else slope
    intercept = 0.0 if intercept is None else intercept
    if slope == 0 or max(abs(slope), abs(intercept)) > LARGEST_SCALE:
        raise InputError(
            "not-hounsfield",
            f"{header.name}: RescaleSlope {slope:g}, RescaleIntercept {intercept:g}",
            expected=f"a slope other than 0, and neither beyond {LARGEST_SCALE:g}",
        )
    floats = stored.dtype.kind == "f"
    if not floats and slope == 1 and intercept == int(intercept) and abs(intercept) < 2**15:
        return stored.astype(np.int32) + np.int32(intercept), scale
    with np.errstate(over="ignore", invalid="ignore"):
        return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept), scale


def _padding(header: Header, dataset: Any, dtype: np.dtype) -> float | None:
    """The value that stands for no measurement, if the type of the pixels can hold it."""
    if dtype.kind == "f":
        keyword = (
            "FloatPixelPaddingValue" if dtype.itemsize == 4 else "DoubleFloatPixelPaddingValue"
        )
        return _number(header, dataset, keyword)
    padding = _number(header, dataset, "PixelPaddingValue")
    limits = np.iinfo(dtype)
    return padding if padding is not None and limits.min <= padding <= limits.max else None


def _finite(header: Header, values: np.ndarray) -> np.ndarray:
    """``values`` with air in place of a few that are not numbers. Raises ``not-finite``."""
    if values.dtype.kind != "f":
        return values
    lost = ~np.isfinite(values)
    if np.count_nonzero(lost) > LOST_PART * values.size:
        raise InputError(
            "not-finite",
            f"{header.name}: {np.count_nonzero(lost)} of {values.size} values are NaN or infinite",
            expected="numbers",
        )
    return np.where(lost, np.float32(HU_RANGE[0]), values)


def _number(header: Header, dataset: Any, keyword: str) -> float | None:
    """The number of an element, None where it is absent or empty."""
    try:
        return number(dataset, keyword)
    except Unreadable:
        text = f"{header.name}: {keyword} is not a number"
        raise InputError("dicom-unreadable", text) from None


def _truncated(header: Header, fault: str) -> InputError:
    return InputError(
        "dicom-truncated",
        f"{header.name}: {fault}",
        expected="the whole file",
        hint="Copy it again from its source",
    )


def _without_pixels(header: Header, fault: str) -> InputError:
    return InputError(
        "dicom-truncated",
        f"{header.name}: {fault}",
        expected="an image",
        hint="The file is cut off or was exported without its image: export it again",
    )
