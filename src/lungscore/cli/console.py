"""What every command prints alike."""

import errno
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from lungscore.errors import LungscoreError, ResourceError, escaped


def say(text: str = "") -> None:
    """A line for people, on standard output. Raises ResourceError where it cannot be written."""
    try:
        typer.echo(printable(text))
    except OSError as error:
        raise output_error(error) from error


def note(text: str) -> None:
    """A line about progress, on standard error."""
    with suppress(OSError):  # what cannot be told must not end the work
        typer.echo(printable(text), err=True)


def say_json(value: Any) -> None:
    """One JSON document on one line, on standard output."""
    say(json.dumps(value, ensure_ascii=False, allow_nan=False))


def output_error(error: OSError) -> ResourceError:
    """The stable error where standard output cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError("disk-full", "no space left for what is printed")
    return ResourceError(
        "output-not-writable",
        f"standard output cannot be written ({error.strerror})",
        expected="a reader that takes all of it",
    )


def describe(error: LungscoreError) -> str:
    """``error`` as people read it: its code, then what was found, expected and to be done."""
    lines = [f"error [{error.code}] {error.found}"]
    if error.expected:
        lines.append(f"  expected: {error.expected}")
    if error.hint:
        lines.append(f"  what to do: {error.hint}")
    return "\n".join(lines)


def as_json(error: LungscoreError, case: Path | None = None) -> dict[str, Any]:
    """``error`` for programs."""
    named = {} if case is None else {"input": case.name}
    return {**named, "error": {"code": error.code, "message": error.message}}


def fail(error: LungscoreError) -> int:
    """Print ``error`` and return the exit code."""
    note(describe(error))
    return error.exit_code


def internal_error(error: Exception) -> int:
    """Say that this is our fault and return the exit code."""
    hint = "run again with --debug and report what it prints"
    return fail(LungscoreError("internal", f"{type(error).__name__} in lungscore", hint=hint))


def exit_with(code: int) -> None:
    """Leave the command with ``code``."""
    if code:
        sys.stdout.flush()
        raise typer.Exit(code)


def printable(text: str) -> str:
    """``text`` as a terminal may show it: in UTF-8, without control characters but line feeds.

    Bytes of file names that are no UTF-8 become question marks. JSON stays the same JSON.
    """
    return escaped(text.encode("utf-8", "replace").decode(), lines=True)
