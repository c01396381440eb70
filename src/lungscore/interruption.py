"""Ctrl-C and requests to stop: the process ends within seconds, whatever it is doing.

The first signal raises KeyboardInterrupt in the main thread, so that every block clears up after
itself; further ones are ignored meanwhile. Where that takes too long, since a library does not
return, a lock is held or the exception was lost in a callback, a thread that only waits for signals
clears up what is known to be temporary and ends the process.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType

TYPE_CHECKING = False
if TYPE_CHECKING:  # what loads slowly waits until signals are taken care of
    from pathlib import Path

EXIT_INTERRUPTED = 130
MESSAGE = "The run was interrupted.\n"

#: Seconds from the first signal to the end of the process.
PATIENCE_S = 3.0

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_told = threading.Event()

#: Files and folders that must not outlive this process.
_temporary: "set[Path]" = set()


def end_when_told() -> None:
    """From now on SIGINT and SIGTERM end this process. Call it once, from the main thread."""
    for number in SIGNALS:
        signal.signal(number, _raise_once)
    if os.name != "posix":  # there a pipe cannot wake anybody: the exception is all
        return
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    # The system writes the signal's number here at once, whatever Python is waiting for.
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours,), name="interruption", daemon=True).start()


def is_told() -> bool:
    """Whether this process was told to end."""
    return _told.is_set()


def keep_until_removed(path: "Path") -> None:
    """``path``, which is about to be made, must not outlive this process."""
    _temporary.add(path)


def is_removed(path: "Path") -> None:
    """``path`` is gone, or no longer temporary."""
    _temporary.discard(path)


def remove_temporary() -> None:
    """Remove all that is still temporary."""
    if not _temporary:
        return
    import shutil

    for _ in range(2):  # another thread may have written into a folder as it went
        for path in list(_temporary):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink(missing_ok=True)


def end_now() -> None:
    """End this interrupted process: without what is temporary, and without waiting for threads."""
    remove_temporary()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a closed pipe must not keep it
            stream.flush()
    os._exit(EXIT_INTERRUPTED)


def _raise_once(_number: int, _frame: FrameType | None) -> None:
    if not _told.is_set():
        _told.set()
        # Within a callback of a library the exception is lost, and threads fail as their files go:
        # neither is news to who interrupted. The watching thread ends the process all the same.
        sys.unraisablehook = lambda _: None
        threading.excepthook = lambda _: None
        raise KeyboardInterrupt


def _watch(signals: int) -> None:
    """End this process some time after the first of ``SIGNALS``. signals: where they are told."""
    while not set(os.read(signals, 64)) & set(SIGNALS):
        pass
    # Whoever ends sooner ends the whole process, this thread with it.
    threading.Event().wait(PATIENCE_S)
    with suppress(Exception):
        os.write(2, MESSAGE.encode())
    end_now()
