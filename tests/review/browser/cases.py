"""Cases of a small chest for a review, with faults that a reader can see and mend."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from lungscore.analysis import score
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.result import Analysis, to_result
from lungscore.result.numbers import NUMBERS
from lungscore.scan.names import safe_name
from lungscore.scan.phantom import Phantom
from lungscore.scan.write import write_nifti

#: Opacity that is none, planted in the right lung; and slices of the left one that lack theirs.
PLANTED, EMPTIED = 8, 6
NAMES = (
    *("scroll", "strokes", "slices", "accept", "resume", "shared", "keys", "planted"),
    "everybody",
)


@dataclass(frozen=True)
class Cohort:
    """A folder of results and its scans.

    truth: labels without faults. places: voxels of what is planted. emptied: first and last slice.
    """

    results: Path
    scans: Path
    truth: np.ndarray
    faulty: np.ndarray
    lungs: np.ndarray
    places: tuple[tuple[int, int, int], ...]
    emptied: tuple[int, int]
    spacing_mm: tuple[float, float, float]


def write_cohort(folder: Path, phantom: Phantom) -> Cohort:
    """Results of several cases that are alike, each with its own name, without reports."""
    faulty, places = planted(phantom)
    faulty, emptied = with_gap(phantom, faulty)
    masks = {"lungs": phantom.lungs, "lobes": phantom.lobes, "lesions": faulty}
    paths = {
        name: save(folder / f"{name}.nii.gz", labels, phantom) for name, labels in masks.items()
    }
    scans, results = folder / "scans", folder / "results"
    scans.mkdir()
    ct = scans / f"{NAMES[0]}.nii.gz"
    write_nifti(phantom.scan, ct)
    analysis = score(paths["lungs"], paths["lesions"], lobes=paths["lobes"], ct=ct, name=NAMES[0])
    for name in NAMES:
        if name != NAMES[0]:
            os.link(ct, scans / f"{name}.nii.gz")
        named = replace(analysis, scan=replace(analysis.scan, name=name))
        write_outputs(named, results, settings=ReportSettings("none"))
    spacing = phantom.scan.spacing_mm
    assert spacing is not None
    return Cohort(
        results, scans, phantom.lesions, faulty, phantom.lungs, tuple(places), emptied, spacing
    )


def save(path: Path, labels: np.ndarray, phantom: Phantom) -> Path:
    """A mask in the axes of the phantom's file."""
    geometry = phantom.scan.geometry
    nib.save(nib.Nifti1Image(geometry.to_source(labels).copy(), geometry.affine), path)
    return path


def planted(phantom: Phantom) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Lesions with small pieces more in the right lung, none of which touches anything."""
    lesions = phantom.lesions.copy()
    box = np.ones((3, 7, 7), dtype=bool)
    places: list[tuple[int, int, int]] = []
    for _ in range(PLANTED):
        free = ndimage.binary_erosion((phantom.lungs == 1) & (lesions == 0), box)
        candidates = np.argwhere(free)
        z, y, x = (int(place) for place in candidates[len(candidates) * len(places) // PLANTED])
        lesions[z, y - 1 : y + 2, x - 1 : x + 2] = 1 + len(places) % 2
        places.append((z, y, x))
    return lesions, places


def with_gap(phantom: Phantom, lesions: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Lesions without those of six neighbouring slices of the left lung; first and last of them."""
    left = (phantom.lesions > 0) & (phantom.lungs == 2)
    counts = left.sum(axis=(1, 2))
    starts = range(1, len(counts) - EMPTIED)
    whole = [z for z in starts if counts[z - 1] and counts[z + EMPTIED]]
    first = max(whole, key=lambda z: counts[z : z + EMPTIED].sum())
    emptied = lesions.copy()
    emptied[first : first + EMPTIED][left[first : first + EMPTIED]] = 0
    return emptied, (first, first + EMPTIED - 1)


def review_folder(cohort: Cohort, name: str, reader: str) -> Path:
    """Where a reader's saved review of a case lies."""
    return cohort.results / name / "reviews" / safe_name(reader)


def scored_again(folder: Path, ct: Path, name: str) -> Analysis:
    """What ``lungscore score`` gives for the masks of a folder."""
    paths = {mask: folder / f"{mask}.nii.gz" for mask in ("lungs", "lesions", "lobes")}
    return score(paths["lungs"], paths["lesions"], lobes=paths["lobes"], ct=ct, name=name)


def numbers_of(analysis: Analysis) -> dict[str, object]:
    """Every number of an analysis by its path."""
    result = to_result(analysis)
    return {number.path: number.value(result) for number in NUMBERS.values()}
