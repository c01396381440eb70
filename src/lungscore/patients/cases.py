"""The cases of a manifest: whose scan each is, and which class it has."""

from dataclasses import dataclass
from pathlib import Path

from lungscore.datasets.manifest import read_rows
from lungscore.errors import InputError
from lungscore.result.stored import printable
from lungscore.scan.names import safe_name


@dataclass(frozen=True)
class Case:
    """One scan.

    case: as its result names it, safe as a folder's name. patient: the case itself where the
    manifest names none. label: None without one.
    """

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
    spelt: dict[str, str] = {}
    for row in read_rows(path):
        # Manifests call a case NCP/1/1001, whose result is NCP_1_1001.
        name = safe_name(printable(row.case))
        if spelt.setdefault(name, row.case) != row.case:
            raise InputError(
                "manifest-invalid",
                f"{path.name}: the results of {spelt[name]} and {row.case} would both be {name}",
                expected="names that differ as names of folders do",
            )
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
