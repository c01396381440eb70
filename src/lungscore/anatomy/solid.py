"""Lung without air that is too thick for vessels: consolidated, collapsed, or taken by a mass."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.balls import near
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.grid import Grid
from lungscore.anatomy.hidden import DENSE_HU
from lungscore.anatomy.lungs import DENSEST_LUNG_HU, Lungs
from lungscore.scan import Scan

#: Solid lung is looked for on blocks of about this size, mm.
GRID_MM = 3.0
#: It holds a ball of this radius, mm: vessels and walls within a lung are thinner. Around the balls
#: it goes on so far at most.
RADIUS_MM, RIM_MM = 6.0, 8.0
#: Smaller pieces are not counted, ml.
SMALLEST_ML = 5.0


def solid_lung(lungs: Lungs, scan: Scan) -> np.ndarray | None:
    """Where a lung is solid, bool (D, H, W); None where it is nowhere.

    Solid is what lies in ``lungs``, is denser than DENSE_HU and thicker than twice RADIUS_MM. Only
    volumes in Hounsfield units with known spacing have it, and only lungs of the network or of the
    user: those that rules draw are closed over vessels of the hilum.
    """
    if lungs.found_by == "rules" or scan.units != "hu":
        return None
    if scan.spacing_mm is None or len(scan.values) == 1:
        return None
    grid = Grid.over(scan.shape, scan.spacing_mm, block_mm=GRID_MM)
    inside, values = grid.centres(lungs.labels) > 0, grid.centres(scan.values)
    # Noise makes holes; so at first a ball half as large will do, and only there noise is filtered.
    rough = _opened(inside & _dense(values), grid.spacing_mm, RADIUS_MM / 2)
    if not rough.any():
        return None
    margin = tuple(int(np.ceil(2 * RADIUS_MM / size)) for size in grid.spacing_mm)
    box = lung_box(rough, margin=margin)  # type: ignore[arg-type]
    dense = inside[box] & _dense(ndimage.median_filter(values[box], 3))
    core = _opened(dense, grid.spacing_mm, RADIUS_MM)
    solid = dense & near(core, grid.spacing_mm, RIM_MM)
    pieces, count = ndimage.label(solid)
    sizes_ml = np.bincount(pieces.ravel(), minlength=count + 1) * np.prod(grid.spacing_mm) / 1000
    large = sizes_ml >= SMALLEST_ML
    large[0] = False
    if not large.any():
        return None
    voxels = grid.box_of(box)
    first = box[0].start, box[1].start, box[2].start
    whole = np.zeros(scan.shape, bool)
    # Blocks at the border are solid in part: the scan's own voxels draw it.
    border = near(large[pieces], grid.spacing_mm, max(grid.spacing_mm))
    whole[voxels] = grid.enlarge(border, voxels, first=first)
    whole[voxels] &= (lungs.labels[voxels] > 0) & (scan.values[voxels] > DENSE_HU)
    return whole


def _dense(values: np.ndarray) -> np.ndarray:
    return (values > DENSE_HU) & (values < DENSEST_LUNG_HU)


def _opened(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], radius_mm: float
) -> np.ndarray:
    """Opening of ``mask`` by a ball; beyond the border of the volume it goes on as it is."""
    return near(~near(~mask, spacing_mm, radius_mm), spacing_mm, radius_mm) & mask
