"""Numbers about patients that no scan shows: age, sex, laboratory values, from a CSV table."""

import difflib
import math
import re
from collections.abc import Sequence
from pathlib import Path

from lungscore.errors import InputError
from lungscore.result.case_tables import read_table
from lungscore.result.stored import printable

#: How a table may write the sex, as 0 and 1.
SEXES = {"female": 0.0, "f": 0.0, "male": 1.0, "m": 1.0}

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_covariates(path: Path, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """patient -> name -> value, None where the cell is empty; of the columns ``names`` alone.

    The first column is named ``patient``; each patient stands on one line. Raises InputError
    ``input-not-found``, ``input-unreadable`` or ``table-invalid``, which names line and column.
    """
    try:
        if not path.is_file():
            raise InputError("input-not-found", f"No such table: {path}")
        folded = {name.casefold() for name in names}
        table = read_table(
            path, first_column="patient", numbers=lambda column: column.casefold() in folded
        )
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name} ({error.strerror})") from None
    columns = {name: _column(name, table.columns, path.name) for name in names}
    values: dict[str, dict[str, float | None]] = {}
    for line, given, cells in table.rows:
        patient = printable(given)
        if not patient or patient in values:
            told = "the patient has no name" if not patient else "its patient occurred before"
            raise InputError(
                "table-invalid",
                f"{path.name}, line {line}: {told}",
                expected="one line for each patient",
            )
        values[patient] = {
            name: _value(cells[column], f"{path.name}, line {line}: {column}")
            for name, column in columns.items()
        }
    return values


def _column(name: str, columns: Sequence[str], file: str) -> str:
    folded = {column.casefold(): column for column in columns}
    if (column := folded.get(name.casefold())) is not None:
        return column
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    raise InputError(
        "table-invalid",
        f"{file}: it has no column {name}",
        expected=", ".join(columns) or "a column for each covariate",
        hint=f"Do you mean {folded[close[0]]}?" if close else "",
    )


def _value(text: str | None, where: str) -> float | None:
    if text is None:
        return None
    if (sex := SEXES.get(text.casefold())) is not None:
        return sex
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise InputError(
            "table-invalid",
            f"{where} is {text[:40]!r}",
            expected="a number, female or male, or an empty cell",
        )
    return value
