"""The pixels of an image as plain numbers: nothing else can hide among or behind them."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from lungscore.errors import InputError
from lungscore.scan.dicom.elements import element_value, integer
from lungscore.scan.dicom.header import parse, quiet_pydicom
from lungscore.scan.dicom.pixels import without_overlays
from lungscore.scan.limits import MAX_VOXELS

_DESCRIBED = ("PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated")
_WHOLE_BITS = (8, 16, 32, 64)
_FLOAT = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}
#: Seconds that an image may take to be decoded.
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Pixels:
    """Plain pixels, and how they are described where decoding has changed it."""

    keyword: str
    content: bytes
    described: dict[str, Any]
    syntax: str = ExplicitVRLittleEndian

    def put_into(self, dataset: Dataset) -> None:
        """Make them those of ``dataset``."""
        for keyword, value in self.described.items():
            setattr(dataset, keyword, value)
        padded = self.content + b"\0" * (len(self.content) % 2)
        word = "OW" if int(dataset.BitsAllocated) > 8 else "OB"
        dataset.add_new(self.keyword, _FLOAT.get(self.keyword, word), padded)


class Decoder:
    """Decodes compressed pixels in a process of its own, which a damaged image may bring down."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def decode(self, path: Path, name: str) -> Pixels:
        """Raises InputError ``dicom-unreadable``."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        try:
            return Pixels("PixelData", *self._pool.submit(_decoded, path).result(PATIENCE_S))
        except BrokenProcessPool:
            self._pool = None
            raise _undecodable(name) from None
        except TimeoutError:
            self.close()
            raise _undecodable(name) from None
        except Exception as error:  # a decoder fed by strangers may fail in any way
            raise _undecodable(name) from error

    def close(self) -> None:
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.kill()
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def decoder() -> Iterator[Decoder]:
    """A decoder that ends with the block."""
    own = Decoder()
    try:
        yield own
    finally:
        own.close()


def pixels_of(dataset: Dataset, path: Path, name: str, own: Decoder) -> Pixels:
    """The pixels of ``dataset``, which was read from ``path``; as many as its header describes.

    Raises InputError ``dicom-unreadable``, ``dicom-truncated`` or ``volume-too-large``.
    """
    keyword = next((each for each in ("PixelData", *_FLOAT) if each in dataset), None)
    if keyword is None:
        raise InputError("dicom-truncated", f"{name} holds no pixels")
    if min(integer(dataset, "Rows", 0), integer(dataset, "Columns", 0)) < 1:
        raise InputError("dicom-unreadable", f"{name} does not state its rows and columns")
    numbers = ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated")
    rows, columns, samples, frames, bits = (
        max(1, integer(dataset, number, 1)) for number in numbers
    )
    count = rows * columns * samples * frames
    if count > MAX_VOXELS:
        raise InputError("volume-too-large", f"{name} promises {count} pixels")
    if keyword == "PixelData" and dataset.file_meta.TransferSyntaxUID.is_compressed:
        return own.decode(path, name)
    if bits not in _WHOLE_BITS:
        raise InputError("dicom-unreadable", f"{name}: {bits} bits per pixel")
    content = dataset[keyword].value
    size = count * bits // 8
    if not isinstance(content, bytes) or len(content) < size:
        raise InputError("dicom-truncated", f"{name} ends before its image does")
    content = content[:size]
    if keyword == "PixelData":
        big = dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2"
        return Pixels(keyword, *_plain(content, dataset, bits, ">" if big else "<"))
    return Pixels(keyword, content, {})


def _plain(
    content: bytes, dataset: Dataset, bits: int, order: str, *, decoded: bool = False
) -> tuple[bytes, dict[str, Any]]:
    """Pixels without what stands beside the bits of the image, and how they are described.

    decoded: they may lie in the lower bits already, whatever the header says.
    """
    stored = integer(dataset, "BitsStored", bits)
    high = integer(dataset, "HighBit", stored - 1)
    signed = is_signed(dataset)
    kind = np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}")
    values = np.frombuffer(content, kind).astype(kind.newbyteorder("<"))
    padding = in_range_of_pixels(element_value(dataset, "PixelPaddingValue"), signed=signed)
    values, stored = without_overlays(values, stored, high, padding=padding, decoded=decoded)
    described = {
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(signed),
    }
    return values.astype(kind.newbyteorder("<")).tobytes(), described


def is_signed(dataset: Dataset) -> bool:
    """Whether the pixels of ``dataset`` have a sign."""
    return integer(dataset, "PixelRepresentation", 0) == 1


def in_range_of_pixels(number: Any, *, signed: bool) -> int | None:
    """A pixel value from the header as the pixels have it; None for what is no such number.

    Its 16 bits are those that the file holds, but some programs write a sign that the pixels have
    not, or the other way about: 63536 of signed pixels is -2000.
    """
    try:
        value = int(number)
        exact = value == float(number)
    except (TypeError, ValueError, OverflowError):
        return None
    if not exact or not -(2**15) <= value < 2**16:
        return None
    value %= 2**16
    return value - 2**16 if signed and value >= 2**15 else value


def _decoded(path: Path) -> tuple[bytes, dict[str, Any]]:
    """In the process of a decoder: plain pixels, and how they are described."""
    import pydicom

    with quiet_pydicom():
        dataset = pydicom.dcmread(path, force=True)
        # The bits beside the image are judged here: pydicom would cut numbers that need one more.
        dataset.decompress(generate_instance_uid=False, correct_unused_bits=False)
        described = {name: dataset.get(name) for name in _DESCRIBED if name in dataset}
        content, bits = dataset.PixelData, int(dataset.BitsAllocated)
        if bits in _WHOLE_BITS:
            content, own = _plain(content, dataset, bits, "<", decoded=True)
            described |= own
        return content, {name: _simple(value) for name, value in described.items()}


def _simple(value: Any) -> Any:
    """A value that passes from one process to another."""
    return int(value) if isinstance(value, int) else str(value)


def read(path: Path, name: str) -> Dataset:
    """The whole data set of a file. Raises InputError ``dicom-unreadable``, ``archive-unsafe``."""
    dataset: Dataset = parse(path, [], with_pixels=True, name=name)
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        raise InputError("dicom-unreadable", f"{name} states no transfer syntax")
    return dataset


def _undecodable(name: str) -> InputError:
    return InputError(
        "dicom-unreadable",
        f"{name}: the compressed pixels cannot be decoded",
        hint="Copy the file again from its source",
    )
