"""Separate lesions: connected components of infection."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import lung_box
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG


def separate_lesions(
    lungs: np.ndarray, infection: np.ndarray, lobes: np.ndarray | None = None
) -> np.ndarray:
    """The voxels of each separate lesion in each lobe: int64 (n, 6).

    lungs, lobes: (D, H, W) labels (labels.py). infection: (D, H, W) bool; what lies outside the
    lungs counts nowhere. Column 0 holds voxels in no lobe, the others those of labels.LOBES; all
    lie in column 0 without ``lobes``. Voxels that touch by a face, an edge or a corner belong to
    one lesion (26 neighbours), but never across the two lungs, even where their masks touch.
    """
    columns = len(LOBES) + 1
    tables = [np.zeros((0, columns), np.int64)]
    for side in (RIGHT_LUNG, LEFT_LUNG):
        tables.append(_of_one_lung(lungs, side, infection, lobes, columns))
    return np.concatenate(tables)


def _of_one_lung(
    lungs: np.ndarray, side: int, infection: np.ndarray, lobes: np.ndarray | None, columns: int
) -> np.ndarray:
    lung = lungs == side
    if not lung.any():
        return np.zeros((0, columns), np.int64)
    box = lung_box(lung)
    mask = lung[box] & infection[box]
    labels, count = ndimage.label(mask, np.ones((3, 3, 3), bool))
    code = labels[mask].astype(np.int64) * columns
    if lobes is not None:
        code += lobes[box][mask]
    table = np.bincount(code, minlength=(count + 1) * columns)
    return table.reshape(-1, columns)[1:]
