"""Lung that dense disease hides: where it may lie, and joining it to the lungs."""

from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.closing import IN_PLANE, close_ball, fill_slices, grow_ball
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.anatomy.lungs import Lungs
from lungscore.errors import Notice
from lungscore.labels import RIGHT_LUNG
from lungscore.scan import Scan

FIELD_GRID_MM = 4.0
#: Bays of the lung up to about twice this width may be hidden lung on any side, mm.
FIELD_CLOSING_MM = 12.0
#: Where lung is hidden at the ribs, it may bulge beyond the hull by this much, mm.
BULGE_MM = 6.0
#: Of the way from one unnamed lung to the other, so much still counts as the lung's outer side.
INWARDS = 0.15
#: Bone and contrast medium are denser than any consolidated lung, HU.
DENSEST_LUNG_HU = 200
#: Less hidden lung than this part of the lungs is not worth a notice.
NOTEWORTHY = 0.002


def lung_field(lungs: Lungs, spacing_mm: tuple[float, float, float] | None) -> np.ndarray:
    """The lungs and where dense disease may hide more lung, bool (D, H, W).

    Each lung is closed over bays of about 2 cm. Outwards, to the side and to the back, where the
    lung meets the ribs, the field reaches as far as the convex hull of that lung: a chest wall is
    convex, so lung that is missing there is lung that does not show. Towards the heart, the
    mediastinum and the diaphragm, where lungs are hollow by nature, it reaches no farther than
    the closing. Network output outside the field is not lung.
    """
    labels = lungs.labels
    spacing_mm = spacing_mm or assumed_spacing_mm(labels.shape)
    grid = Grid.over(labels.shape, spacing_mm, block_mm=FIELD_GRID_MM)
    field = labels > 0
    for side in np.unique(labels[field]):
        coarse = grid.fraction(labels == side) >= 0.5
        if not coarse.any():
            continue
        margin = tuple(int(np.ceil(FIELD_CLOSING_MM / size)) for size in grid.spacing_mm)
        box = lung_box(coarse, margin=margin)  # type: ignore[arg-type]
        lung = coarse[box]
        wide = close_ball(lung, grid.spacing_mm, radius_mm=FIELD_CLOSING_MM)
        bays = _bays(lung, side if lungs.sides_known else None)
        # The ribs bulge beyond the chords of the hull.
        deep = ndimage.binary_opening(bays, IN_PLANE)
        deep = ndimage.binary_dilation(deep, iterations=2, mask=bays)
        wide |= bays | grow_ball(deep, grid.spacing_mm, radius_mm=BULGE_MM)
        voxels = grid.box_of(box)
        first = box[0].start, box[1].start, box[2].start
        field[voxels] |= grid.enlarge(wide, voxels, first=first)
    return field


def include_infection(lungs: Lungs, infection: np.ndarray, scan: Scan) -> Lungs:
    """``lungs`` with the infection that their aerated outline leaves out.

    infection: bool (D, H, W), what the network found. Only infection inside ``lung_field`` that
    touches a lung joins it; holes that this closes in a slice are filled. Adds the notice
    ``lungs-from-lesions`` where that is noteworthy.
    """
    labels = lungs.labels
    missing = infection & (labels == 0)
    if not missing.any():
        return lungs
    missing &= lung_field(lungs, scan.spacing_mm)
    if scan.units == "hu":
        missing &= scan.values < DENSEST_LUNG_HU
    if not missing.any():
        return lungs
    box = lung_box(missing, margin=(2, 2, 2))
    near, hidden = labels[box], missing[box]
    pieces, _ = ndimage.label(hidden)
    touching = np.unique(pieces[ndimage.binary_dilation(near > 0) & hidden])
    hidden = np.isin(pieces, touching[touching > 0])
    joined = labels.copy()
    nearest = _nearest_label(labels, scan)[box]
    for side in np.unique(near[near > 0]):
        mine = hidden & (nearest == side)
        touched = np.flatnonzero(mine.any(axis=(1, 2)))
        whole = fill_slices((near[touched] == side) | mine[touched])
        for index, plane in zip(touched, whole, strict=True):
            view = joined[box][index]
            view[plane & (view == 0)] = side
    added = int(np.count_nonzero(joined)) - int(np.count_nonzero(labels))
    if added < NOTEWORTHY * np.count_nonzero(joined):
        return replace(lungs, labels=joined)
    part = added / np.count_nonzero(joined)
    notice = Notice(
        "lungs-from-lesions", f"{part:.1%} of the lungs is dense infection that was added"
    )
    return replace(lungs, labels=joined, notices=(*lungs.notices, notice))


def _nearest_label(labels: np.ndarray, scan: Scan) -> np.ndarray:
    """The label of the lung that each voxel is nearest to, decided on a coarse grid."""
    spacing_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    grid = Grid.over(scan.shape, spacing_mm, block_mm=FIELD_GRID_MM)
    coarse = np.zeros(grid.blocks, np.uint8)
    for side in np.unique(labels[labels > 0]):
        coarse[grid.fraction(labels == side) > 0.3] = side
    places = ndimage.distance_transform_edt(
        coarse == 0, sampling=grid.spacing_mm, return_distances=False, return_indices=True
    )
    return grid.repeat(coarse[tuple(places)])


def _bays(lung: np.ndarray, side: int | None) -> np.ndarray:
    """The voxels between ``lung`` and its convex hull at the ribs: to its side and to its back.

    Where the side is None, the outside of a lung is what points away from the other one.
    """
    if side is None:
        return _bays_of_unnamed_lungs(lung)
    behind = ~np.logical_or.accumulate(lung[:, ::-1], axis=1)[:, ::-1]
    # Behind the tongues of lung in front of the heart lies the heart: only columns count in
    # which some part of the lung reaches the back.
    rows = np.flatnonzero(lung.any(axis=(0, 2)))
    back = rows[0] + round(0.8 * (rows[-1] - rows[0]))
    outer = behind & lung.any(axis=1, keepdims=True) & lung[:, back:].any(axis=(0, 1))
    # The canonical axes run from the patient's right to the left.
    outwards = slice(None) if side == RIGHT_LUNG else slice(None, None, -1)
    beside = ~np.logical_or.accumulate(lung[:, :, outwards], axis=2)[:, :, outwards]
    # In the lower lung, what has lung behind it but none before it is liver or spleen.
    before = np.logical_or.accumulate(lung, axis=1)
    beside[len(lung) // 2 :] &= (before | behind)[len(lung) // 2 :]
    outer |= beside & lung.any(axis=2, keepdims=True)
    return outer & _convex_hull(lung)


def _bays_of_unnamed_lungs(lung: np.ndarray) -> np.ndarray:
    """The voxels between each large piece and its hull that do not lie towards the other pieces."""
    pieces, _ = ndimage.label(lung)
    sizes = np.bincount(pieces.ravel())[1:]
    large = np.flatnonzero(sizes > 0.1 * sizes.max()) + 1
    middles = np.array(ndimage.center_of_mass(lung, pieces, large))
    bays = np.zeros_like(lung)
    for label, middle in zip(large, middles, strict=True):
        places = np.argwhere(_convex_hull(pieces == label))
        others = middles[large != label]
        if len(others) and len(places):
            inwards = others.mean(axis=0) - middle
            towards = (places - middle) @ inwards / (inwards @ inwards)
            places = places[towards < INWARDS]
        bays[tuple(places.T)] = True
    return bays


def _convex_hull(mask: np.ndarray) -> np.ndarray:
    """The voxels in the convex hull of ``mask`` (D, H, W); nothing where it is flat or empty."""
    hull = np.zeros_like(mask)
    box = lung_box(mask)
    inner = mask[box]
    axes = [axis for axis, size in enumerate(inner.shape) if size > 1]
    points = np.argwhere(inner & ~ndimage.binary_erosion(inner, IN_PLANE))[:, axes]
    try:
        planes = ConvexHull(points).equations
    except (QhullError, ValueError):
        return hull
    places = np.argwhere(~inner)
    inside = np.ones(len(places), bool)
    for *normal, offset in planes:
        inside[inside] = places[inside][:, axes] @ np.array(normal) + offset <= 1e-9
    hull[box][tuple(places[inside].T)] = True
    return hull
