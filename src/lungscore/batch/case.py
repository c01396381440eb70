"""One case of a run, and what its folder of results is called."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from os import fsencode
from pathlib import Path

from lungscore.errors import LungscoreError

#: Written where the extra ``tables`` is installed.
WORKBOOK = "cohort.xlsx"
#: What a cohort's own files are called; no case is, whatever is installed.
RESERVED = (
    *("cohort.csv", "cohort.parquet", "cohort.html", "failures.csv", "cohort-dictionary.csv"),
    WORKBOOK,
)
#: Those that are written here.
COHORT_FILES = RESERVED if find_spec("xlsxwriter") else RESERVED[:-1]

#: Between the folders of a case's name.
SEPARATOR = "__"


@dataclass(frozen=True)
class Case:
    """A scan and the name of its results. error: why it cannot be analysed, where that is known."""

    name: str
    path: Path
    error: LungscoreError | None = None


def parts_of(siblings: Iterable[str]) -> dict[str, str]:
    """own name -> its part of a case's name, of the files and folders of one folder.

    The part is the own name without a format's ending. Where it would be that of a sibling on some
    file system, or could be mistaken for several parts or for a file of ours, eight digits of the
    SHA-256 of the own name follow. So joined parts are never alike, and depend on the path and its
    siblings alone.
    """
    from lungscore.scan.names import case_name

    parts = {name: case_name(Path(name)) for name in siblings}
    alike = Counter(part.casefold() for part in parts.values())
    return {
        name: part if alike[part.casefold()] == 1 and _plain(part) else _with_digits(part, name)
        for name, part in parts.items()
    }


def _plain(part: str) -> bool:
    ambiguous = SEPARATOR in part or part.startswith("_") or part.endswith("_")
    return not ambiguous and part.casefold() not in RESERVED


def joined(parts: Iterable[str]) -> str:
    """The name of the case that lies at ``parts``."""
    from lungscore.scan.names import safe_name

    return safe_name(SEPARATOR.join(parts))


def distinct(names: Iterable[str]) -> dict[str, str]:
    """name -> folder name of cases that a table names: digits only where two would be alike."""
    from lungscore.scan.names import safe_name

    folders = {name: safe_name(name) for name in names}
    alike = Counter(folder.casefold() for folder in folders.values())
    return {
        name: _with_digits(folder, name)
        if alike[folder.casefold()] > 1 or folder.casefold() in RESERVED
        else folder
        for name, folder in folders.items()
    }


def _with_digits(part: str, name: str) -> str:
    from lungscore.scan.names import safe_name

    return safe_name(f"{part}-{hashlib.sha256(fsencode(name)).hexdigest()[:8]}")


def as_case(given: Path | Case, name: str | None = None) -> Case:
    """A path as a case, called as its file or ``name``."""
    if isinstance(given, Case):
        return given
    from lungscore.scan.names import case_name

    return Case(case_name(given, name), given)
