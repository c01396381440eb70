"""cohort.csv, cohort.parquet and failures.csv: made of the results that are stored."""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from lungscore.batch.case import COHORT_FILES
from lungscore.batch.page import MARK, Cohort, render_page
from lungscore.errors import InputError, LungscoreError, UsageError
from lungscore.files import atomic_path, atomic_write, staging_folder, text_cell, write_error
from lungscore.report.case_folder import check_writable
from lungscore.result.numbers import MEASURES, Number
from lungscore.result.stored import damaged, read_stored

#: Columns before and behind the measures. code: of the failure. withheld, warnings: codes, joined
#: by semicolons.
BEFORE, BEHIND = ("case", "status", "code"), ("withheld", "warnings")
COLUMNS = (*BEFORE, *MEASURES, *BEHIND)
FAILURE_COLUMNS = ("case", "code", "message")

#: Rows that are held in memory at once.
BATCH = 1000

Row = dict[str, Any]


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
    columns = FAILURE_COLUMNS if path.name == "failures.csv" else BEFORE
    begins = ",".join(columns) if path.suffix == ".csv" else f"<!DOCTYPE html>\n{MARK}"
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
        columns = stack.enter_context(
            pa.parquet.ParquetWriter(paths["cohort.parquet"], _schema(), compression="zstd")
        )
        for rows in _batches(_rows(out, cases, failures)):
            for row in rows:
                cohort.add(row)
                if row["status"] == "failed":
                    order.append(row["case"])
            lines.writerows([text_cell(row.get(name)) for name in COLUMNS] for row in rows)
            columns.write_table(pa.Table.from_pylist(rows, schema=_schema()))
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
    atomic_write(folder / "cohort.html", render_page(cohort))


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
    content = read_stored(path, f"result.json of {case}")
    try:
        row: Row = {"case": case, "status": "analysed", "code": None}
        for measure in MEASURES.values():
            row[measure.name] = _typed(measure, measure.value(content))
        row["withheld"] = ";".join(content["severity"]["withheld"])
        row["warnings"] = ";".join(dict.fromkeys(notice["code"] for notice in content["warnings"]))
        return row
    except (LookupError, TypeError, ValueError) as error:
        raise damaged(f"result.json of {case}", f"it lacks {error}") from None


def _whole(measure: Number) -> bool:
    return measure.kind == "total" or (measure.kind == "class" and measure.classes[0].isdigit())


def _typed(measure: Number, value: Any) -> float | int | str | None:
    if value is None:
        return None
    if _whole(measure):
        return int(value)
    return float(value) if measure.kind == "number" else str(value)


def _schema() -> Any:
    import pyarrow as pa

    def kind(name: str) -> Any:
        measure = MEASURES.get(name)
        if measure is None:
            return pa.string()
        if _whole(measure):
            return pa.int32()
        return pa.float64() if measure.kind == "number" else pa.string()

    return pa.schema([pa.field(name, kind(name)) for name in COLUMNS])


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
