"""One case of a run, and what its folder of results is called."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from os import fsencode
from pathlib import Path

from lungscore.errors import LungscoreError

#: What a cohort's own files are called; no case is.
COHORT_FILES = ("cohort.csv", "cohort.parquet", "cohort.html", "failures.csv")

#: Between the folders of a case's name.
SEPARATOR = "__"


@dataclass(frozen=True)
class Case:
    """A scan and the name of its results. error: why it cannot be analysed, where that is known."""

    name: str
    path: Path
    error: LungscoreError | None = None


def components_of(siblings: Iterable[str]) -> dict[str, str]:
    """own name -> its component of a case's name, of the files and folders of one folder.

    The component is the own name without a format's ending. Where it would be that of a sibling on
    some file system, or could be mistaken for several components or for a file of ours, eight
    digits of the SHA-256 of the own name follow. So joined components are never alike, and depend
    on the path and its siblings alone.
    """
    from lungscore.scan.names import case_name

    components = {name: case_name(Path(name)) for name in siblings}
    alike = Counter(component.casefold() for component in components.values())
    return {
        name: component
        if alike[component.casefold()] == 1 and _plain(component)
        else _with_digits(component, name)
        for name, component in components.items()
    }


def _plain(component: str) -> bool:
    ambiguous = SEPARATOR in component or component.startswith("_") or component.endswith("_")
    return not ambiguous and component.casefold() not in COHORT_FILES


def joined(components: Iterable[str]) -> str:
    """The name of the case that lies at ``components``."""
    from lungscore.scan.names import safe_name

    return safe_name(SEPARATOR.join(components))


def distinct(names: Iterable[str]) -> dict[str, str]:
    """name -> folder name of cases that a table names: digits only where two would be alike."""
    from lungscore.scan.names import safe_name

    folders = {name: safe_name(name) for name in names}
    alike = Counter(folder.casefold() for folder in folders.values())
    return {
        name: _with_digits(folder, name)
        if alike[folder.casefold()] > 1 or folder.casefold() in COHORT_FILES
        else folder
        for name, folder in folders.items()
    }


def _with_digits(component: str, name: str) -> str:
    from lungscore.scan.names import safe_name

    return safe_name(f"{component}-{hashlib.sha256(fsencode(name)).hexdigest()[:8]}")


def as_case(given: Path | Case, name: str | None = None) -> Case:
    """A path as a case, called as its file or ``name``."""
    if isinstance(given, Case):
        return given
    from lungscore.scan.names import case_name

    return Case(case_name(given, name), given)
