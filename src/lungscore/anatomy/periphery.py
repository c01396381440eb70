"""The outer third of the lungs, by depth below the costal pleura."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.grid import Grid
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

#: Depths are measured on blocks of about this size: a fraction of what separates outer from inner.
BLOCK_MM = 3.0


def outer_third(lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Where a lung is peripheral: bool (D, H, W), to be read within the lungs.

    lungs: (D, H, W), 1 right, 2 left. spacing_mm: (z, y, x). A voxel is peripheral when its depth
    below the costal pleura is at most a third of the greatest depth in its lung.

    The costal pleura faces the ribs, from the apex round to the recess beside the diaphragm;
    fissures, hilum, mediastinum and the dome of the diaphragm do not count. To leave them out, the
    lung is filled inwards, so that the borders that remain are costal; depth is the distance to
    the nearest of them. Where the scan cuts the lung off, there is no pleura and no depth is
    measured from there.
    """
    grid = Grid.over(lungs.shape, spacing_mm, block_mm=BLOCK_MM)  # type: ignore[arg-type]
    coarse = grid.centres(lungs)
    right = _outer_blocks(coarse == RIGHT_LUNG, grid.spacing_mm)
    # Mirrored, the left lung is a right one: its outer side comes first.
    left = _outer_blocks((coarse == LEFT_LUNG)[..., ::-1], grid.spacing_mm)[..., ::-1]
    peripheral = np.zeros(lungs.shape, bool)
    if not lungs.any():
        return peripheral
    box = lung_box(lungs)
    z, y, x = (
        np.arange(span.start, span.stop) // step
        for span, step in zip(box, grid.factors, strict=True)
    )
    for index, block in zip(range(box[0].start, box[0].stop), z, strict=True):
        pixels = np.ix_(y, x)
        labels = lungs[index][box[1:]]
        chosen = np.where(labels == LEFT_LUNG, left[block][pixels], right[block][pixels])
        peripheral[index][box[1:]] = chosen & (labels > 0)
    return peripheral


def _outer_blocks(lung: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The blocks at most a third as deep as the deepest of ``lung``, a bool mask whose outer side
    comes first along the last axis. Blocks beyond the lung have no depth and belong to them.
    """
    outer = np.ones(lung.shape, bool)
    if lung.any():
        # One block of margin shows the border, except where the volume ends.
        box = lung_box(lung, margin=(1, 1, 1))
        filled = _filled_inwards(lung[box])
        if filled.all():
            return ~outer  # no costal border is seen at all
        depth = ndimage.distance_transform_edt(filled, sampling=spacing_mm)
        # Measured from the middle of the first block outside; the border is half a block nearer.
        depth -= min(spacing_mm) / 2
        outer[box] = depth <= depth[lung[box]].max() / 3
    return outer


def _filled_inwards(lung: np.ndarray) -> np.ndarray:
    """``lung`` with each row of a slice filled from its outermost voxel to the body's other side,
    and then, the rib cage being convex, with what lies between two filled rows.
    """
    filled = np.maximum.accumulate(lung, axis=2)
    before = np.maximum.accumulate(filled, axis=1)
    behind = np.maximum.accumulate(filled[:, ::-1], axis=1)[:, ::-1]
    return before & behind
