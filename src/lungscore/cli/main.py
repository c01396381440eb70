"""The entry point: exit codes as documented in docs/errors.md.

Signals are taken care of before anything large is loaded, so nothing large is imported here.
"""

import os
import signal
import sys
from contextlib import suppress

from lungscore.interruption import (
    EXIT_INTERRUPTED,
    MESSAGE,
    SIGNALS,
    end_now,
    end_when_told,
    is_told,
)

__all__ = ["EXIT_INTERRUPTED", "call", "run"]


def run() -> None:
    """Every failure ends as a message and an exit code, never as a traceback."""
    _open_missing_streams()
    end_when_told()
    try:
        code = call(sys.argv[1:])
        # The work is done: whatever comes now is too late to interrupt it. Ignored rather than
        # blocked, since Python gives handlers of its own back to the system as it ends.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:  # while loading, or while another failure was told
        code = EXIT_INTERRUPTED
    if is_told():
        if code != EXIT_INTERRUPTED:  # the interruption ended it in another guise
            _say_interrupted()
        end_now()
    sys.exit(_flushed(code))


def call(arguments: list[str], *, debug: bool = False) -> int:
    """Run one command and return its exit code."""
    try:
        from lungscore.cli import commands
        from lungscore.temporary import clear_temporary_folders

        clear_temporary_folders()
    except KeyboardInterrupt:
        _say_interrupted()
        return EXIT_INTERRUPTED
    return commands.call(arguments, debug=debug)


def _say_interrupted() -> None:
    with suppress(OSError, AttributeError):  # there may be no standard error
        sys.stderr.write(MESSAGE)


def _open_missing_streams() -> None:
    """Standard streams that the caller closed lead nowhere: else the next file that is opened
    would take their number, and what libraries print would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _flushed(code: int) -> int:
    """``code``, or that of a failure to write the last of what was printed."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        from lungscore.cli.console import fail, output_error

        # What is left must not be tried again as Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return code or fail(output_error(error))
    return code
