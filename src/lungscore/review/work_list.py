"""The cases of a folder of results in the order in which they are reviewed, and how far that is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lungscore.errors import InputError, LungscoreError
from lungscore.files import plain_cell
from lungscore.report.review_file import verdicts_of
from lungscore.result.case_tables import read_table
from lungscore.result.numbers import NUMBERS, value_at
from lungscore.result.stored import RESULT, printable
from lungscore.result.valid import read_valid
from lungscore.review.log import logged_work

#: Of a reader's work at a case that is not saved.
OPEN = "open"


@dataclass(frozen=True)
class ListedCase:
    """A case of the list. result: content of its result.json; None where ``error`` says why not."""

    name: str
    folder: Path
    result: dict[str, Any] | None
    error: LungscoreError | None = None

    def number(self, name: str) -> Any:
        """One of the numbers of its result, by name."""
        return None if self.result is None else value_at(self.result, NUMBERS[name].path)


@dataclass(frozen=True)
class ReadingList:
    """Who reads what, from a file: case and reader of each row, in its order."""

    rows: tuple[tuple[str, str | None], ...] = ()
    readers: tuple[str, ...] = field(default=())

    def cases_of(self, reader: str | None) -> list[str]:
        """The cases of ``reader``; those that name no reader are everybody's. All without one."""
        mine = (case for case, who in self.rows if reader is None or who in (None, reader))
        return list(dict.fromkeys(mine))


def read_reading_list(path: Path) -> ReadingList:
    """A reading list: CSV with the columns case and reader (which may be missing or empty).

    Raises InputError ``input-not-found`` or ``table-invalid``.
    """
    try:
        table = read_table(path, numbers=lambda column: False)
    except OSError:
        raise InputError("input-not-found", f"No such reading list: {path}") from None
    column = next((name for name in table.columns if name.casefold() == "reader"), None)
    rows = []
    for line, case, cells in table.rows:
        if not case:
            raise InputError("table-invalid", f"{path.name}, line {line}: the case has no name")
        reader = cells[column] if column else None
        rows.append((printable(case), printable(plain_cell(reader)) if reader else None))
    readers = tuple(dict.fromkeys(reader for _, reader in rows if reader))
    return ReadingList(tuple(rows), readers)


def listed_cases(results: Path) -> list[ListedCase]:
    """The cases in a folder of results, or the case that it is; worst and least reliable first.

    A case whose result cannot be read stands last and says why. Raises InputError
    ``input-not-found`` or ``input-empty``.
    """
    called = printable(results.name or results.resolve().name)
    if not results.is_dir():
        raise InputError("input-not-found", f"No such folder: {called}")
    folders = [results] if (results / RESULT).is_file() else sorted(results.iterdir())
    cases = [
        _listed(folder)
        for folder in folders
        if not folder.name.startswith(".") and (folder / RESULT).is_file()
    ]
    if not cases:
        hint = "Give a folder that lungscore analyze or score wrote"
        raise InputError("input-empty", f"{called} contains no results", hint=hint)
    return sorted(cases, key=_urgency)


def _listed(folder: Path) -> ListedCase:
    name = printable(folder.name or folder.resolve().name)
    try:
        return ListedCase(name, folder.resolve(), read_valid(folder / RESULT, name))
    except LungscoreError as error:
        return ListedCase(name, folder.resolve(), None, error)


def _urgency(case: ListedCase) -> tuple:
    """Ascending: the least reliable grade first, and of a grade the case with most opacity."""
    grade = case.number("reliability") or ""
    percent = case.number("infection_percent")
    return case.error is not None, -ord(grade or "@"), -(percent or 0.0), case.name


def in_list_order(cases: Iterable[ListedCase], names: list[str]) -> list[ListedCase]:
    """Those of ``cases`` that ``names`` names, in its order."""
    by_name = {case.name: case for case in cases}
    return [by_name[name] for name in names if name in by_name]


def states_of(folder: Path) -> dict[str, str]:
    """reader -> verdict of the review that was saved last, or OPEN where there is unsaved work.

    A review that cannot be read is as if it were not there.
    """
    states = verdicts_of(folder)
    for reader, records in logged_work(folder):
        deeds = [record.get("do") for record in records]
        steps = [deed for deed in deeds if deed in ("edit", "undo", "redo", "save")]
        if steps and steps[-1] != "save":
            states[reader] = OPEN
    return states
