"""The planes of a volume file whose voxels follow its header, raw or deflated."""

import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.limits import MAX_SLICE_PIXELS

#: Times that deflate can shrink at most; a header that promises more is forged.
LARGEST_DEFLATE_RATIO = 1032


def check_promise(
    shape: tuple[int, int, int], dtype: np.dtype, size: int, *, deflated: bool, source: str
) -> None:
    """Raise InputError ``volume-too-large`` where ``size`` bytes cannot hold what a header says."""
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if promised > size * (LARGEST_DEFLATE_RATIO if deflated else 1):
        raise InputError(
            "volume-too-large",
            f"{source}: the header states {promised} bytes, the file has {size}",
            expected="a whole file",
            hint="Copy it again from its source",
        )


def read_planes(
    read: Callable[[int], bytes], shape: tuple[int, int, int], dtype: np.dtype, *, source: str
) -> Iterator[np.ndarray]:
    """2-D planes along the last (slowest) axis; never more bytes than ``shape`` promises.

    read: gives so many of the next bytes, fewer at the end. Raises InputError
    ``input-unreadable`` where they end or break too early, and ``volume-too-large`` for planes
    that no CT has.
    """
    if shape[0] * shape[1] > MAX_SLICE_PIXELS:
        raise InputError(
            "volume-too-large",
            f"{source}: planes of {shape[0]} × {shape[1]} voxels",
            expected=f"at most {MAX_SLICE_PIXELS}",
        )
    size = shape[0] * shape[1] * dtype.itemsize
    for index in range(shape[2]):
        try:
            data = read(size)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise _broken(source, index, shape[2]) from error
        if len(data) < size:
            raise _broken(source, index, shape[2])
        yield np.frombuffer(data, dtype=dtype).reshape(shape[:2], order="F")


def to_the_end(
    planes: Iterator[np.ndarray], is_at_end: Callable[[], bool], source: str
) -> Iterator[np.ndarray]:
    """``planes``, and behind the last of them the end of the data, with their checksum.

    Raises InputError ``input-unreadable``: most damage inflates to other voxels without a fault.
    """
    yield from planes
    try:
        is_whole = is_at_end()
    except (OSError, EOFError, zlib.error):
        is_whole = False
    if not is_whole:
        raise InputError(
            "input-unreadable",
            f"{source}: the data do not end where the header states, or the checksum is wrong",
            expected="as many voxels as the header states",
            hint="Copy it again from its source",
        )


class Inflated:
    """Reads a deflated stream piece by piece, holding no more than was asked for."""

    def __init__(self, file: IO[bytes], inflater: Any) -> None:
        self._file, self._inflater, self._left = file, inflater, b""

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer at the end."""
        pieces = []
        while size > 0:
            block = self._left or self._file.read(2**16)
            if not block or self._inflater.eof:
                break
            piece = self._inflater.decompress(block, size)
            self._left = self._inflater.unconsumed_tail
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def is_at_end(self) -> bool:
        """Whether all was read and its checksum is right. Raises zlib.error where it is not."""
        return not self.read(1) and bool(self._inflater.eof)


def _broken(source: str, index: int, count: int) -> InputError:
    return InputError(
        "input-unreadable",
        f"{source} ends or is damaged at slice {index + 1} of {count}",
        hint="Copy it again from its source",
    )
