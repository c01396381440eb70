"""A file that gives no more than it has, whatever its header promises."""

from typing import BinaryIO


class BoundedFile:
    """Reads at most the first ``size`` bytes of ``file``.

    A plain file takes memory for all that is asked for before it reads: a length of 4 GB in a
    header of 100 bytes would be enough to fill it.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int | None = -1) -> bytes:
        """The next ``size`` bytes, fewer at the end."""
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size is None or size < 0 else min(size, left))
