"""The cases of a manifest: of ``lungscore data prepare``, or a plain table of case and path."""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lungscore.batch.case import Case, distinct
from lungscore.datasets.manifest import COLUMNS, FORMATS, read_rows
from lungscore.errors import InputError
from lungscore.files import plain_cell
from lungscore.result.case_tables import read_table
from lungscore.scan.recognise import content_of

GROUPS = ("train", "validation", "test")


def is_manifest(path: Path) -> bool:
    """Whether ``path`` is a table by its name, and no scan by its content."""
    try:
        named = path.suffix.lower() in FORMATS and path.is_file()
        return named and content_of(path) in ("other", "empty")
    except OSError:
        return False


def is_plain(path: Path) -> bool:
    """Whether ``path`` is a CSV table with the columns case and path, and not all of a manifest."""
    if path.suffix.lower() != ".csv":
        return False
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            names = re.split("[,;\t]", next(file, ""))
    except OSError:
        return False
    head = {name.strip().strip('"').casefold() for name in names}
    return {"case", "path"} <= head and not set(COLUMNS) <= head


def _plain_cases(manifest: Path) -> Iterator[Case]:
    """A case for each row of a table whose first column is case; paths are relative to it."""
    try:
        table = read_table(manifest, numbers=lambda column: False)
    except InputError as error:
        fault = error.found.removeprefix(f"{manifest.name}: ")
        raise _invalid(manifest, fault, expected=error.expected, hint=error.hint) from None
    column = next(name for name in table.columns if name.casefold() == "path")
    names = distinct(name for _, name, _ in table.rows)
    seen: set[str] = set()
    for line, name, cells in table.rows:
        path = cells[column]
        if not name or name in seen or not path:
            fault = "the case has no name" if not name else "the case has no path"
            if name in seen:
                fault = f"the case {name} occurred before"
            called = f"{names[name]}__line-{line}" if name in seen or not name else names[name]
            seen.add(name)
            yield Case(called, manifest, _invalid(manifest, f"line {line}: {fault}"))
            continue
        seen.add(name)
        yield Case(names[name], _placed(manifest.resolve().parent, plain_cell(path)))


def _invalid(manifest: Path, fault: str, *, expected: str = "", hint: str = "") -> InputError:
    return InputError("manifest-invalid", f"{manifest.name}: {fault}", expected=expected, hint=hint)


@dataclass
class _Files:
    """Where the files of a case lie. file: the first of them. scattered: in several folders."""

    folder: str
    file: str
    kind: str
    count: int = 0
    scattered: bool = False
    wanted: bool = False


def manifest_cases(manifest: Path, groups: Collection[str] = ()) -> Iterator[Case]:
    """One case for each that ``manifest`` names, in its order.

    groups: the sides of the split that are wanted; all if empty. A case of one file is that file, a
    case of several slices the folder of theirs. A case whose folder holds files of other cases, or
    label images, gets the error ``several-inputs``, and one with a wrong row ``manifest-invalid``.
    Memory grows with the cases, not with the rows.
    Raises InputError ``input-not-found`` or ``manifest-invalid``.
    """
    if is_plain(manifest):
        if groups:
            raise _invalid(manifest, "it has no groups", expected="no --group")
        yield from _plain_cases(manifest)
        return
    cases: dict[str, _Files] = {}
    owners: dict[str, str | None] = {}  # folder -> its only case, None where several share it
    wrong: dict[str, InputError] = {}
    for row in read_rows(manifest, refused=wrong.setdefault):
        folder, _, _ = row.path.rpartition("/")
        files = cases.setdefault(row.case, _Files(folder, row.path, row.kind))
        files.count += 1
        files.scattered |= folder != files.folder or row.kind != files.kind
        files.wanted |= not groups or row.group in groups
        owners[folder] = row.case if owners.get(folder, row.case) == row.case else None
        if row.mask is not None:
            owners[row.mask.rpartition("/")[0]] = None
    if not wrong and not any(files.wanted for files in cases.values()):
        of = f" of {', '.join(groups)}" if groups else ""
        raise InputError("manifest-invalid", f"{manifest.name}: it contains no case{of}")
    crowded = {above for folder in owners for above in _above(folder)}
    names = distinct([*cases, *(name for name in wrong if name not in cases)])
    root = manifest.resolve().parent
    for name, error in wrong.items():
        yield Case(names[name], manifest, error)
    for name, files in cases.items():
        if not files.wanted or name in wrong:
            continue
        if files.count == 1:
            yield Case(names[name], _placed(root, files.file))
            continue
        location = _placed(root, files.folder)
        alone = owners[files.folder] is not None and files.folder not in crowded
        single = alone and not files.scattered and files.kind != "volume"
        yield Case(names[name], location, None if single else _mixed(names[name]))


def _above(folder: str) -> Iterator[str]:
    """The folders that ``folder`` lies in."""
    while "/" in folder:
        folder, _, _ = folder.rpartition("/")
        yield folder
    if folder:
        yield ""


def _placed(root: Path, relative: str) -> Path:
    return Path(os.path.normpath(root / relative))


def _mixed(name: str) -> InputError:
    return InputError(
        "several-inputs",
        f"The files of {name} are not alone in one folder",
        expected="the slices of one scan in a folder of their own, label images elsewhere",
    )
