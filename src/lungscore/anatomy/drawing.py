"""From lungs on coarse blocks to labels whose border the scan's own voxels draw."""

import numpy as np

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.closing import IN_PLANE, fill_slices
from lungscore.anatomy.morphology import dilation, erosion
from lungscore.anatomy.overview import Airways, Overview


def draw(
    overview: Overview,
    closed: np.ndarray,
    *,
    dense: np.ndarray,
    airways: np.ndarray,
    hazy: np.ndarray | None = None,
    lumen: Airways | None = None,
) -> np.ndarray:
    """The lungs at full resolution, uint8 (D, H, W).

    closed: labels on the blocks, vessels and disease included. dense: bool, blocks without air
    whose own outline counts, since no voxel shows it. airways: bool, blocks that stay out. hazy:
    bool, blocks of half-dense lung, in which haze counts too. lumen: airways that are cut out at
    full resolution, where they are known that well. Deep inside, the blocks count; along the
    border, the voxels darker than lung that have a picture. Domes of the diaphragm stay open.
    """
    grid, values, level = overview.grid, overview.scan.values, overview.levels.lung
    padding = overview.values[overview.beyond].max(initial=overview.levels.floor)
    labels = np.zeros(grid.shape, np.uint8)
    for side in np.unique(closed[closed > 0]):
        box = lung_box(closed == side, margin=(3, 3, 3))
        mine = closed[box] == side
        beyond = overview.beyond[box]
        free = ((closed[box] == 0) & ~airways[box] & ~beyond) | mine
        solid = erosion(mine, IN_PLANE, beyond=True) | (mine & dense[box])
        reach = dilation(mine, IN_PLANE) & free
        voxels = grid.box_of(box)
        first = box[0].start, box[1].start, box[2].start
        lung = (values[voxels] < level) & grid.enlarge(reach, voxels, first=first)
        lung |= grid.enlarge(solid, voxels, first=first)
        if hazy is not None:
            haze = grid.enlarge(mine & hazy[box], voxels, first=first)
            lung |= haze & (values[voxels] < overview.levels.haze)
        if beyond.any():
            edge = grid.enlarge(dilation(beyond, IN_PLANE, iterations=2), voxels, first=first)
            lung &= ~(edge & (values[voxels] <= padding))
        if lumen is not None:
            lung &= ~lumen.within(voxels)
        lung = fill_slices(lung, spacing_mm=overview.spacing_mm)
        drawn = labels[voxels]
        drawn[lung & (drawn == 0)] = side
    return labels
