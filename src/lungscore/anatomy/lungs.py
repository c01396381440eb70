"""Finding the lungs: coarse first, then at the scan's own resolution."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from lungscore.anatomy.airways import LUMEN_MM2, find_airways, is_round
from lungscore.anatomy.body import inside_body, median_midline
from lungscore.anatomy.boxes import Box, copy_within, lung_box
from lungscore.anatomy.closing import IN_PLANE, close_ball, fill_slices
from lungscore.anatomy.enclosed import enclosed_bays
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.anatomy.levels import Levels, find_levels
from lungscore.anatomy.sides import name_sides
from lungscore.errors import InputError, Notice
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan

COARSE_MM, AIRWAY_MM, WALL_MM = 2.5, 1.25, 4.0
#: Vessels, nodules and bays of the pleura up to about twice this width join the lung, mm.
CLOSING_MM = 8.0
#: Bone and contrast medium are denser than any consolidated lung, HU.
DENSEST_LUNG_HU = 200
#: Aerated pieces below this are no lung (for one slice: mm² instead of mm³).
SMALLEST_PIECE_MM3, SMALLEST_PIECE_MM2 = 3000.0, 250.0
#: Less aerated lung than this is none at all, ml; in the largest slice of a short scan, cm².
NO_LUNGS_ML, NO_LUNGS_CM2, SHORT_SCAN_MM = 40.0, 5.0, 20.0
#: Lungs that fill more than this part of their largest slice at an end of the scan are cut off.
TRUNCATED_AREA = 0.05
#: Pieces below this part of the largest are bowel where they lie under the diaphragm.
MINOR_PIECE = 0.1
#: A second lung below this part of the first is none.
SECOND_LUNG = 0.02
USUAL_ML = (1000.0, 10000.0)


@dataclass(frozen=True, repr=False)
class Lungs:
    """The lungs of a scan.

    labels: (D, H, W) uint8, 0 elsewhere, 1 right and 2 left lung; all 1 where the sides are not
    known. notices: what the user should know about the lungs. aerated: the labels before dense
    lung was added to them by its place (``lungs-from-shape``); None where there was none.
    """

    labels: np.ndarray
    sides_known: bool
    notices: tuple[Notice, ...] = ()
    aerated: np.ndarray | None = None

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self.labels.shape))
        sides = "right and left" if self.sides_known else "sides unknown"
        return f"Lungs({shape}, {sides})"


def find_lungs(scan: Scan) -> Lungs:
    """The lungs of ``scan`` without trachea and main bronchi, vessels and nodules included.

    Aerated lung is found inside the body on a coarse grid, freed of airways and bowel gas, split
    into right and left, closed, and refined at full resolution. Dense lung at the ribs joins it
    where aerated lung encloses it (notice ``lungs-from-shape``); other dense disease that reaches
    the pleura is missing until ``include_infection`` adds it. Raises InputError ``no-lungs``.
    """
    levels = find_levels(scan)
    spacing_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
    grid = Grid.over(scan.shape, spacing_mm, block_mm=COARSE_MM)
    coarse = grid.reduce(scan.values, floor=levels.floor)
    inside = inside_body(coarse >= levels.lung)
    midline = (median_midline(inside) + 0.5) * grid.factors[2]
    airways = _Airways.find(scan, spacing_mm, grid, inside, levels=levels, midline=midline)
    aerated = (coarse < levels.lung) & inside & ~airways.on(grid)
    lungs = _lung_pieces(aerated, coarse, levels, grid.spacing_mm)
    _require_lungs(scan, lungs, grid.spacing_mm)
    notices: tuple[Notice, ...] = ()
    if scan.sides_known:
        sides = name_sides(lungs, coarse, grid.spacing_mm, midline=midline / grid.factors[2])
        sides, notices = _without_specks(sides)
    else:
        sides = lungs.astype(np.uint8)
    labels = _refine(scan.values, sides, grid, levels=levels, airways=airways)
    found = Lungs(labels, scan.sides_known, notices)
    if scan.sides_known and len(labels) > 1:
        found = _with_enclosed(found, scan, spacing_mm, airways)
    return replace(found, notices=found.notices + size_notices(scan, found.labels))


@dataclass(frozen=True)
class _Airways:
    """The airways' lumen on a grid fine enough to show their walls."""

    lumen: np.ndarray
    grid: Grid

    @classmethod
    def find(
        cls,
        scan: Scan,
        spacing_mm: tuple[float, float, float],
        coarse: Grid,
        inside: np.ndarray,
        *,
        levels: Levels,
        midline: float,
    ) -> "_Airways":
        grid = Grid.over(scan.shape, spacing_mm, block_mm=AIRWAY_MM)
        fine = grid.reduce(scan.values, floor=levels.floor)
        lumen = (fine < levels.lumen) & grid.sample(inside, coarse)
        tissue = fine >= levels.lung
        lumen = find_airways(lumen, tissue, grid.spacing_mm, midline=midline / grid.factors[2])
        return cls(lumen, grid)

    def on(self, grid: Grid) -> np.ndarray:
        """Airways with their walls at the blocks of a coarser grid."""
        return grid.sample(self._with_wall(2), self.grid)

    def within(self, box: Box) -> np.ndarray:
        """Airways with their walls at the voxels of ``box``."""
        return self.grid.enlarge(self._with_wall(1), box)

    def _with_wall(self, steps: int) -> np.ndarray:
        return ndimage.binary_dilation(self.lumen, IN_PLANE, iterations=steps)


def _lung_pieces(
    aerated: np.ndarray, coarse: np.ndarray, levels: Levels, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """The pieces of ``aerated`` that are large enough for lung and are not plain gas."""
    pieces, count = ndimage.label(aerated)
    if count == 0:
        return aerated
    one_slice = len(aerated) == 1
    smallest = SMALLEST_PIECE_MM2 if one_slice else SMALLEST_PIECE_MM3
    sizes = np.bincount(pieces.ravel()) * np.prod(spacing_mm[1:] if one_slice else spacing_mm)
    keep = sizes >= smallest
    keep[0] = False
    if not keep.any():
        return np.zeros_like(aerated)
    if levels.gas is not None:
        # The rim of gas is mixed with its wall: judge what lies one voxel deeper.
        core = ndimage.binary_erosion(aerated, IN_PLANE) & keep[pieces]
        for label in np.flatnonzero(keep):
            values = coarse[core & (pieces == label)]
            keep[label] = len(values) > 0 and np.median(values) > levels.gas
    if one_slice:
        keep &= ~_tubes(pieces, np.where(keep, sizes, 0), coarse, spacing_mm)
    elif keep.any():
        keep &= ~_below_the_diaphragm(pieces, np.where(keep, sizes, 0))
    return keep[pieces]


def _tubes(
    pieces: np.ndarray, sizes: np.ndarray, coarse: np.ndarray, spacing_mm: tuple[float, ...]
) -> np.ndarray:
    """Which small round ``pieces`` of one slice are darker than the lung: airways cut across.

    In a volume they are followed from the trachea; a lone slice has only their look.
    """
    tubes = np.zeros(len(sizes), bool)
    lung = np.median(coarse[pieces == sizes.argmax()])
    for label, place in enumerate(ndimage.find_objects(pieces), start=1):
        if 0 < sizes[label] < min(LUMEN_MM2[1], MINOR_PIECE * sizes.sum()):
            patch = (pieces[place] == label)[0]
            core = ndimage.binary_erosion(patch)
            dark = core.any() and np.median(coarse[place][0][core]) <= lung
            tubes[label] = dark and is_round(patch, spacing_mm)
    return tubes


def _below_the_diaphragm(pieces: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which small ``pieces`` in the lower half lie under large ones, or under what is between them.

    That is bowel. What the ribs' recess holds lies outwards of all lung above it.
    """
    large = sizes >= MINOR_PIECE * sizes[1:].max()
    large[0] = False
    lungs = large[pieces]
    heights = np.flatnonzero(lungs.any(axis=(1, 2)))
    middle = (heights[0] + heights[-1]) / 2
    above = np.logical_or.accumulate(lungs, axis=0)
    above = np.logical_or.accumulate(above, axis=2) & _from_the_left(above)
    below = np.zeros(len(sizes), bool)
    for label, place in enumerate(ndimage.find_objects(pieces), start=1):
        if not large[label] and place[0].start > middle:
            piece = pieces[place] == label
            below[label] = above[place][piece].mean() > 0.5 or place[0].start > heights[-1]
    return below


def _from_the_left(mask: np.ndarray) -> np.ndarray:
    """``mask`` and all that lies to the patient's right of it."""
    return np.logical_or.accumulate(mask[:, :, ::-1], axis=2)[:, :, ::-1]


def _without_specks(sides: np.ndarray) -> tuple[np.ndarray, tuple[Notice, ...]]:
    """``sides`` without a second lung that is too small to be one, and a notice of that."""
    right, left = int((sides == RIGHT_LUNG).sum()), int((sides == LEFT_LUNG).sum())
    if min(right, left) >= SECOND_LUNG * max(right, left) or len(sides) == 1:
        return sides, ()
    present, name = (RIGHT_LUNG, "right") if right > left else (LEFT_LUNG, "left")
    notice = Notice("one-lung", f"Only the {name} lung was found")
    return np.where(sides == present, sides, 0).astype(np.uint8), (notice,)


def _refine(
    values: np.ndarray, sides: np.ndarray, grid: Grid, *, levels: Levels, airways: _Airways
) -> np.ndarray:
    """The coarse lungs ``sides`` closed and drawn at full resolution, uint8 (D, H, W)."""
    labels = np.zeros(grid.shape, np.uint8)
    not_airway = ~airways.on(grid)
    for side in np.unique(sides[sides > 0]):
        box = lung_box(sides == side, margin=(3, 3, 3))
        aerated = sides[box] == side
        free = (sides[box] == 0) & not_airway[box] | aerated
        closed = fill_slices(aerated)
        closed |= close_ball(closed, grid.spacing_mm, radius_mm=CLOSING_MM)
        closed &= free
        # Deep inside and where disease or vessels were closed over, the coarse mask counts;
        # along the pleura the scan's own voxels decide.
        solid = ndimage.binary_erosion(closed, IN_PLANE, border_value=1) | (closed & ~aerated)
        reach = ndimage.binary_dilation(closed, IN_PLANE) & free
        voxels = grid.box_of(box)
        first = box[0].start, box[1].start, box[2].start
        lung = (values[voxels] < levels.lung) & grid.enlarge(reach, voxels, first=first)
        lung |= grid.enlarge(solid, voxels, first=first)
        lung &= ~airways.within(voxels)
        lung = fill_slices(lung)
        drawn = labels[voxels]
        drawn[lung & (drawn == 0)] = side
    return labels


def _with_enclosed(
    lungs: Lungs, scan: Scan, spacing_mm: tuple[float, float, float], airways: _Airways
) -> Lungs:
    """``lungs`` with the dense lung at the ribs that aerated lung encloses."""
    grid = Grid.over(scan.shape, spacing_mm, block_mm=WALL_MM)
    labels: np.ndarray | None = None
    for side in (RIGHT_LUNG, LEFT_LUNG):
        lung = grid.fraction(lungs.labels, side) >= 0.5
        bays = enclosed_bays(lung, side, grid.spacing_mm) if lung.any() else lung
        if not bays.any():
            continue
        box = lung_box(bays, margin=(1, 1, 1))
        voxels = grid.box_of(box)
        first = box[0].start, box[1].start, box[2].start
        add = grid.enlarge((bays | lung)[box], voxels, first=first)
        add &= grid.enlarge(ndimage.binary_dilation(bays[box]), voxels, first=first)
        add &= ~airways.within(voxels)
        if scan.units == "hu":
            add &= scan.values[voxels] < DENSEST_LUNG_HU
        if labels is None:
            labels = copy_within(lungs.labels, lung_box(lungs.labels))
        drawn = labels[voxels]
        drawn[add & (drawn == 0)] = side
    if labels is None:
        return lungs
    added = np.count_nonzero(labels) - np.count_nonzero(lungs.labels)
    if not added:
        return lungs
    part = added / np.count_nonzero(labels)
    text = (
        "The lung mask was extended by dense tissue at the ribs, enclosed by aerated lung "
        f"({100 * part:.1f} % of the lungs)"
    )
    notice = Notice("lungs-from-shape", text)
    return Lungs(labels, lungs.sides_known, (*lungs.notices, notice), aerated=lungs.labels)


def _require_lungs(scan: Scan, lungs: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Raise InputError ``no-lungs`` where ``lungs`` are too small to be any."""
    area_cm2 = lungs.sum(axis=(1, 2)).max() * spacing_mm[1] * spacing_mm[2] / 100
    volume_ml = lungs.sum() * np.prod(spacing_mm) / 1000
    # A few slices hold little volume; there the area must do.
    if len(lungs) * spacing_mm[0] < SHORT_SCAN_MM:
        size, least, unit = area_cm2, NO_LUNGS_CM2, "cm²"
    else:
        size, least, unit = volume_ml, NO_LUNGS_ML, "ml"
    if size < least:
        found = (
            f"only {size:.0f} {unit} of aerated lung"
            if scan.spacing_mm
            else "no aerated lung was found"
        )
        raise InputError(
            "no-lungs",
            f"{scan.name}: {found}",
            expected="an axial chest CT",
            hint="Check that the scan shows the chest and has correct HU values",
        )


def size_notices(scan: Scan, labels: np.ndarray) -> tuple[Notice, ...]:
    """Notices of a scan that does not hold all of its lungs ``labels``, and of their volume."""
    if len(labels) == 1:
        return ()
    notices = []
    areas = np.array([np.count_nonzero(plane) for plane in labels])
    ends = (("first", areas[0] / areas.max()), ("last", areas[-1] / areas.max()))
    cut = [
        f"the {end} slice still shows {part:.0%} of their largest area"
        for end, part in ends
        if part > TRUNCATED_AREA
    ]
    if cut:
        text = f"The lungs are cut off: {' and '.join(cut)}"
        notices.append(Notice("truncated-scan", text))
    if scan.voxel_ml is not None:
        volume_ml = float(areas.sum()) * scan.voxel_ml
        if not USUAL_ML[0] <= volume_ml <= USUAL_ML[1]:
            text = (
                f"The lung volume is {volume_ml:.0f} ml; usual are "
                f"{USUAL_ML[0]:.0f} to {USUAL_ML[1]:.0f} ml"
            )
            notices.append(Notice("lung-volume", text))
    return tuple(notices)
