"""Where lung may be missing at the ribs: its convex hull, and what the other lung shows."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from lungscore.anatomy.balls import near
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.closing import IN_PLANE
from lungscore.anatomy.morphology import erosion
from lungscore.labels import RIGHT_LUNG

#: Where lung is hidden at the ribs, it may bulge beyond the hull by this much, mm.
BULGE_MM = 6.0
#: Columns count as reaching the back that come this far, of the way from the lungs' front.
BACK = 0.8
#: Of the way from one unnamed lung to the other, so much still counts as the lung's outer side.
INWARDS = 0.15
#: What one lung holds and the other lacks is disease only where more than twice this thick, mm:
#: one half of the diaphragm stands up to 2 cm higher than the other.
ASYMMETRY_MM = 12.0
#: Spine and aorta fill this much of half the chest's width; lungs are not mirror images there.
MEDIAL = 0.3


def bays_at_ribs(lung: np.ndarray, side: int, *, back: int) -> np.ndarray:
    """The voxels between ``lung`` and its convex hull at the ribs: to its side and to its back.

    lung: bool (D, H, W), one lung. back: the row behind which a lung reaches the patient's back.
    """
    return towards_ribs(lung, side, back=back) & convex_hull(lung) & ~lung


def towards_ribs(lung: np.ndarray, side: int, *, back: int) -> np.ndarray:
    """All that lies to the side of ``lung`` or behind it; the arguments are of ``bays_at_ribs``."""
    behind = ~np.logical_or.accumulate(lung[:, ::-1], axis=1)[:, ::-1]
    # Behind the tongues of lung in front of the heart lies the heart: only columns count in
    # which some part of the lung reaches the back.
    outer = behind & lung.any(axis=1, keepdims=True) & lung[:, back:].any(axis=(0, 1))
    # The canonical axes run from the patient's right to the left.
    outwards = slice(None) if side == RIGHT_LUNG else slice(None, None, -1)
    beside = ~np.logical_or.accumulate(lung[:, :, outwards], axis=2)[:, :, outwards]
    # In the lower lung, what has lung behind it but none before it is liver or spleen.
    levels = np.flatnonzero(lung.any(axis=(1, 2)))
    lower = slice((levels[0] + levels[-1] + 1) // 2, None)
    before = np.logical_or.accumulate(lung[lower], axis=1)
    beside[lower] &= before | behind[lower]
    outer |= beside & lung.any(axis=2, keepdims=True)
    return outer


def bays_of_unnamed_lungs(lung: np.ndarray) -> np.ndarray:
    """The voxels between each large piece and its hull that do not lie towards the other pieces."""
    pieces, _ = ndimage.label(lung)
    sizes = np.bincount(pieces.ravel())[1:]
    large = np.flatnonzero(sizes > 0.1 * sizes.max()) + 1
    middles = np.array(ndimage.center_of_mass(lung, pieces, large))
    bays = np.zeros_like(lung)
    for label, middle in zip(large, middles, strict=True):
        voxels = np.argwhere(convex_hull(pieces == label) & ~lung)
        other_middles = middles[large != label]
        if len(other_middles) and len(voxels):
            inwards = other_middles.mean(axis=0) - middle
            towards = (voxels - middle) @ inwards / (inwards @ inwards)
            voxels = voxels[towards < INWARDS]
        bays[tuple(voxels.T)] = True
    return bays


def back_of(lungs: np.ndarray) -> int:
    """The row behind which lungs (bool, both) reach the patient's back."""
    rows = np.flatnonzero(lungs.any(axis=(0, 2)))
    return int(rows[0] + round(BACK * (rows[-1] - rows[0])))


def lacking(
    lung: np.ndarray, opposite: np.ndarray, side: int, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """What the mirrored ``opposite`` lung holds in the back and at the side and ``lung`` lacks.

    Both bool (D, H, W) on one grid; side: of ``lung``. In front, the heart makes lungs unlike.
    Nothing where the difference is no thicker than between healthy lungs.
    """
    nothing = np.zeros_like(lung)
    if not opposite.any():
        return nothing
    right, left = (lung, opposite) if side == RIGHT_LUNG else (opposite, lung)
    first = int(np.flatnonzero(right.any(axis=(0, 1)))[0])
    last = int(np.flatnonzero(left.any(axis=(0, 1)))[-1])
    columns = np.arange(lung.shape[2])
    source = first + last - columns
    within = (source >= 0) & (source < lung.shape[2])
    within &= np.abs(2 * columns - first - last) >= MEDIAL * (last - first)
    expected = nothing.copy()
    expected[:, :, within] = opposite[:, :, source[within]]
    rows = np.flatnonzero(opposite.any(axis=(0, 2)))
    expected[:, : (rows[0] + rows[-1]) // 2] = False
    missing = expected & ~lung
    if not missing.any():
        return nothing
    beyond = np.pad(~missing, 1, constant_values=True)
    deep = ~near(beyond, spacing_mm, ASYMMETRY_MM)[1:-1, 1:-1, 1:-1]
    return missing & near(deep, spacing_mm, ASYMMETRY_MM)


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """``mask`` (D, H, W) and the voxels in its convex hull; the mask itself where it is flat."""
    hull = mask.copy()
    box = lung_box(mask)
    inner = mask[box]
    axes = [axis for axis, size in enumerate(inner.shape) if size > 1]
    points = np.argwhere(inner & ~erosion(inner, IN_PLANE))[:, axes]
    try:
        planes = ConvexHull(points).equations
    except (QhullError, ValueError):
        return hull
    # Along the last axis, the planes that look forwards end the hull and the others begin it.
    shape = [inner.shape[axis] for axis in axes]
    lines = np.indices(shape[:-1]).reshape(len(shape) - 1, -1).T
    room = -(lines @ planes[:, :-2].T + planes[:, -1]) + 1e-9
    slope = planes[:, -2]
    level = np.abs(slope) < 1e-9
    ends = (room[:, slope >= 1e-9] / slope[slope >= 1e-9]).min(axis=1)
    begins = (room[:, slope <= -1e-9] / slope[slope <= -1e-9]).max(axis=1)
    ends[(room[:, level] < 0).any(axis=1)] = -1
    along = np.arange(shape[-1])
    within = (along >= begins[:, None]) & (along <= ends[:, None])
    hull[box] |= within.reshape(inner.shape)
    return hull
