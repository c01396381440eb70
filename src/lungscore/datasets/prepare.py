"""From the folder of a dataset to its manifest: complete, or not written."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.examine import examine, open_visit
from lungscore.datasets.manifest import check_format, read_rows, write_rows
from lungscore.datasets.records import Count, Patient, Problem
from lungscore.errors import InputError
from lungscore.files import atomic_path, atomic_write, csv_text, refuse_existing_file


@dataclass(frozen=True)
class Prepared:
    """What was written.

    groups: rows by side of the split. problems: all that was found; with a blocking one among them
    the manifest is partial. patients: the table of patients, None where the dataset has none.
    """

    groups: Mapping[str, int]
    problems: tuple[Problem, ...]
    counts: tuple[Count, ...]
    patients: list[Patient] | None


def patients_path(manifest: Path) -> Path:
    """Where the table of patients lies that goes with a manifest."""
    return manifest.with_name(f"{manifest.stem}.patients.csv")


def left_out_path(manifest: Path) -> Path:
    """Where a partial manifest lists what it lacks."""
    return manifest.with_name(f"{manifest.stem}.left-out.csv")


def prepare(
    dataset: Dataset,
    root: Path,
    manifest: Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    threads: int = 1,
    report: Callable[[int], None] = lambda count: None,
) -> Prepared:
    """Write the manifest of the dataset at ``root``, and its table of patients where it has one.

    Nothing is written where anything is missing or damaged, unless ``partial``: then what cannot be
    used is left out, patients in conflict wholly, and listed beside the manifest.
    Raises InputError ``dataset-faulty``, and UsageError ``output-exists``.
    """
    check_format(manifest)
    beside = patients_path(manifest), left_out_path(manifest)
    for path in (manifest, *beside):
        refuse_existing_file(path, overwrite=overwrite)
    root, folder = root.resolve(), manifest.resolve().parent
    visit = open_visit(root)
    if folder.is_relative_to(root):
        visit.use(*(folder / path.name for path in (manifest, *beside)))
    with atomic_path(manifest) as temporary:
        if folder.is_relative_to(root):
            visit.use(folder / temporary.name)
        rows = examine(dataset, visit, threads=threads, report=report)
        groups = write_rows((row.placed(root, folder) for row in rows), temporary)
        blocking = [problem for problem in visit.told() if problem.blocking]
        if blocking and not partial:
            raise faulty(dataset.name, blocking)
        if visit.in_conflict:
            groups = _without(visit.in_conflict, temporary)
        if not groups:
            raise InputError(
                "dataset-incomplete",
                f"{root.name} contains no usable image of {dataset.name}",
                hint=f"lungscore data check {dataset.name} FOLDER says what is missing",
            )
        patients = None if visit.patients is None else patients_table(visit.patients)
        left_out = problems_table(blocking) if blocking else None
        for path, table in zip(beside, (patients, left_out), strict=True):
            if table is None:
                path.unlink(missing_ok=True)  # an earlier manifest's
            else:
                atomic_write(path, table)
    return Prepared(groups, visit.told(), tuple(visit.counts), visit.patients)


def faulty(name: str, blocking: Sequence[Problem]) -> InputError:
    """The error that says what blocks the manifest of the dataset ``name``."""
    kinds = Counter(problem.code for problem in blocking)
    first = blocking[0]
    return InputError(
        "dataset-faulty",
        f"{', '.join(f'{code} ({count})' for code, count in kinds.items())}; first: {first.path}: "
        f"{first.found}",
        expected="a complete dataset",
        hint=f"lungscore data check {name} FOLDER lists all problems; --partial leaves "
        "these files out",
    )


def _without(patients: Collection[str], manifest: Path) -> Counter[str]:
    """Write the manifest anew without the rows of ``patients``."""
    kept = manifest.with_name(f"kept-{manifest.name}")
    try:
        rows = (row for row in read_rows(manifest) if row.unit not in patients)
        groups = write_rows(rows, kept)
        kept.replace(manifest)
    finally:
        kept.unlink(missing_ok=True)
    return groups


def patients_table(patients: Sequence[Patient]) -> str:
    """The table as CSV; what is missing is an empty cell."""
    columns = list(dict.fromkeys(("patient", "label", *(key for row in patients for key in row))))
    return csv_text(columns, ([row.get(column) for column in columns] for row in patients))


def problems_table(problems: Iterable[Problem]) -> str:
    """Problems as CSV."""
    return csv_text(("problem", "path", "found"), ((p.code, p.path, p.found) for p in problems))
