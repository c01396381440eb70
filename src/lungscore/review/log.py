"""The log of a review: every step is on disk before it is answered, so that a killed server loses
nothing of it.

One file for each reader of a case, to which lines are only added: a checksum, then JSON. What a
killed server left unfinished is the last line, which its checksum tells; it is dropped.
"""

import json
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lungscore.errors import InputError, ResourceError
from lungscore.files import write_error
from lungscore.report.case_folder import REVIEWS
from lungscore.scan.names import safe_name

SCHEMA = "lungscore.review-log/1"
#: Seconds after which what was written must have reached the disk itself, not the system alone.
SYNC_S = 10.0

_LINE = re.compile(rb"[0-9a-f]{8} ")

Record = dict[str, Any]


def log_path(case: Path, reader: str) -> Path:
    """Where the log of a reader lies: beside the folder of what the reader saved."""
    return case / REVIEWS / f".{safe_name(reader)}.log"


@dataclass(frozen=True)
class Read:
    """What a log holds. length: bytes of its whole lines. unfinished: whether what follows is at
    most one line that a killed process did not finish."""

    records: list[Record]
    length: int
    unfinished: bool = True


def read_log(path: Path) -> Read:
    """The records of a log, up to the first line that is not whole. Empty where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Read([], 0)
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name} ({error.strerror})") from None
    records, length = [], 0
    for line in content.splitlines(keepends=True):
        record = _record(line)
        if record is None:
            break
        records.append(record)
        length += len(line)
    return Read(records, length, b"\n" not in content[length:])


class Log:
    """A log that this process writes, alone as long as it is open."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, which is made if need be, without its unfinished last line.

        Raises InputError ``review-in-use`` where another process has it open, ``review-damaged``
        where more than its last line is not whole, and ResourceError where it cannot be written.
        """
        self._path = path
        try:
            path.parent.mkdir(exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise write_error(path, error) from error
        if not _lock(self._file):
            os.close(self._file)
            raise in_use()
        try:
            read = read_log(path)
            if not read.unfinished:  # what follows the damage is not thrown away
                raise damaged(path, len(read.records))
            os.ftruncate(self._file, read.length)
        except BaseException:
            os.close(self._file)
            raise
        self.records = read.records
        self._length = read.length
        self._synced = time.monotonic()

    @property
    def closed(self) -> bool:
        """Whether this process has done with it."""
        return self._file < 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record; on return it outlives the end of this process, however it comes.

        Raises ResourceError ``disk-full`` or ``output-not-writable``; the log is as it was then.
        """
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        data = text.encode("utf-8", "replace")
        line = b"%08x %s\n" % (zlib.crc32(data), data)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
            if time.monotonic() - self._synced > SYNC_S:
                self.sync()
        except (OSError, ResourceError) as error:
            os.ftruncate(self._file, self._length)
            if isinstance(error, OSError):
                raise write_error(self._path, error) from error
            raise
        self._length += len(line)

    def sync(self) -> None:
        """Let what was written reach the disk; raises ResourceError where it cannot."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise write_error(self._path, error) from error
        self._synced = time.monotonic()

    def close(self) -> None:
        """Let others write it."""
        if self._file >= 0:
            with suppress(OSError):  # the lock must go even from a disk that fails
                os.fsync(self._file)
            os.close(self._file)
            self._file = -1


def damaged(path: Path, records: int) -> InputError:
    """The error of a log in which something follows its first ``records`` that none of them is."""
    return InputError(
        "review-damaged",
        f"The log {path.name} is damaged after {records} records",
        expected="a log that lungscore review wrote",
        hint="Move it away; the saved review beside it is whole",
    )


def in_use() -> InputError:
    """The error of a reader whose review is open elsewhere."""
    return InputError(
        "review-in-use",
        "A reader of this name has this case open elsewhere",
        expected="one writer for each reader of a case",
        hint="Continue there, or use another name",
    )


def _record(line: bytes) -> Record | None:
    """The record of a line; None for one that is not whole."""
    if not _LINE.match(line) or not line.endswith(b"\n"):
        return None
    data = line[9:-1]
    if int(line[:8], 16) != zlib.crc32(data):
        return None
    try:
        record = json.loads(data)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def logged_work(case: Path) -> Iterator[tuple[str, list[Record]]]:
    """Name and records of every reader who began a review of ``case``.

    A log that cannot be read, as that of another user of the computer, is left out.
    """
    for path in sorted((case / REVIEWS).glob(".*.log")):
        with suppress(InputError):
            records = read_log(path).records
            if records and isinstance(records[0].get("reader"), str):
                yield records[0]["reader"], records


def _lock(file: int) -> bool:
    """Whether ``file`` is locked by this process now; true where files cannot be locked."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
