"""Scans as other programs leave them: are they read, and is what is wrong with them reported?

    python experiments/altered_scans.py

Every scan as it is; thinned; with 20 mm of slices missing in its middle; with a block of slices
twice; rotated about the left-right axis and resampled; with all but the body set to air; and with a
round field of view that cuts the lungs. Of the lungs of the whole scan: how dense their thirds are.
The limits of scan/slice_order.py and anatomy/lung_density.py were chosen with these scans in view.
Needs LUNGSCORE_DATA.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from lungscore.anatomy import find_lungs
from lungscore.anatomy.lung_density import medians_of_thirds
from lungscore.datasets.training_slices import data_root
from lungscore.errors import InputError
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.results import plain
from lungscore.files import atomic_write
from lungscore.inference.lung_finder import LungFinder
from lungscore.scan import Scan, read_scan
from lungscore.scan.continuity import find_faults
from lungscore.scan.slice_order import step_ratios

OUT = Path(__file__).parent / "results" / "altered-scans.json"
#: Scans in HU below LUNGSCORE_DATA; a folder of NIfTI files stands for all of them.
SCANS = ("wild-ct", "covid-ct-md/normal002", "lung-pet-ct-dx", "chest-imaging-platform/ct-64.nrrd")
THINNED, MISSING_MM, TWICE, DEGREES, FIELD = (2, 4), 20.0, 5, (-20, -8, 8, 20), 0.3
#: Fewer slices than this are not thinned to.
FEWEST = 9


def outcome(values: np.ndarray) -> str:
    """ "read", with the notices of slices, or what is wrong."""
    try:
        faults = find_faults(values, "hu")
    except InputError as error:
        return error.code
    if faults.faulty:
        return "slices-faulty"
    noted = {"slices-padded": faults.padded, "slices-abrupt": faults.abrupt}
    return ", ".join(["read", *(name for name, slices in noted.items() if slices)])


def largest_ratio(values: np.ndarray) -> float | None:
    """The largest step from slice to slice, as a multiple of those around it."""
    if len(values) < FEWEST:
        return None
    step = max(1, *(size // 128 for size in values.shape[1:]))
    return float(np.nanmax(step_ratios(values[:, ::step, ::step], range(len(values)))))


def rotated(scan: Scan, degrees: float) -> np.ndarray:
    """The scan turned about its left-right axis on its own grid, with air where it has nothing."""
    z, y, _ = scan.spacing_mm or (1.0, 1.0, 1.0)
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    matrix[:2, :2] = [
        [np.cos(angle), np.sin(angle) * y / z],
        [-np.sin(angle) * z / y, np.cos(angle)],
    ]
    centre = (np.array(scan.shape) - 1) / 2
    offset = centre - matrix @ centre
    return ndimage.affine_transform(scan.values, matrix, offset, order=1, cval=-1024)


def masked(values: np.ndarray) -> np.ndarray:
    """Air outside the largest piece of tissue of each slice and what it encloses."""
    inside = np.zeros(values.shape, bool)
    for here, tissue in zip(inside, values > -300, strict=True):
        pieces, count = ndimage.label(ndimage.binary_opening(tissue, iterations=2))
        if count:
            largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
            here[...] = ndimage.binary_fill_holes(pieces == largest)
    return np.where(inside, values, np.int16(-1000))


def lungs_of(scan: Scan, maps: Callable[[Scan], Any]) -> tuple[np.ndarray | None, list[str]]:
    """Labels of the lungs, and the codes of what is said of them."""
    try:
        lungs = find_lungs(scan, lambda: maps(scan))
    except InputError as error:
        return None, [error.code]
    return lungs.labels, sorted({notice.code for notice in lungs.notices})


def row(path: Path, maps: Callable[[Scan], Any]) -> dict[str, Any]:
    """What becomes of one scan."""
    scan = read_scan(path)
    values, slice_mm = scan.values, (scan.spacing_mm or (1.0,))[0]
    middle, missing = len(values) // 2, max(1, round(MISSING_MM / slice_mm))
    gap = np.delete(values, range(middle, min(middle + missing, len(values))), axis=0)
    lungs, _ = lungs_of(scan, maps)
    rows, columns = np.ogrid[: scan.shape[1], : scan.shape[2]]
    height, width = scan.shape[1:]
    seen = np.hypot(rows - height / 2, columns - width / 2) <= FIELD * width
    round_field = replace(scan, values=np.where(seen, values, np.int16(-1024)))
    cut, codes = lungs_of(round_field, maps)
    thirds = {}
    if lungs is not None and scan.spacing_mm:
        medians = medians_of_thirds(values, lungs, np.zeros_like(lungs), scan.spacing_mm)
        thirds = {f"{side} {third}": median for (side, third), median in medians.items()}
    return {
        "scan": path.name.removesuffix(".nii.gz"),
        "slices": len(values),
        "slice_mm": slice_mm,
        "whole": outcome(values),
        "ratio": largest_ratio(values),
        "ratio_thinned": {every: largest_ratio(values[::every]) for every in THINNED},
        "ratio_missing": largest_ratio(gap),
        "missing": outcome(gap),
        "twice": outcome(np.concatenate([values[:middle], values[middle - TWICE :]])),
        "rotated": {degrees: outcome(rotated(scan, degrees)) for degrees in DEGREES},
        "masked": outcome(masked(values)),
        "round_field_dice": None
        if cut is None or lungs is None
        else dice(cut > 0, (lungs > 0) & seen),
        "round_field_codes": codes,
        "cut": lungs is not None and bool((lungs[:, ~seen] > 0).any()),
        "median_hu": thirds,
    }


def main() -> None:
    """Write the result file."""
    finder, root = LungFinder(), data_root()
    paths = [
        path for name in SCANS for path in (sorted((root / name).glob("*.nii.gz")) or [root / name])
    ]
    content = {
        "command": "python experiments/altered_scans.py",
        "rows": [row(path, finder.maps) for path in paths],
    }
    atomic_write(OUT, json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n")
    print(OUT.name)


if __name__ == "__main__":
    main()
