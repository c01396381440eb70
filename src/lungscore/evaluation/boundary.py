"""Distances between the borders of a predicted mask and of its truth.

A border is the pixels of a mask that touch its outside by a side; beyond the slice is outside.
Lengths are in the unit of the spacing: millimetres, or pixels where no spacing is known.
"""

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

#: How far apart borders may lie to agree: two millimetres, or two pixels.
TOLERANCE = 2.0


def border_scores(
    predicted: np.ndarray, truth: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)
) -> dict[str, float]:
    """hd95 and surface_dice of two (H, W) bool masks; spacing: of rows and of columns.

    hd95: the larger of the two 95th percentiles of distances from one border to the other.
    NaN where either mask is empty: there is nothing to measure to, so read it with its count.
    surface_dice: the share of border pixels that lie within TOLERANCE of the other border. NaN
    where both are empty, 0 where one is.
    """
    if not predicted.any() or not truth.any():
        nothing = not predicted.any() and not truth.any()
        return {"hd95": float("nan"), "surface_dice": float("nan") if nothing else 0.0}
    box = _box(predicted | truth)
    borders = _border(predicted[box]), _border(truth[box])
    there = distance_transform_edt(~borders[1], sampling=spacing)[borders[0]]
    back = distance_transform_edt(~borders[0], sampling=spacing)[borders[1]]
    near = np.count_nonzero(there <= TOLERANCE) + np.count_nonzero(back <= TOLERANCE)
    return {
        "hd95": float(max(np.percentile(there, 95), np.percentile(back, 95))),
        "surface_dice": near / (there.size + back.size),
    }


def _border(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask)


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that hold all of a mask: borders and distances lie inside."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
