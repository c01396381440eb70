"""Lungs by rules: what is as dark as lung inside the body, without airways and bowel gas."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.airways import LUMEN_MM2, TRACHEA_OFF_MIDLINE_MM, is_round
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.closing import IN_PLANE, close_ball, fill_slices
from lungscore.anatomy.levels import Levels
from lungscore.anatomy.morphology import erosion
from lungscore.anatomy.overview import Airways, Overview
from lungscore.anatomy.sides import name_sides

#: Vessels, nodules and bays of the pleura up to about twice this width join the lung, mm.
CLOSING_MM = 8.0
#: Aerated pieces below this are not lung (for one slice: mm² instead of mm³).
SMALLEST_PIECE_MM3, SMALLEST_PIECE_MM2 = 3000.0, 250.0
#: Pieces below this part of the largest are bowel where they lie under the diaphragm.
MINOR_PIECE = 0.1


def aerated_lungs(overview: Overview, airways: Airways) -> np.ndarray:
    """Aerated lung on the blocks of ``overview``: uint8, 1 right, 2 left; 1 of unknown sides."""
    grid, levels = overview.grid, overview.levels
    aerated = overview.aerated & ~airways.on(grid)
    aerated &= ~_throat(aerated, airways, overview)
    lungs = _lung_pieces(aerated, overview.values, levels, grid.spacing_mm)
    if not overview.scan.sides_known:
        return lungs.astype(np.uint8)
    midline = overview.midline / grid.factors[2]
    return name_sides(lungs, overview.values, grid.spacing_mm, midline=midline)


def closed_lungs(
    sides: np.ndarray, airways: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """The labels ``sides`` of aerated lung with the vessels and nodules in them, uint8.

    airways: bool on the same blocks, which stay out.
    """
    labels = np.zeros_like(sides)
    for side in np.unique(sides[sides > 0]):
        box = lung_box(sides == side, margin=(3, 3, 3))
        aerated = sides[box] == side
        closed = fill_slices(aerated, spacing_mm=spacing_mm)
        closed |= close_ball(closed, spacing_mm, radius_mm=CLOSING_MM)
        closed &= (sides[box] == 0) & ~airways[box] | aerated
        drawn = labels[box]
        drawn[closed & (drawn == 0)] = side
    return labels


def _throat(aerated: np.ndarray, airways: Airways, overview: Overview) -> np.ndarray:
    """Small patches near the midline above where the trachea begins: throat and larynx."""
    throat = np.zeros_like(aerated)
    tracheal = np.flatnonzero(airways.lumen.any(axis=(1, 2)))
    if not len(tracheal):
        return throat
    grid = overview.grid
    top = tracheal[0] * airways.grid.factors[0] // grid.factors[0]
    pixel_mm2 = grid.spacing_mm[1] * grid.spacing_mm[2]
    midline = overview.midline / grid.factors[2]
    for z in range(min(top + 1, len(aerated))):
        patches, _ = ndimage.label(aerated[z])
        for label, box in enumerate(ndimage.find_objects(patches), start=1):
            patch = patches[box] == label
            column = box[1].start + np.nonzero(patch)[1].mean() + 0.5
            off_mm = abs(column - midline) * grid.spacing_mm[2]
            if patch.sum() * pixel_mm2 < LUMEN_MM2[1] and off_mm <= TRACHEA_OFF_MIDLINE_MM:
                throat[z][box] |= patch
    return throat


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
        core = erosion(aerated, IN_PLANE) & keep[pieces]
        for label in np.flatnonzero(keep):
            values = coarse[core & (pieces == label)]
            keep[label] = len(values) > 0 and np.median(values) > levels.gas
    if one_slice:
        keep &= ~_tubes(pieces, np.where(keep, sizes, 0), coarse, spacing_mm)
    elif keep.any():
        large = np.where(keep, sizes, 0)
        keep &= ~(_below_the_diaphragm(pieces, large) | above_the_lungs(pieces, large))
    return keep[pieces]


def _tubes(
    pieces: np.ndarray, sizes: np.ndarray, coarse: np.ndarray, spacing_mm: tuple[float, ...]
) -> np.ndarray:
    """Which small round ``pieces`` of one slice are darker than the lung: airways cut across.

    In a volume they are followed from the trachea; a lone slice has only their look.
    """
    tubes = np.zeros(len(sizes), bool)
    lung = np.median(coarse[pieces == sizes.argmax()])
    for label, box in enumerate(ndimage.find_objects(pieces), start=1):
        if 0 < sizes[label] < min(LUMEN_MM2[1], MINOR_PIECE * sizes.sum()):
            patch = (pieces[box] == label)[0]
            core = ndimage.binary_erosion(patch)
            dark = core.any() and np.median(coarse[box][0][core]) <= lung
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
    for label, box in enumerate(ndimage.find_objects(pieces), start=1):
        if not large[label] and box[0].start > middle:
            piece = pieces[box] == label
            below[label] = above[box][piece].mean() > 0.5 or box[0].start > heights[-1]
    return below


def _from_the_left(mask: np.ndarray) -> np.ndarray:
    """``mask`` and all that lies to the patient's right of it."""
    return np.logical_or.accumulate(mask[:, :, ::-1], axis=2)[:, :, ::-1]


def above_the_lungs(pieces: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which small ``pieces`` end above all large ones: throat, sinuses, mastoids."""
    large = sizes >= MINOR_PIECE * sizes[1:].max()
    large[0] = False
    boxes = ndimage.find_objects(pieces)
    top = min(boxes[label - 1][0].start for label in np.flatnonzero(large))
    above = np.zeros(len(sizes), bool)
    for label, box in enumerate(boxes, start=1):
        above[label] = not large[label] and box[0].stop <= top
    return above
