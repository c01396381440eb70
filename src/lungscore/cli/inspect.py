"""lungscore inspect: what an input holds."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import exit_with, say, say_json
from lungscore.cli.options import AsLine
from lungscore.errors import InputError


def inspect(
    path: Annotated[Path, typer.Argument(metavar="INPUT", help="Any input that analyze accepts.")],
    as_line: AsLine = False,
) -> None:
    """Show what an input contains: series, geometry, HU plausibility. Writes nothing.

    The exit code is 3 if analyze would reject the input; the reason is shown.
    """
    from lungscore.scan import inspect_input

    report = inspect_input(path)
    if as_line:
        say_json(report)
    else:
        for key, value in report.items():
            _print(key, value, 0)
    if report["rejection"] is not None:
        exit_with(InputError.exit_code)


def _print(key: str, value: object, depth: int) -> None:
    """Nested facts as an indented list."""
    lead = "  " * depth
    if isinstance(value, dict):
        say(f"{lead}{key}:")
        for inner, content in value.items():
            _print(inner, content, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        say(f"{lead}{key}:")
        for entry in value:
            text = ", ".join(f"{name} {json.dumps(content)}" for name, content in entry.items())
            say(f"{lead}  - {text}")
    else:
        say(f"{lead}{key}: {json.dumps(value, ensure_ascii=False)}")
