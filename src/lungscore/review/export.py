"""Reviewed masks as training data: the manifest of own labels (datasets.labelled_manifest)."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.datasets.labelled_manifest import LabelledRow, checksum, labelled_csv
from lungscore.datasets.manifest import relative_path
from lungscore.datasets.my_data import NAME
from lungscore.datasets.split import group_of
from lungscore.errors import InputError, LungscoreError
from lungscore.files import atomic_write
from lungscore.report.case_folder import appearing, refuse_folder
from lungscore.review.opened_case import open_case
from lungscore.review.readings import latest_use
from lungscore.review.saving import Review
from lungscore.review.work_list import ListedCase
from lungscore.scan.masks import read_labels

MANIFEST = "manifest.csv"
MASKS = "masks"


@dataclass(frozen=True)
class Exported:
    """What was exported. left_out: the reviewed cases that were not, and why."""

    rows: list[LabelledRow]
    left_out: dict[str, LungscoreError]


def export_reviews(
    cases: list[ListedCase],
    find: Callable[[dict[str, Any]], Path | None],
    dataset: Path,
    *,
    reader: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the folder ``dataset``: a manifest, and copies of the masks it names.

    Of each case the review that was accepted or corrected last, by ``reader`` or by anybody. The
    images stay where they are: the manifest names them relative to its folder. Raises UsageError
    ``output-exists``, InputError ``review-missing`` where nothing can be exported, and
    ResourceError where it cannot be written.
    """
    masks = {f"{MASKS}/*_{kind}.nii.gz" for kind in ("lesions", "lungs")}
    refuse_folder(dataset, known={MANIFEST, *masks}, overwrite=overwrite)
    rows: list[LabelledRow] = []
    left_out: dict[str, LungscoreError] = {}
    reviews = [(case, review) for case in cases if (review := latest_use(case, reader))]
    with appearing(dataset, overwrite=overwrite) as staging:
        for case, review in reviews:
            try:
                rows.append(_row(case, review, find, staging, dataset, len(rows) + 1))
            except LungscoreError as error:
                left_out[case.name] = error
        if not rows:
            raise _nothing(left_out)
        atomic_write(staging / MANIFEST, labelled_csv(rows))
    return Exported(rows, left_out)


def _nothing(left_out: dict[str, LungscoreError]) -> InputError:
    """The error of an export without a row: that of the first case, or that there is no review."""
    for case, error in left_out.items():
        fault = f"No review can be exported; {case}: {error.found}"
        return InputError("review-missing", fault, expected=error.expected, hint=error.hint)
    return InputError(
        "review-missing",
        "No case was accepted or corrected",
        hint="Review cases first: lungscore review RESULTS",
    )


def _row(
    case: ListedCase,
    review: Review,
    find: Callable[[dict[str, Any]], Path | None],
    staging: Path,
    dataset: Path,
    number: int,
) -> LabelledRow:
    """The row of a case, whose masks are copied into ``staging``."""
    opened = open_case(case.folder, find)  # reads the scan: it must be the one that was reviewed
    image = find(opened.result)
    if opened.no_ct is not None or image is None:
        raise InputError("source-missing", opened.no_ct or "", hint="Name the scans with --scans")
    mask, lungs = (review.folder / f"{kind}.nii.gz" for kind in ("lesions", "lungs"))
    marked = bool(np.any(read_labels(mask, opened.scan, "lesions")))
    folder = staging / MASKS
    folder.mkdir(exist_ok=True)
    names = {kind: f"{case.name}_{kind}.nii.gz" for kind in ("lesions", "lungs")}
    for path, name in ((mask, names["lesions"]), (lungs, names["lungs"])):
        shutil.copyfile(path, folder / name)
    return LabelledRow(
        number=number,
        case=case.name,
        patient=None,
        group="test" if group_of(NAME, case.name) == "test" else "train",
        image=relative_path(str(image.resolve()), Path(), dataset.resolve()),
        mask=f"{MASKS}/{names['lesions']}" if marked else None,
        source=f"reviewed by {review.reader}",
        sha256=checksum(image),
        mask_sha256=checksum(mask) if marked else None,
        lungs=f"{MASKS}/{names['lungs']}",
        labels="classes",
        negative=not marked,
    )


def described(exported: Exported) -> Iterator[str]:
    """What was exported, in lines for people."""
    groups = [row.group for row in exported.rows]
    count = f"{len(groups)} case" + ("s" if len(groups) != 1 else "")
    yield f"{count}: {groups.count('train')} to train, {groups.count('test')} to test"
    for case, error in exported.left_out.items():
        yield f"Left out {case}: {error.message}"
