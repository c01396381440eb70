"""The manifest of a prepared dataset: one row an image file, as Parquet or CSV.

Columns: ``COLUMNS``. Paths are relative to the manifest's own folder, with forward slashes, so that
it moves together with its data.
"""

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

from lungscore.datasets.records import Group, Kind
from lungscore.errors import InputError, ResourceError, UsageError
from lungscore.files import plain_cell, text_cell

#: Rows that are held in memory at once.
BATCH = 10_000

FORMATS = (".parquet", ".csv")


@dataclass(frozen=True)
class Row:
    """One image file.

    case: the scan that it belongs to. patient: None where the dataset does not say. group: "train",
    "validation" or "test"; a patient is in one only. label: class of the case, slice_label: of this
    slice. source: the dataset. kind: "slice", "volume" or "dicom". mask: its label image.
    """

    case: str
    patient: str | None
    group: Group
    label: str | None
    slice_label: str | None
    source: str
    kind: Kind
    path: str
    mask: str | None
    sha256: str
    mask_sha256: str | None

    @property
    def unit(self) -> str:
        """What splits keep together: the patient, or the case where no patient is known."""
        return self.patient or self.case

    def placed(self, root: Path, folder: Path) -> "Row":
        """The row with its paths, now relative to ``root``, relative to ``folder``."""
        mask = None if self.mask is None else _from(self.mask, root, folder)
        return replace(self, path=_from(self.path, root, folder), mask=mask)


COLUMNS = tuple(column.name for column in fields(Row))
_cells = attrgetter(*COLUMNS)
_NEVER_EMPTY = ("case", "group", "source", "kind", "path", "sha256")


def _from(path: str, root: Path, folder: Path) -> str:
    target = root / path
    try:
        return Path(os.path.relpath(target, folder)).as_posix()
    except ValueError:  # another drive
        return target.as_posix()


def check_format(path: Path) -> None:
    """Raise UsageError where the name of a manifest does not say its format."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            "usage",
            f"{path.name} does not say its format",
            expected="a name that ends in .parquet or .csv",
        )


def write_rows(rows: Iterable[Row], path: Path) -> Counter[str]:
    """Write rows in the format that the suffix names; how many by group. Holds few in memory."""
    writer = _write_parquet if path.suffix.lower() == ".parquet" else _write_csv
    return writer(rows, path)


def read_rows(
    path: Path, *, refused: Callable[[str, InputError], object] | None = None
) -> Iterator[Row]:
    """The rows of a manifest, paths as they stand in it. Holds few in memory.

    refused: is told of every wrong row, by the name of its case where it has one, and reading goes
    on. Raises InputError input-not-found or manifest-invalid, which names the row.
    """
    check_format(path)
    if not path.is_file():
        raise InputError("input-not-found", f"No such manifest: {path}")
    reader = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    for number, values in enumerate(reader(path), start=1):
        try:
            if isinstance(values, InputError):
                raise values
            row = _checked(values, path, number)
        except InputError as error:
            if refused is None:
                raise
            case = None if isinstance(values, InputError) else values["case"]
            refused(case if case and isinstance(case, str) else f"row {number}", error)
            continue
        yield row


def _checked(values: dict[str, Any], path: Path, number: int) -> Row:
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise _invalid(path, f"row {number}: {name} is {value!r}", expected="text")
    empty = [name for name in _NEVER_EMPTY if not values[name]]
    if empty:
        raise _invalid(path, f"row {number} has no {empty[0]}")
    for name, allowed in (("group", get_args(Group)), ("kind", get_args(Kind))):
        if values[name] not in allowed:
            fault = f"row {number}: {name} is {str(values[name])[:40]!r}"
            raise _invalid(path, fault, expected=" | ".join(allowed))
    return Row(**values)


def _invalid(path: Path, fault: str, *, expected: str = "") -> InputError:
    hint = "Write it with lungscore data prepare"
    return InputError("manifest-invalid", f"{path.name}: {fault}", expected=expected, hint=hint)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _write_csv(rows: Iterable[Row], path: Path) -> Counter[str]:
    groups: Counter[str] = Counter()
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)  # lines end as in RFC 4180: else a lone \r is not quoted
        writer.writerow(COLUMNS)
        for batch in _batches(rows):
            writer.writerows(map(text_cell, _cells(row)) for row in batch)
            groups.update(row.group for row in batch)
    return groups


def _read_csv(path: Path) -> Iterator[dict[str, Any] | InputError]:
    """The cells of each row, or what is wrong with their number."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames or ())
            for number, row in enumerate(reader, start=1):
                if None in row or None in row.values():
                    yield _invalid(path, f"row {number} has another number of cells")
                    continue
                yield {name: plain_cell(row[name]) or None for name in COLUMNS}
    except (UnicodeDecodeError, csv.Error) as error:
        raise _invalid(path, f"it is not CSV in UTF-8 ({type(error).__name__})") from None


def _check_columns(path: Path, names: Iterable[str]) -> None:
    if missing := [name for name in COLUMNS if name not in set(names)]:
        raise _invalid(path, f"it has no column {missing[0]}", expected=", ".join(COLUMNS))


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ResourceError(
            "library-missing",
            "PyArrow is not installed",
            hint="pip install pyarrow, or name the manifest .csv",
        ) from None
    return pa


def _write_parquet(rows: Iterable[Row], path: Path) -> Counter[str]:
    pa = _pyarrow()
    schema = pa.schema([pa.field(name, pa.string()) for name in COLUMNS])
    groups: Counter[str] = Counter()
    with pa.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(rows):
            columns = zip(*map(_cells, batch), strict=True)
            arrays = [pa.array(column, pa.string()) for column in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            groups.update(row.group for row in batch)
    return groups


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    pa = _pyarrow()
    is_string, is_large_string = pa.types.is_string, pa.types.is_large_string
    is_string_view, is_null = pa.types.is_string_view, pa.types.is_null
    try:
        with pa.parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            for name in COLUMNS:  # dates and the like may not even be converted
                kind = file.schema_arrow.field(name).type
                kind = kind.value_type if pa.types.is_dictionary(kind) else kind
                if not any(
                    of(kind) for of in (is_string, is_large_string, is_string_view, is_null)
                ):
                    raise _invalid(path, f"column {name} is {kind}", expected="text")
            for batch in file.iter_batches(BATCH, columns=list(COLUMNS)):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _invalid(path, f"it is not a Parquet file ({type(error).__name__})") from None
