"""What one rater found in many cases: from a folder of results, or from a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lungscore.errors import InputError
from lungscore.result.case_tables import Table, read_table
from lungscore.result.numbers import MEASURES, Number, parse, stored_value
from lungscore.result.stored import damaged, place_of, printable, read_results
from lungscore.result.table_columns import RANGE_COLUMNS, REGION_COLUMNS


@dataclass(frozen=True)
class Ratings:
    """One rater's values.

    name: the rater's, for people. values: case -> measure -> value, None where it is missing; every
    case has every one of ``measures``. unknown: columns that name no measure. reports: case -> its
    report.html, where there is one.
    """

    name: str
    kind: Literal["results", "table"]
    values: dict[str, dict[str, float | None]]
    measures: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    reports: Mapping[str, Path] = field(default_factory=dict)


def read_ratings(path: Path, *, name: str | None = None) -> Ratings:
    """Read a folder of cases, one case's folder, or a CSV table.

    name: the rater's name; without it, that of the file or folder. Raises InputError
    ``input-not-found``, ``input-unreadable``, ``input-empty``, ``case-damaged``,
    ``schema-mismatch`` or ``table-invalid``.
    """
    try:
        own = printable(path.name or path.resolve().name)
        if not path.exists():
            raise InputError("input-not-found", f"There is no {own}")
        name = printable(name or "")
        if path.is_dir():
            return _from_folder(path, name or own)
        table = read_table(path, numbers=lambda column: _known(column) is not None)
        return _from_table(table, own, name or printable(path.stem))
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name} ({error.strerror})") from None


def _from_folder(folder: Path, name: str) -> Ratings:
    values, reports = {}, {}
    for case, path, content in read_results(folder):
        values[case] = {m.name: _value(content, m, path) for m in MEASURES.values()}
        report = path.with_name("report.html")
        if report.is_file():
            reports[case] = report.absolute()
    return Ratings(name, "results", values, tuple(MEASURES), reports=reports)


def _value(content: dict[str, Any], measure: Number, path: Path) -> float | None:
    value: Any = content
    for key in measure.keys:
        if not isinstance(value, dict) or key not in value:
            raise damaged(place_of(path), f"it has no {measure.path}")
        value = value[key]
    try:
        return stored_value(measure, value)
    except ValueError as error:
        raise damaged(place_of(path), str(error)) from None


def _from_table(table: Table, file: str, name: str) -> Ratings:
    """The values of a table; every one is checked against its measure."""
    measures = {column: measure for column in table.columns if (measure := _known(column))}
    if len({measure.name for measure in measures.values()}) < len(measures):
        raise InputError("table-invalid", f"{file}: two columns are the same measure")
    if not measures:
        raise InputError(
            "table-invalid",
            f"{file}: no column names a measure, only {', '.join(table.columns) or 'case'}",
            expected="columns such as infection_percent, ct_ss, mosmed or RUL infection_percent",
        )
    values: dict[str, dict[str, float | None]] = {}
    for line, given, cells in table.rows:
        case = printable(given)
        if not case:
            raise InputError("table-invalid", f"{file}, line {line}: the case has no name")
        if case in values:
            fault = f"{file}, line {line}: the case {case} occurred before"
            raise InputError("table-invalid", fault, expected="one row for each case")
        row: dict[str, float | None] = {}
        for column, measure in measures.items():
            text = cells[column]
            try:
                row[measure.name] = None if text is None else parse(measure, text)
            except ValueError as error:
                fault = f"{file}, line {line}: {column} of case {case} is {text[:40]!r}"  # type: ignore[index]
                raise InputError("table-invalid", fault, expected=str(error)) from None
        values[case] = row
    names = {measure.name for measure in measures.values()}
    ours = {*RANGE_COLUMNS, *REGION_COLUMNS}  # of a cohort.csv, and no measures
    unknown = tuple(column for column in table.columns if column not in {*measures, *ours})
    return Ratings(name, "table", values, tuple(m for m in MEASURES if m in names), unknown)


_BY_FOLDED_NAME = {name.casefold(): measure for name, measure in MEASURES.items()}


def _known(column: str) -> Number | None:
    return _BY_FOLDED_NAME.get(" ".join(column.casefold().split()))
