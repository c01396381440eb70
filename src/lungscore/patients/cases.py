"""The cases of a manifest: whose scan each is, and which class it has."""

from dataclasses import dataclass
from pathlib import Path

from lungscore.datasets.manifest import read_rows
from lungscore.errors import InputError
from lungscore.evaluation.ratings import printable


@dataclass(frozen=True)
class Case:
    """One scan. patient: the case itself where the manifest names none. label: None without one."""

    case: str
    patient: str
    label: str | None
    group: str
    source: str


def read_cases(path: Path, *, groups: tuple[str, ...] = ()) -> list[Case]:
    """The cases of a manifest, CSV or Parquet, in its order; several rows may be of one case.

    groups: sides of the split to be read; all of them if empty. Raises InputError
    ``input-not-found`` or ``manifest-invalid``, also where rows contradict each other about a case.
    """
    cases: dict[str, Case] = {}
    for row in read_rows(path):
        name = printable(row.case)
        label = printable(row.label) if row.label else None
        case = Case(name, printable(row.unit), label, row.group, row.source)
        if cases.setdefault(name, case) != case:
            raise InputError(
                "manifest-invalid",
                f"{path.name}: rows of the case {name} differ",
                expected="one patient, label, group and source a case",
            )
    chosen = [case for case in cases.values() if not groups or case.group in groups]
    if not chosen:
        of = f" of {', '.join(groups)}" if groups else ""
        raise InputError("manifest-invalid", f"{path.name}: it holds no case{of}")
    return chosen
