"""Dense lung that shows by its place: a bay at the ribs with aerated lung around it."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.closing import close_ball, grow_ball
from lungscore.anatomy.ribs import BULGE_MM, convex_hull
from lungscore.labels import RIGHT_LUNG

#: Lung comes this near to the chest wall wherever it is healthy, mm.
NEAR_MM = 8.0
#: A bay is this deep somewhere; chest walls have shallower dents, mm.
DEEP_MM = 14.0
#: Smaller holes in the lung's contact with the ribs are left alone, cm².
SMALLEST_CM2 = 4.0
#: The chest wall looks down or to the middle, as the diaphragm and the mediastinum do, where these
#: parts of its outward normal are larger.
DOWNWARDS, INWARDS = 0.4, 0.5
#: How much of a hole's rim may be open to those: this many times the square root of its area.
OPEN_RIM = 2.0
#: Beside the bay, corners up to about twice this width are closed, mm.
CORNERS_MM = 12.0

_FULL = np.ones((3, 3, 3), bool)


def enclosed_bays(
    lung: np.ndarray, side: int, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Dense lung at the ribs that one aerated ``lung`` encloses, bool (D, H, W).

    lung: bool (D, H, W) on a grid of a few millimetres; side: which it is. Its convex hull stands
    for the chest wall. Where that faces the ribs and lung is missing, but lung lies all around
    along the wall, the bay inwards of the hole is lung that does not show. Fluid in the pleural
    space lies lowest, and liver and spleen lie below: no lung closes their holes from beneath.
    """
    nothing = np.zeros_like(lung)
    box = lung_box(lung, margin=(2, 2, 2))
    inner = lung[box]
    if min(inner.shape) < 3:
        return nothing  # a slab has no above and below
    hull = convex_hull(inner)
    # Where the scan ends inside the lung, there is no wall.
    wall = hull & ~ndimage.binary_erosion(hull, border_value=1)
    depth_mm = np.where(wall, ndimage.distance_transform_edt(~inner, sampling=spacing_mm), 0)
    ribs = _faces_ribs(hull, side, spacing_mm)
    holes = _closed_holes(depth_mm, ribs, cell_cm2=spacing_mm[0] * spacing_mm[1] / 100)
    if not holes.any():
        return nothing
    rim = grow_ball(holes, spacing_mm, radius_mm=NEAR_MM + CORNERS_MM / 3) & wall & ribs
    nearest = ndimage.distance_transform_edt(
        ~wall, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    pieces, _ = ndimage.label(rim[tuple(nearest)] & hull & ~inner)
    bay = np.isin(pieces, np.setdiff1d(pieces[holes], 0))
    closed = close_ball(inner | bay, spacing_mm, radius_mm=CORNERS_MM) & hull
    closed &= grow_ball(bay, spacing_mm, radius_mm=CORNERS_MM)
    # The ribs bulge beyond the chords of the hull.
    bulge = grow_ball(holes, spacing_mm, radius_mm=BULGE_MM)
    nothing[box] = (bay | closed | bulge) & ~inner
    return nothing


def _faces_ribs(hull: np.ndarray, side: int, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Where the surface of ``hull`` looks neither down nor to the other lung."""
    smooth = ndimage.gaussian_filter(hull.astype(np.float32), [6 / size for size in spacing_mm])
    down, back, left = (-slope for slope in np.gradient(smooth, *spacing_mm))
    steepness = np.sqrt(down**2 + back**2 + left**2)
    inwards = left if side == RIGHT_LUNG else -left
    return (down <= DOWNWARDS * steepness) & (inwards <= INWARDS * steepness)


def _closed_holes(depth_mm: np.ndarray, ribs: np.ndarray, *, cell_cm2: float) -> np.ndarray:
    """The holes in the lung's contact with the ``ribs`` that are hardly open to other holes.

    depth_mm: how far the wall is from the lung; 0 where there is no wall.
    """
    hole = depth_mm > NEAR_MM
    patches, _ = ndimage.label(hole & ribs, _FULL)
    sizes = np.bincount(patches.ravel())
    closed = sizes * cell_cm2 >= SMALLEST_CM2
    closed[np.setdiff1d(np.arange(len(sizes)), patches[depth_mm > DEEP_MM])] = False
    # Where the scan ends, nobody knows what goes on.
    closed[patches[[0, -1]].ravel()] = False
    closed[0] = False
    for label in np.flatnonzero(closed):
        rim = ndimage.binary_dilation(patches == label, _FULL) & hole & ~ribs
        closed[label] = np.count_nonzero(rim) < OPEN_RIM * np.sqrt(sizes[label])
    return closed[patches]
