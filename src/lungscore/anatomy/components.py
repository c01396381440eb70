"""Separate lesions: connected components of infection."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import lung_box
from lungscore.labels import CONSOLIDATION, GGO, LEFT_LUNG, LOBES, RIGHT_LUNG


def separate_lesions(
    lungs: np.ndarray, lesions: np.ndarray, lobes: np.ndarray | None = None
) -> np.ndarray:
    """The voxels of each separate lesion in each lobe: int64 (n, 6).

    lungs, lesions, lobes: (D, H, W) labels (labels.py). Ground glass and consolidation that touch
    are one lesion; what lies outside the lungs counts nowhere. Column 0 holds voxels in no lobe,
    the others those of labels.LOBES; without ``lobes`` all lie in column 0. Voxels that touch by a
    face, an edge or a corner belong together (26 neighbours), but never across the two lungs, even
    where their masks touch.
    """
    columns = len(LOBES) + 1
    tables = [np.zeros((0, columns), np.int64)]
    if lungs.any():
        box = lung_box(lungs)
        near = lungs[box]
        infected = (lesions[box] == GGO) | (lesions[box] == CONSOLIDATION)
        lobe_of = np.zeros_like(near) if lobes is None else lobes[box]
        for side in (RIGHT_LUNG, LEFT_LUNG):
            mask = infected & (near == side)
            if mask.any():
                tables.append(_of_one_lung(mask, lobe_of, columns))
    return np.concatenate(tables)


def _of_one_lung(mask: np.ndarray, lobe_of: np.ndarray, columns: int) -> np.ndarray:
    box = lung_box(mask)
    labels, count = ndimage.label(mask[box], np.ones((3, 3, 3), bool))
    code = labels[mask[box]].astype(np.int64) * columns + lobe_of[box][mask[box]]
    table = np.bincount(code, minlength=(count + 1) * columns)
    return table.reshape(-1, columns)[1:]
