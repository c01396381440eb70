"""The planes of a volume file whose voxels follow its header, raw or deflated."""

import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np

from lungscore.errors import InputError


def read_planes(
    read: Callable[[int], bytes], shape: tuple[int, int, int], dtype: np.dtype, *, source: str
) -> Iterator[np.ndarray]:
    """2-D planes along the last (slowest) axis; never more bytes than ``shape`` promises.

    read: gives so many of the next bytes, fewer at the end. Raises InputError
    ``input-unreadable`` where they end or break too early.
    """
    size = shape[0] * shape[1] * dtype.itemsize
    for index in range(shape[2]):
        try:
            data = read(size)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise _broken(source, index, shape[2]) from error
        if len(data) < size:
            raise _broken(source, index, shape[2])
        yield np.frombuffer(data, dtype=dtype).reshape(shape[:2], order="F")


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


def _broken(source: str, index: int, count: int) -> InputError:
    return InputError(
        "input-unreadable",
        f"{source} ends or breaks at slice {index + 1} of {count}",
        hint="copy it again from its source",
    )
