"""Temporary folders that do not outlive their process, not even one that was killed."""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lungscore.errors import ResourceError
from lungscore.files import lock_folder, locked_folder, unlock, write_error

_PREFIX = "lungscore-"
_NAME = re.compile(_PREFIX + "[0-9a-f]{12}")
_VARIABLES = ("TMPDIR", "TEMP", "TMP")


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new empty folder for this user alone; it and its content go when the block ends.

    It is locked all the while, so that ``clear_temporary_folders`` can tell it from what a killed
    process left. Raises ResourceError ``output-not-writable`` or ``disk-full``.
    """
    parent = parent_folder()
    clear_temporary_folders(parent)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(locked_folder(parent, _PREFIX, mode=0o700))
        except OSError as error:
            raise write_error(parent, error) from error
        yield folder


def parent_folder() -> Path:
    """The system's temporary folder.

    Python passes over a folder that is full, missing or read-only: then the one that is used
    instead is named on standard error. Raises ResourceError ``output-not-writable``.
    """
    known = tempfile.tempdir is not None
    try:
        parent = Path(tempfile.gettempdir())
    except OSError:
        raise ResourceError(
            "output-not-writable",
            "No temporary folder can be written to",
            expected="a folder with free space, named by the environment variable TMPDIR",
        ) from None
    named = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
    if named is not None and not known and os.path.abspath(named) != str(parent):
        text = "the temporary folder %s cannot be written to, %s is used instead"
        logging.getLogger("lungscore").warning(text, named, parent)
    return parent


def clear_temporary_folders(parent: Path | None = None) -> None:
    """Remove the temporary folders of processes that were killed, this user's own alone.

    Nothing is removed that a process still holds, or where folders cannot be locked.
    """
    with suppress(OSError):
        parent = parent or Path(tempfile.gettempdir())
        for entry in list(os.scandir(parent)):
            if not _NAME.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                continue
            if hasattr(os, "getuid") and entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            lock = lock_folder(Path(entry.path), wait=False)
            if lock is not None:
                shutil.rmtree(entry.path, ignore_errors=True)
                unlock(lock)
