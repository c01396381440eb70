"""Writing files so that they are whole or not there."""

import csv
import errno
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lungscore.errors import ResourceError, UsageError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    The temporary name keeps the suffixes (writers choose formats by them). On any failure the
    temporary file is removed and ``path`` stays as it was. Raises ResourceError ``disk-full`` or
    ``output-not-writable``.
    """
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
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


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def csv_text(columns: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV; None is an empty cell.

    Lines end as RFC 4180 has it: else Python leaves a lone carriage return in a cell unquoted.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def refuse_existing_file(path: Path, *, overwrite: bool = False) -> None:
    """Raise UsageError ``output-exists`` where a file would be replaced unasked."""
    if os.path.lexists(path) and (path.is_dir() or not overwrite):
        hint = "another name with -o" if path.is_dir() else "--overwrite, or another name with -o"
        raise UsageError("output-exists", f"{path.name} is there already", hint=hint)


def write_error(path: Path, error: OSError) -> ResourceError:
    """The stable error for a failed write to ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(
            "disk-full", f"no space left for {path.name}", hint="free some space and run again"
        )
    return ResourceError(
        "output-not-writable",
        f"{path.name} cannot be written ({error.strerror})",
        hint="choose another folder with -o",
    )
