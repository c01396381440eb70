"""The tables of datasets: CSV as published, whatever the case of its column names."""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence

from lungscore.datasets.visit import Visit


def read_table(
    visit: Visit,
    table: str,
    columns: Sequence[str],
    *,
    encodings: Sequence[str] = ("utf-8-sig",),
    optional: bool = False,
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells) of a CSV below the visit's root, cells stripped, by the names in ``columns``.

    Columns are found whatever their case and spaces; others of the table are kept under their own
    names. A missing table (unless ``optional``), another encoding, a missing column and a row of
    another length are told to the visit; after the first three nothing is yielded.
    """
    text = _text(visit, table, encodings, optional=optional)
    if text is None:
        return
    if "\0" in text:
        visit.problem("table-values", table, "it contains zero bytes, so it is not a table")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        names = _names(visit, table, header, columns)
        if names is None:
            return
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                fault = f"line {reader.line_num} has {len(cells)} cells, the header {len(names)}"
                visit.problem("table-values", table, fault)
                continue
            yield reader.line_num, {n: c.strip() for n, c in zip(names, cells, strict=True)}
    except csv.Error as error:
        visit.problem("table-values", table, f"line {reader.line_num} is not CSV ({error})")


def read_lines(
    visit: Visit, table: str, *, encodings: Sequence[str] = ("utf-8-sig",)
) -> list[str] | None:
    """The lines of a list below the visit's root, stripped, empty ones left out.

    A missing list and another encoding are told to the visit; None then.
    """
    text = _text(visit, table, encodings)
    return None if text is None else [line.strip() for line in text.splitlines() if line.strip()]


def _text(
    visit: Visit, table: str, encodings: Sequence[str], *, optional: bool = False
) -> str | None:
    path = visit.root / table
    if not path.is_file():
        if not optional:
            visit.problem("table-missing", table, "there is no such table")
        return None
    visit.use(path)
    text = _decoded(path.read_bytes(), encodings)
    if text is None:
        visit.problem("table-encoding", table, f"it is not in {' or '.join(encodings)}")
    return text


def _decoded(content: bytes, encodings: Sequence[str]) -> str | None:
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _names(
    visit: Visit, table: str, header: Sequence[str], columns: Sequence[str]
) -> list[str] | None:
    """What the columns of the header are called here; None where one is missing."""
    wanted = {_folded(name): name for name in columns}
    names: list[str] = []
    for name in header:
        known = wanted.pop(_folded(name), name.strip())
        # A name that occurs twice means its first column.
        names.append(known if known not in names else f"{known} ({len(names) + 1})")
    for folded, name in wanted.items():
        close = difflib.get_close_matches(folded, map(_folded, header), n=1)
        nearest = next((h.strip() for h in header if close and _folded(h) == close[0]), None)
        also = f"; the nearest is {nearest!r}" if nearest else ""
        visit.problem("table-columns", table, f"it has no column {name!r}{also}")
    return None if wanted else names


def _folded(name: str) -> str:
    return "".join(name.casefold().split()).replace("_", "").replace("-", "")
