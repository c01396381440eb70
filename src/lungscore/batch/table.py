"""The tables of a cohort and its page: made of the results that are stored."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from lungscore.batch.case import COHORT_FILES, WORKBOOK
from lungscore.batch.columns import BEFORE, COLUMNS, Row, columns, row_of
from lungscore.batch.dictionary import HEAD, dictionary_csv
from lungscore.batch.page import MARK, Cohort, render_page
from lungscore.batch.workbook import is_our_workbook, workbook
from lungscore.errors import InputError, LungscoreError, UsageError
from lungscore.files import (
    atomic_path,
    atomic_write,
    plain_cell,
    staging_folder,
    text_cell,
    write_error,
)
from lungscore.report.case_folder import check_writable
from lungscore.result.stored import damaged, stored_identifiers, stored_version
from lungscore.result.valid import read_valid

FAILURE_COLUMNS = ("case", "code", "message")

#: Rows that are held in memory at once.
BATCH = 1000


def refuse_tables(out: Path, *, overwrite: bool = False, resume: bool = False) -> None:
    """Raise UsageError ``output-exists`` where a file of the cohort may not be written.

    Without ``overwrite`` and ``resume`` none may be there; with ``resume`` those that an earlier
    run wrote, told by their first bytes. Raises ResourceError ``output-not-writable``.
    """
    check_writable(out)
    for name in COHORT_FILES:
        path = out / name
        if not os.path.lexists(path):
            continue
        plain = path.is_file() and not path.is_symlink()
        if plain and (overwrite or (resume and _ours(path))):
            continue
        hint = "Choose another folder with -o"
        if plain and not resume:
            hint = f"Continue with --resume, replace it with --overwrite, or {hint}"
        fault = f"{name} already exists in the output folder"
        raise UsageError("output-exists", fault + (" and is not ours" if resume else ""), hint=hint)


def _ours(path: Path) -> bool:
    """Whether a file of the cohort's name is one that ``write_cohort`` wrote."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet

        try:
            return pa.parquet.read_schema(path).names[:3] == list(BEFORE)
        except (pa.ArrowException, OSError):
            return False
    if path.suffix == ".xlsx":
        return is_our_workbook(path)
    heads = {"failures.csv": FAILURE_COLUMNS, "cohort-dictionary.csv": HEAD[:2]}
    first = ",".join(heads.get(path.name, BEFORE))
    begins = first if path.suffix == ".csv" else f"<!DOCTYPE html>\n{MARK}"
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(len(begins)) == begins


def write_cohort(
    out: Path, cases: Iterable[str], failures: Mapping[str, LungscoreError]
) -> dict[str, LungscoreError]:
    """Write the tables and the page of ``cases``, which lie in ``out`` or failed: all, or none.

    Returns the failures, with those of results among them that cannot be read back. Equal results
    give equal bytes. Memory grows with the failures alone. Raises ResourceError ``disk-full`` or
    ``output-not-writable``.
    """
    failed = dict(failures)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with staging_folder(out) as staging:
            _write_files(staging, out, cases, failed)
            for name in COHORT_FILES:
                os.replace(staging / name, out / name)
    except OSError as error:
        raise write_error(out / "cohort.csv", error) from error
    return failed


def refresh_page(out: Path) -> bool:
    """Write the page of the cohort in ``out`` anew, as its cases were reviewed since.

    False where there is no cohort of ours. Raises ResourceError where it cannot be written.
    """
    table, page = out / "cohort.csv", out / "cohort.html"
    if not all(path.is_file() and _ours(path) for path in (table, page)):
        return False
    cohort = Cohort()
    with open(table, newline="", encoding="utf-8") as file:
        for cells in csv.DictReader(file):
            case, row = plain_cell(cells["case"]), None
            if cells["status"] != "failed":
                with suppress(InputError):
                    row = _row(out / case / "result.json", case)
            code = cells["code"] or "case-damaged"
            cohort.add(row or {"case": case, "status": "failed", "code": code})
    atomic_write(page, render_page(cohort, out))
    return True


def _write_files(
    folder: Path, out: Path, cases: Iterable[str], failures: dict[str, LungscoreError]
) -> None:
    """Write ``COHORT_FILES`` into ``folder``; ``failures`` gets what cannot be read of ``out``."""
    import pyarrow as pa
    import pyarrow.parquet

    cohort = Cohort()
    order: list[str] = []
    with ExitStack() as stack:
        paths = {name: stack.enter_context(atomic_path(folder / name)) for name in COHORT_FILES[:2]}
        file = stack.enter_context(open(paths["cohort.csv"], "w", newline="", encoding="utf-8"))
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        sheet = None
        if WORKBOOK in COHORT_FILES:
            sheet = stack.enter_context(workbook(folder / WORKBOOK))
            sheet(COLUMNS)
        parquet = stack.enter_context(
            pa.parquet.ParquetWriter(paths["cohort.parquet"], _schema(), compression="zstd")
        )
        for rows in _batches(_rows(out, cases, failures)):
            for row in rows:
                cohort.add(row)
                if row["status"] == "failed":
                    order.append(row["case"])
            lines.writerows([text_cell(row.get(name)) for name in COLUMNS] for row in rows)
            if sheet is not None:
                for row in rows:
                    sheet(row.get(name) for name in COLUMNS)
            parquet.write_table(pa.Table.from_pylist(rows, schema=_schema()))
    with (
        atomic_path(folder / "failures.csv") as path,
        open(path, "w", newline="", encoding="utf-8") as file,
    ):
        lines = csv.writer(file)
        lines.writerow(FAILURE_COLUMNS)
        for case in order:
            error = failures[case]
            message = " ".join(error.message.split())
            lines.writerow(map(text_cell, (case, error.code, message)))
    atomic_write(folder / "cohort-dictionary.csv", dictionary_csv())
    atomic_write(folder / "cohort.html", render_page(cohort, out))


def _rows(out: Path, cases: Iterable[str], failures: dict[str, LungscoreError]) -> Iterator[Row]:
    """A row a case; a result that cannot be read back becomes a failure."""
    for case in cases:
        if case not in failures:
            try:
                yield _row(out / case / "result.json", case)
                continue
            except InputError as error:
                failures[case] = error
        yield {"case": case, "status": "failed", "code": failures[case].code}


def _row(path: Path, case: str) -> Row:
    called = f"result.json of {case}"
    content = read_valid(path, called)
    try:
        return row_of(content, case, stored_version(path.parent), stored_identifiers(path.parent))
    except (LookupError, TypeError) as error:
        raise damaged(called, f"it lacks {error}") from None
    except ValueError as error:
        raise damaged(called, str(error)) from None


def _schema() -> Any:
    import pyarrow as pa

    types = {"integer": pa.int32(), "number": pa.float64(), "text": pa.string()}
    return pa.schema([pa.field(column.name, types[column.kind]) for column in columns()])


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
