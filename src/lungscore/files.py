"""Writing files so that they are whole or not there."""

import csv
import errno
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lungscore.errors import ResourceError, UsageError
from lungscore.interruption import is_removed, keep_until_removed


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    The temporary name keeps the suffixes (writers choose formats by them). On any failure the
    temporary file is removed and ``path`` stays as it was. Raises ResourceError ``disk-full`` or
    ``output-not-writable``.
    """
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    keep_until_removed(temporary)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
        is_removed(temporary)


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on disk: a loss of power would lose them."""
    if os.name != "posix":
        return
    try:
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        raise write_error(folder, error) from error


#: What spreadsheets take for the beginning of a formula, and what ``text_cell`` has made of it.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def text_cell(cell: object) -> object:
    """``cell`` of a table; text that a spreadsheet would run gets an apostrophe before it."""
    if not isinstance(cell, str) or not _FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def plain_cell(text: str) -> str:
    """The text of which ``text_cell`` made ``text``."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV; None is an empty cell, and no cell is a formula (``text_cell``).

    Lines end as RFC 4180 has it: else Python leaves a lone carriage return in a cell unquoted.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(map(text_cell, row) for row in rows)
    return text.getvalue()


def staging_folder(parent: Path) -> AbstractContextManager[Path]:
    """A new hidden folder in ``parent``; what is left of it when the block ends is removed."""
    return locked_folder(parent, ".tmp-")


@contextmanager
def locked_folder(parent: Path, prefix: str, *, mode: int = 0o777) -> Iterator[Path]:
    """A new folder in ``parent`` whose name begins with ``prefix``, removed when the block ends.

    It is locked all the while, so that another process can tell it from what a killed one left.
    Raises OSError where it cannot be made.
    """
    while True:
        folder = parent / f"{prefix}{secrets.token_hex(6)}"
        keep_until_removed(folder)
        folder.mkdir(mode)
        lock = lock_folder(folder)
        if folder.is_dir():  # unless somebody cleared it up before it was locked
            break
        unlock(lock)
        is_removed(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        is_removed(folder)
        unlock(lock)


def lock_folder(folder: Path, *, wait: bool = True) -> int | None:
    """Lock ``folder`` until ``unlock`` or the end of this process, however it comes.

    Returns None where another process holds it and ``wait`` is False, and on systems and file
    systems that cannot lock a folder.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(lock)
        return None
    return lock


def unlock(lock: int | None) -> None:
    """Give back what ``lock_folder`` returned."""
    if lock is not None:
        os.close(lock)


def refuse_existing_file(path: Path, *, overwrite: bool = False) -> None:
    """Raise UsageError ``output-exists`` where a file would be replaced unasked."""
    if os.path.lexists(path) and (path.is_dir() or not overwrite):
        hint = (
            "Choose another name with -o"
            if path.is_dir()
            else "Use --overwrite, or choose another name with -o"
        )
        raise UsageError("output-exists", f"{path} already exists", hint=hint)


def write_error(
    path: Path, error: OSError, *, hint: str = "Choose another folder with -o"
) -> ResourceError:
    """The stable error for a failed write to ``path``; hint: what to do where it is forbidden."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(
            "disk-full",
            f"No disk space is left for {path.name}",
            hint="Free some disk space and run the command again",
        )
    return ResourceError(
        "output-not-writable",
        f"{path.name} cannot be written ({error.strerror})",
        hint=hint,
    )
