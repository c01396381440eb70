"""Whether the folder of a dataset is whole."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.examine import examine, open_visit
from lungscore.datasets.manifest import read_rows
from lungscore.datasets.records import Count, Problem


@dataclass(frozen=True)
class Checked:
    """What a check found. images: whole images. patients: those that the dataset names.

    classes: class -> cases of it.
    """

    dataset: str
    images: int
    cases: int
    patients: int
    classes: Mapping[str, int]
    counts: tuple[Count, ...]
    problems: tuple[Problem, ...]

    @property
    def complete(self) -> bool:
        """Whether a manifest of it would be complete."""
        return not any(problem.blocking for problem in self.problems)

    def to_content(self) -> dict[str, Any]:
        """For programs."""
        return {
            "dataset": self.dataset,
            "complete": self.complete,
            "images": self.images,
            "cases": self.cases,
            "patients": self.patients,
            "classes": dict(self.classes),
            "counts": [vars(count) for count in self.counts],
            "problems": [
                {"code": p.code, "blocking": p.blocking, "path": p.path, "found": p.found}
                for p in self.problems
            ],
        }


def check(
    dataset: Dataset,
    root: Path,
    *,
    against: Path | None = None,
    threads: int = 1,
    report: Callable[[int], None] = lambda count: None,
) -> Checked:
    """Look at every file of the dataset at ``root``; nothing is written.

    against: a manifest made of it earlier, whose checksums must still hold.
    Raises InputError input-not-found, input-empty or manifest-invalid.
    """
    root = root.resolve()
    visit = open_visit(root)
    earlier = {} if against is None else _checksums(against, root)
    images, patients = 0, set()
    classes: dict[str, str | None] = {}
    for row in examine(dataset, visit, threads=threads, report=report):
        images += 1
        classes[row.case] = row.label
        if row.patient is not None:
            patients.add(row.patient)
        for place, digest in ((row.path, row.sha256), (row.mask, row.mask_sha256)):
            if place is not None and earlier.pop(place, digest) != digest:
                visit.problem("content-changed", place, "its checksum is not the manifest's")
    told = {problem.path for problem in visit.problems}
    for place in earlier.keys() - told:
        # One that is there and gave no row has a faulty partner, which is told.
        if not (root / place).is_file():
            visit.problem("file-missing", place, "the manifest has it")
    return Checked(
        dataset.name,
        images,
        len(classes),
        len(patients),
        Counter(label for label in classes.values() if label is not None),
        tuple(visit.counts),
        visit.told(),
    )


def _checksums(manifest: Path, root: Path) -> dict[str, str | None]:
    """path relative to ``root`` -> checksum of every image and mask of a manifest."""
    folder = manifest.resolve().parent
    found: dict[str, str | None] = {}
    for row in read_rows(manifest):
        placed = row.placed(folder, root)
        found[placed.path] = row.sha256
        if placed.mask is not None:
            found[placed.mask] = row.mask_sha256
    return found
