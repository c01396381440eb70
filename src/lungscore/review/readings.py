"""What several readers made of cases: side by side, and as tables for ``lungscore agree``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.files import atomic_write, csv_text, refuse_existing_file
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.result.numbers import COMPARED, DECIMALS, MEASURES, value_at
from lungscore.review.saving import Review, saved_reviews
from lungscore.review.work_list import ListedCase
from lungscore.scan.names import safe_name


def ratings_table(cases: Iterable[ListedCase], reader: str) -> str:
    """What ``reader`` says of the cases that the reader reviewed and did not reject, as CSV."""
    rows = []
    for case in cases:
        for review in saved_reviews(case.folder):
            if review.reader == reader and review.verdict != "rejected":
                values = [value_at(review.result, number.path) for number in MEASURES.values()]
                rows.append([case.name, *values])
    return csv_text(["case", *MEASURES], rows)


def write_ratings(cases: list[ListedCase], folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write the ratings of every reader into ``folder``, a table each, and return their paths.

    Raises UsageError ``output-exists``, and ResourceError where they cannot be written.
    """
    readers = sorted({review.reader for case in cases for review in saved_reviews(case.folder)})
    tables = {folder / f"{safe_name(reader)}.csv": reader for reader in readers}
    for path in tables:
        refuse_existing_file(path, overwrite=overwrite)
    for path, reader in tables.items():
        atomic_write(path, ratings_table(cases, reader))
    return list(tables)


def numbers_beside(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """Every number of two results that a follow-up compares, in its order."""
    return [
        {
            "path": number.path,
            "title": number.title,
            "unit": number.unit,
            "decimals": DECIMALS[number.unit],
            "a": value_at(a, number.path),
            "b": value_at(b, number.path),
        }
        for number in COMPARED
    ]


def overlap(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> dict[str, Any]:
    """How far two readers' masks agree: Dice by layer, and lesion voxels slice by slice.

    a, b: (D, H, W) labels by layer. Dice is None where neither marked anything.
    """
    lesions = a["lesions"], b["lesions"]
    dice = {
        "lesions": _dice(lesions[0] > 0, lesions[1] > 0),
        "ggo": _dice(lesions[0] == GGO, lesions[1] == GGO),
        "consolidation": _dice(lesions[0] == CONSOLIDATION, lesions[1] == CONSOLIDATION),
        "lungs": _dice(a["lungs"] > 0, b["lungs"] > 0),
    }
    slices = []
    for z, (one, two) in enumerate(zip(*lesions, strict=True)):
        both = int(np.count_nonzero((one > 0) & (two > 0)))
        only = int(np.count_nonzero(one)) - both, int(np.count_nonzero(two)) - both
        if both or any(only):
            slices.append([z, *only, both])
    return {"dice": dice, "slices": slices}


def _dice(a: np.ndarray, b: np.ndarray) -> float | None:
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else None


def latest_use(case: ListedCase, reader: str | None = None) -> Review | None:
    """The review of a case that was accepted or corrected last, by ``reader`` or by anybody."""
    usable = [
        review
        for review in saved_reviews(case.folder)
        if review.verdict != "rejected" and reader in (None, review.reader)
    ]
    return max(usable, key=lambda review: str(review.content["at"]), default=None)
