"""From a folder of one's own images and masks to their manifest: complete, or not written."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lungscore.datasets.check import Checked
from lungscore.datasets.labelled_manifest import LabelledRow, labelled_csv
from lungscore.datasets.manifest import relative_path
from lungscore.datasets.my_data import NAME, Examined, examine_folder, examine_manifest
from lungscore.datasets.prepare import Prepared, faulty, left_out_path, problems_table
from lungscore.datasets.records import Count
from lungscore.errors import InputError, UsageError
from lungscore.files import atomic_write, refuse_existing_file

_HINT = f"lungscore data check {NAME} FOLDER says what is missing"


def prepare_my_data(
    root: Path,
    manifest: Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    threads: int = 1,
    report: Callable[[int], None] = lambda count: None,
) -> Prepared:
    """Write the manifest of the images and masks in the folder ``root``.

    Nothing is written where anything is wrong, unless ``partial``: then it is left out and listed
    beside the manifest. Raises InputError ``dataset-faulty`` or ``dataset-incomplete``, and
    UsageError ``output-exists``.
    """
    if manifest.suffix.lower() != ".csv":
        raise UsageError(
            "usage", f"{manifest.name} is not CSV", expected="a name that ends in .csv"
        )
    beside = left_out_path(manifest)
    for path in (manifest, beside):
        refuse_existing_file(path, overwrite=overwrite)
    root, folder = root.resolve(), manifest.resolve().parent
    ignored = folder / manifest.name, folder / beside.name
    examined = examine_folder(root, threads=threads, report=report, ignored=ignored)
    blocking = [problem for problem in examined.problems if problem.blocking]
    if blocking and not partial:
        raise faulty(NAME, blocking)
    rows = examined.rows
    if not rows:
        raise InputError(
            "dataset-incomplete", f"{root.name} contains no image with a mask", hint=_HINT
        )
    atomic_write(manifest, labelled_csv(_placed(row, root, folder) for row in rows))
    if blocking:
        atomic_write(beside, problems_table(blocking))
    else:
        beside.unlink(missing_ok=True)  # an earlier manifest's
    groups = Counter(str(row.group) for row in rows)
    return Prepared(groups, examined.problems, tuple(_counts(rows)), None)


def check_my_data(
    path: Path, *, threads: int = 1, report: Callable[[int], None] = lambda count: None
) -> Checked:
    """Look at every image and mask of a folder, or of a manifest; nothing is written."""
    examine: Callable[..., Examined] = examine_manifest if path.is_file() else examine_folder
    examined = examine(path, threads=threads, report=report)
    rows = examined.rows
    kinds = Counter("negative" if row.negative else "with marked infection" for row in rows)
    patients = {row.patient for row in rows if row.patient is not None}
    counts = tuple(_counts(rows))
    return Checked(NAME, len(rows), len(rows), len(patients), kinds, counts, examined.problems)


def _counts(rows: list[LabelledRow]) -> list[Count]:
    """What the user should see before training: whose the images are, and what masks mean."""
    classes = sum(row.labels == "classes" for row in rows if row.mask is not None)
    return [
        Count("patients (a file without one counts as its own)", len({r.unit for r in rows}), None),
        Count("images that train", sum(row.group == "train" for row in rows), None),
        Count("images that test", sum(row.group == "test" for row in rows), None),
        Count("masks of infection", sum(r.mask is not None for r in rows) - classes, None),
        Count("masks of GGO (1) and consolidation (2)", classes, None),
        Count("images without infection", sum(row.negative for row in rows), None),
    ]


def _placed(row: LabelledRow, root: Path, folder: Path) -> LabelledRow:
    """The row with its paths, now relative to ``root``, relative to ``folder``."""
    paths = {
        name: None if path is None else relative_path(path, root, folder)
        for name, path in (("image", row.image), ("mask", row.mask), ("lungs", row.lungs))
    }
    return replace(row, **paths)  # type: ignore[arg-type]
