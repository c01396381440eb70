"""Lung that dense disease hides: where it may lie, and joining it to the lungs."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from lungscore.anatomy.agreement import THIRDS
from lungscore.anatomy.boxes import Box, copy_within, lung_box
from lungscore.anatomy.closing import IN_PLANE, close_ball, fill_slices, grow_ball
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.anatomy.lungs import DENSEST_LUNG_HU, Lungs
from lungscore.anatomy.morphology import dilation, opening
from lungscore.anatomy.ribs import (
    BULGE_MM,
    back_of,
    bays_at_ribs,
    bays_of_unnamed_lungs,
    lacking,
)
from lungscore.errors import Notice
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan

FIELD_GRID_MM = 4.0
#: Bays of the lung up to about twice this width may be hidden lung on any side, mm.
FIELD_CLOSING_MM = 12.0
#: Less hidden lung than this part of the lungs is not worth a notice.
NOTEWORTHY = 0.002
#: Tissue is dense from this on, HU; beside healthy lungs there is less of it than this, ml, and
#: part of the lungs; with their lower third it may be DENSE_LOW of them. More than the last part
#: puts the lungs in doubt.
DENSE_HU, DENSE_OUTSIDE_ML, DENSE_OUTSIDE, DENSE_LOW, DENSE_MUCH = -200, 100.0, 0.02, 0.075, 0.1
#: Dense tissue that the lung network held possible without saying so, ml.
PERHAPS_ML = 60.0


def lung_field(lungs: Lungs, spacing_mm: tuple[float, float, float] | None) -> np.ndarray:
    """The lungs and where dense disease may hide more lung, bool (D, H, W).

    Each lung is closed over bays of about 2 cm. Outwards, to the side and to the back, where the
    lung meets the ribs, the field reaches as far as the convex hull of that lung: a chest wall is
    convex, so lung that is missing there is lung that does not show. There it also holds what the
    mirrored other lung has and this one lacks, if that is too much for healthy lungs: so a base
    that is dense down to the diaphragm is covered. Towards the heart, the mediastinum and the
    diaphragm, where lungs are hollow by nature, it reaches no farther than the closing. Network
    output outside the field is not lung.
    """
    labels = lungs.labels if lungs.aerated is None else lungs.aerated
    spacing_mm = spacing_mm or assumed_spacing_mm(labels.shape)
    grid = Grid.over(labels.shape, spacing_mm, block_mm=FIELD_GRID_MM)
    field = np.zeros(labels.shape, bool)
    if not lungs.labels.any():
        return field
    own = lung_box(lungs.labels)
    field[own] = lungs.labels[own] > 0
    lungs_here = grid.fraction(labels) >= 0.5
    if not lungs_here.any():
        return field
    margin = tuple(int(np.ceil(FIELD_CLOSING_MM / size)) for size in grid.spacing_mm)
    box = lung_box(lungs_here, margin=margin)  # type: ignore[arg-type]
    back = back_of(lungs_here[box])
    wide = lungs_here[box].copy()
    for side in _sides(labels):
        lung = (grid.fraction(labels, side) >= 0.5)[box]
        if not lung.any():
            continue
        closed = close_ball(lung, grid.spacing_mm, radius_mm=FIELD_CLOSING_MM)
        if lungs.sides_known:
            opposite = lungs_here[box] & ~lung
            wide |= lacking(closed, opposite, side, grid.spacing_mm)
            bays = bays_at_ribs(lung, side, back=back)
        else:
            bays = bays_of_unnamed_lungs(lung)
        # The ribs bulge beyond the chords of the hull.
        deep = opening(bays, IN_PLANE)
        deep = dilation(deep, iterations=2, within=bays)
        wide |= closed | bays | grow_ball(deep, grid.spacing_mm, radius_mm=BULGE_MM)
    voxels = grid.box_of(box)
    first = box[0].start, box[1].start, box[2].start
    field[voxels] |= grid.enlarge(wide, voxels, first=first)
    return field


def dense_outside(lungs: Lungs, field: np.ndarray, scan: Scan) -> tuple[float, tuple[Notice, ...]]:
    """Millilitres of dense tissue that may be lung but is in none, and notices where many.

    field: that of ``lung_field``. Tissue counts from DENSE_HU to DENSEST_LUNG_HU where it is
    thicker than about 12 mm: what is thinner lies along every healthy lung. What the lung network
    held possible counts too. 0 without Hounsfield units.
    """
    if scan.units != "hu" or scan.spacing_mm is None or len(scan.values) == 1:
        return 0.0, ()
    grid = Grid.over(scan.shape, scan.spacing_mm, block_mm=FIELD_GRID_MM)
    values = ndimage.median_filter(grid.centres(scan.values), 3)
    labels = grid.centres(lungs.labels)
    if not labels.any():  # all of them lies between the voxels that are looked at
        return 0.0, ()
    dense = grid.centres(field) & (labels == 0) & (values > DENSE_HU) & (values < DENSEST_LUNG_HU)
    dense = opening(dense, np.ones((3, 3, 3), bool))
    block_ml = float(np.prod(grid.spacing_mm)) / 1000
    lung_ml = np.count_nonzero(labels) * block_ml
    ml = float(dense.sum()) * block_ml
    # Low down lie liver, spleen and stomach, in one half of the body higher than in the other.
    levels = np.flatnonzero(labels.any(axis=(1, 2)))
    upper_ml = float(dense[: levels[0] + 2 * len(levels) // 3].sum()) * block_ml
    much = upper_ml > max(DENSE_OUTSIDE_ML, DENSE_OUTSIDE * lung_ml) or ml > DENSE_LOW * lung_ml
    if not much and lungs.perhaps_ml <= PERHAPS_ML:
        return max(ml, lungs.perhaps_ml), ()
    where = _where(dense, labels, lungs.sides_known) if much else "the network is not sure of it"
    ml = max(ml, lungs.perhaps_ml)
    text = (
        f"{ml:.0f} ml of dense tissue within the rib cage are in no lung ({where}): "
        "percentages are of the lungs without it"
    )
    notices: tuple[Notice, ...] = (Notice("dense-outside-lungs", text),)
    if ml > DENSE_MUCH * lung_ml:
        text = f"{ml:.0f} ml beside {lung_ml:.0f} ml of lung are dense and may be lung"
        notices += (Notice("lungs-doubtful", text),)
    return ml, notices


def complete_lungs(lungs: Lungs, infection: np.ndarray, scan: Scan, field: np.ndarray) -> Lungs:
    """``include_infection``, and what ``dense_outside`` says of the lungs then."""
    lungs = include_infection(lungs, infection, scan, field=field)
    ml, notices = dense_outside(lungs, field, scan)
    together = tuple(dict.fromkeys((*lungs.notices, *notices)))
    return replace(lungs, notices=together, perhaps_ml=ml if notices else 0.0)


def _where(dense: np.ndarray, labels: np.ndarray, sides_known: bool) -> str:
    """The third of the lungs' height, and the side, in which most of ``dense`` lies."""
    z, _, x = ndimage.center_of_mass(dense)
    levels = np.flatnonzero(labels.any(axis=(1, 2)))
    third = THIRDS[int(np.clip(3 * (z - levels[0]) / (levels[-1] - levels[0] + 1), 0, 2))]
    if not sides_known:
        return f"most in the {third} third"
    side = "right" if x < ndimage.center_of_mass(labels > 0)[2] else "left"
    return f"most in the {third} third of the {side} side"


def include_infection(
    lungs: Lungs, infection: np.ndarray, scan: Scan, *, field: np.ndarray | None = None
) -> Lungs:
    """``lungs`` with the infection that their aerated outline leaves out.

    infection: (D, H, W) bool, or labels above 0, what the network found. Only infection inside
    ``lung_field`` that touches a lung joins it; holes that this closes in a slice are filled. Adds
    the notice ``lungs-from-lesions`` where that is noteworthy. field: that of ``lung_field``, where
    it is known.
    """
    labels = lungs.labels
    if not infection.any():
        return lungs
    box = lung_box(infection, margin=(2, 2, 2))
    near = labels[box]
    hidden = (infection[box] > 0) & (near == 0)
    if not hidden.any():
        return lungs
    hidden &= (lung_field(lungs, scan.spacing_mm) if field is None else field)[box]
    if scan.units == "hu":
        hidden &= scan.values[box] < DENSEST_LUNG_HU
    if not hidden.any():
        return lungs
    pieces, count = ndimage.label(hidden)
    touching = np.zeros(count + 1, bool)
    touching[pieces[dilation(near > 0) & hidden]] = True
    hidden = touching[pieces]
    del pieces  # four times as large
    joined = copy_within(labels, lung_box(labels)) if labels.any() else labels.copy()
    nearest = _nearest_label(labels, scan, box)
    for side in _sides(near):
        mine = hidden & (nearest == side)
        touched = np.flatnonzero(mine.any(axis=(1, 2)))
        before = near[touched] == side
        # Holes that were there before are domes of the diaphragm.
        whole = fill_slices(before | mine[touched]) & ~fill_slices(before) | mine[touched]
        for index, plane in zip(touched, whole, strict=True):
            view = joined[box][index]
            view[plane & (view == 0)] = side
    added = int(np.count_nonzero(joined)) - int(np.count_nonzero(labels))
    if added < NOTEWORTHY * np.count_nonzero(joined):
        return replace(lungs, labels=joined)
    share = added / np.count_nonzero(joined)
    notice = Notice(
        "lungs-from-lesions",
        f"The lung mask was extended by dense opacity ({100 * share:.1f} % of the lungs)",
    )
    return replace(lungs, labels=joined, notices=(*lungs.notices, notice))


def _sides(labels: np.ndarray) -> list[int]:
    """The labels of lungs that occur in ``labels``."""
    return [side for side in (RIGHT_LUNG, LEFT_LUNG) if (labels == side).any()]


def _nearest_label(labels: np.ndarray, scan: Scan, box: Box) -> np.ndarray:
    """The label of the lung that each voxel of ``box`` is nearest to, decided on a coarse grid."""
    spacing_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    grid = Grid.over(scan.shape, spacing_mm, block_mm=FIELD_GRID_MM)
    coarse = np.zeros(grid.blocks, np.uint8)
    for side in (RIGHT_LUNG, LEFT_LUNG):
        coarse[grid.fraction(labels, side) > 0.3] = side
    nearest = ndimage.distance_transform_edt(
        coarse == 0, sampling=grid.spacing_mm, return_distances=False, return_indices=True
    )
    return grid.repeat(coarse[tuple(nearest)], box)
