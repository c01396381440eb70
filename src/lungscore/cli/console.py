"""What every command prints, and how much of it."""

import errno
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from lungscore.errors import LungscoreError, ResourceError, escaped, sentence


@dataclass(frozen=True)
class Verbosity:
    """How much is printed.

    quiet: only errors, and what the command exists to print. verbose: details too. debug: the
    traceback of a bug.
    """

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


#: What each global flag switches on.
GLOBAL_FLAGS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--debug": "debug",
}

_verbosity = Verbosity()


def take_global_flags(arguments: list[str], *, debug: bool = False) -> list[str]:
    """Set the verbosity from ``arguments``, wherever the flags stand, and return the others.

    What follows ``--`` is left alone.
    """
    global _verbosity
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = {GLOBAL_FLAGS[text] for text in arguments[:end] if text in GLOBAL_FLAGS}
    _verbosity = Verbosity("quiet" in flags, "verbose" in flags, debug or "debug" in flags)
    return [text for text in arguments[:end] if text not in GLOBAL_FLAGS] + arguments[end:]


def verbosity() -> Verbosity:
    """How much the running command prints."""
    return _verbosity


def say(text: str = "") -> None:
    """A line for people, on standard output. Raises ResourceError where it cannot be written."""
    try:
        typer.echo(printable(text))
    except OSError as error:
        raise output_error(error) from error


def summarise(text: str = "") -> None:
    """What a command that wrote files says of them, on standard output; not under --quiet."""
    if not _verbosity.quiet:
        say(text)


def note(text: str) -> None:
    """A line about progress, on standard error; not under --quiet."""
    if not _verbosity.quiet:
        complain(text)


def detail(text: str) -> None:
    """A line on standard error that only --verbose shows."""
    if _verbosity.verbose:
        complain(text)


def complain(text: str) -> None:
    """A line about something that went wrong, on standard error."""
    with suppress(OSError):  # what cannot be told must not end the work
        typer.echo(printable(text), err=True)


def say_json(value: Any) -> None:
    """One JSON document on one line, on standard output."""
    say(json.dumps(value, ensure_ascii=False, allow_nan=False))


def output_error(error: OSError) -> ResourceError:
    """The stable error where standard output cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError("disk-full", "No space is left for the output on standard output")
    return ResourceError(
        "output-not-writable",
        f"Standard output cannot be written ({error.strerror})",
        expected="a destination that takes all of the output",
    )


def describe(error: LungscoreError, subject: Path | None = None) -> str:
    """``error`` as people read it: its code, then what was found, expected and to be done.

    subject: the input that it concerns, named as the user typed it.
    """
    lead = "" if subject is None else f"{subject}: "
    lines = [f"{lead}error [{error.code}] {sentence(error.found)}"]
    if error.expected:
        lines.append(f"  Expected: {sentence(error.expected)}")
    if error.hint:
        lines.append(f"  What to do: {sentence(error.hint)}")
    return "\n".join(lines)


def as_json(
    error: LungscoreError, subject: Path | None = None, *, case: str | None = None
) -> dict[str, Any]:
    """``error`` for programs. subject: the input. case: the name of its folder."""
    named: dict[str, Any] = {} if case is None else {"case": case}
    if subject is not None:
        named["input"] = subject.name
    return {**named, "error": {"code": error.code, "message": error.message}}


def fail(error: LungscoreError) -> int:
    """Print ``error`` and return the exit code."""
    complain(describe(error))
    return error.exit_code


def internal_error(error: Exception) -> int:
    """Say that this is our fault and return the exit code."""
    hint = "Run the command again with --debug and report what it prints"
    fault = f"{type(error).__name__} in lungscore. This is a bug"
    return fail(LungscoreError("internal", fault, hint=hint))


def exit_with(code: int) -> None:
    """Leave the command with ``code``."""
    if code:
        sys.stdout.flush()
        raise typer.Exit(code)


def printable(text: str) -> str:
    """``text`` as a terminal may show it: in UTF-8, without control characters but line feeds.

    Bytes of file names that are not UTF-8 become question marks. JSON stays the same JSON.
    """
    return escaped(text.encode("utf-8", "replace").decode(), lines=True)
