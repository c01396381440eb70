"""A table of ratings, or of patients: CSV as people and spreadsheets write it."""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lungscore.errors import InputError
from lungscore.files import plain_cell

#: Bytes that no table of ratings comes near.
MAX_BYTES = 2**25

#: What a cell holds that has no value, folded.
MISSING = frozenset({"", "null", "na", "n/a"})

_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+,\d+")
_NUMBER_WITH_POINT = re.compile(r"[+-]?\d+\.\d+")


@dataclass(frozen=True)
class Table:
    """columns: those after the first, as written. rows: line number, the first cell, and the text
    of each other column with a decimal point, None where there is no value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, str, dict[str, str | None]], ...]


def read_table(
    path: Path,
    *,
    first_column: str = "case",
    numbers: Callable[[str], bool] = lambda column: True,
) -> Table:
    """Read a CSV file whose first line names the columns, the first of them ``first_column``.

    Comma, semicolon or tabulator separates, whichever the first line has first. In a table that
    commas do not separate a decimal comma is read as such, unless decimal points stand there too.
    numbers: which columns hold numbers that are used; those of others stay as they are.
    UTF-8, with or without byte order mark. Raises InputError ``input-unreadable`` or
    ``table-invalid``, and OSError.
    """
    name = path.name
    text = _text(path)
    lines = _cells(text, name)
    first = next(lines, None)
    if first is None:
        raise _invalid(name, "it is empty", expected="a first line with the names of the columns")
    header = [cell.strip() for cell in first[1]]
    while len(header) > 1 and not header[-1]:  # spreadsheets leave separators at the end
        header.pop()
    if header[0].casefold() != first_column:
        expected = f"a CSV table whose first column is named {first_column}"
        raise _invalid(name, f"the first column is named {header[0][:60]!r}", expected=expected)
    columns = tuple(header[1:])
    if "" in columns:
        raise _invalid(name, f"column {columns.index('') + 2} has no name")
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise _invalid(name, f"two columns are named {twice[0][:60]!r}")
    rows = [_row(number, cells, columns, name) for number, cells in lines]
    if not rows:
        raise _invalid(name, f"it holds no {first_column}")
    used = frozenset(column for column in columns if numbers(column))
    return Table(columns, _with_points(rows, used, separator=_separator(text), name=name))


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        raise _invalid(path.name, f"it is larger than {MAX_BYTES >> 20} MiB")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        hint = "Save it as CSV UTF-8, or give a folder of results"
        raise _invalid(path.name, "it is not UTF-8 text", hint=hint)
    return text


def _separator(text: str) -> str:
    """The separator that stands first in the first line."""
    first = text.lstrip().split("\n", 1)[0]
    return min(",;\t", key=lambda sign: first.find(sign) if sign in first else len(first))


def _cells(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise _invalid(name, f"line {reader.line_num} is not CSV ({error})") from None


def _row(
    number: int, cells: list[str], columns: tuple[str, ...], name: str
) -> tuple[int, str, dict[str, str | None]]:
    given = [cell.strip() for cell in cells]
    values = given[1 : len(columns) + 1]
    if len(values) < len(columns) or any(given[len(columns) + 1 :]):
        raise _invalid(
            name,
            f"line {number} has {len(given)} cells, the first line {len(columns) + 1}",
            hint="With decimal commas, let semicolons separate the columns",
        )
    missing = (None if value.casefold() in MISSING else value for value in values)
    return number, plain_cell(given[0]), dict(zip(columns, missing, strict=True))


def _with_points(
    rows: list[tuple[int, str, dict[str, str | None]]],
    used: Collection[str],
    *,
    separator: str,
    name: str,
) -> tuple[tuple[int, str, dict[str, str | None]], ...]:
    """The rows with decimal points, or a rejection where a comma may mean something else."""
    texts = [
        (number, column, text)
        for number, _, cells in rows
        for column, text in cells.items()
        if text is not None and column in used
    ]
    comma = next((at for at in texts if _NUMBER_WITH_COMMA.fullmatch(at[2])), None)
    if comma is None:
        return tuple(rows)
    line, column, text = comma
    where = f"line {line}, {column[:60]}: {text!r}"
    if separator == ",":
        fault = f"{where} has a comma in a table that commas separate"
        raise _invalid(name, fault, expected="decimal points")
    if point := next((at for at in texts if _NUMBER_WITH_POINT.fullmatch(at[2])), None):
        fault = f"{where}, and line {point[0]}, {point[1][:60]}: {point[2]!r}"
        raise _invalid(name, fault, expected="one decimal sign")
    return tuple(
        (
            number,
            case,
            {
                column: text.replace(",", ".")
                if text is not None and column in used and _NUMBER_WITH_COMMA.fullmatch(text)
                else text
                for column, text in cells.items()
            },
        )
        for number, case, cells in rows
    )


def _invalid(name: str, fault: str, *, expected: str = "", hint: str = "") -> InputError:
    return InputError("table-invalid", f"{name}: {fault}", expected=expected, hint=hint)
