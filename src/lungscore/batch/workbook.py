"""cohort.xlsx: the table as a workbook (the extra ``tables``)."""

import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lungscore.files import atomic_path

#: By this a workbook is known as ours.
AUTHOR = "lungscore cohort"


@contextmanager
def workbook(path: Path) -> Iterator[Callable[[Iterable[object]], None]]:
    """A function that writes one row after the other; the file is there when the block ends well.

    Text stays text, whatever it begins with. Rows are not held in memory, and equal rows give equal
    bytes.
    """
    import xlsxwriter

    with atomic_path(path) as temporary:
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        with xlsxwriter.Workbook(str(temporary), options) as book:
            book.set_properties({"author": AUTHOR, "created": datetime(2020, 1, 1)})
            sheet = book.add_worksheet("cohort")
            sheet.freeze_panes(1, 1)
            number = 0

            def write(cells: Iterable[object]) -> None:
                nonlocal number
                for column, cell in enumerate(cells):
                    if isinstance(cell, str):
                        sheet.write_string(number, column, cell)
                    elif isinstance(cell, int | float):
                        sheet.write_number(number, column, cell)
                number += 1

            yield write


def is_our_workbook(path: Path) -> bool:
    """Whether ``workbook`` wrote ``path``."""
    try:
        with zipfile.ZipFile(path) as book:
            return f"<dc:creator>{AUTHOR}</dc:creator>".encode() in book.read("docProps/core.xml")
    except (OSError, KeyError, zipfile.BadZipFile):
        return False
