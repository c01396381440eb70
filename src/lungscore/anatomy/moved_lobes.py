"""Lobes whose borders are moved as far as they may be off, and what that says of each lobe."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.anatomy.borders import Borders
from lungscore.anatomy.boxes import Box
from lungscore.anatomy.grid import Grid, spacing_of_lungs
from lungscore.anatomy.lobes import DividedLungs, LungDivision, Spacing
from lungscore.anatomy.regions import divide_regions
from lungscore.labels import LEFT_LUNG, LOBES

#: Moved lobes are looked at on blocks of about this size, mm.
BLOCK_MM = 5.0
#: What is left of an error of the atlas where a fissure was traced. On phantoms it is less: the
#: mean of 1 − Dice falls from 0.096 to 0.023, in slices of 5 mm from 0.092 to 0.040
#: (experiments/results/fissures.json); disease leaves more.
TRACED = 0.5
#: The share of moved lobes on either side that is taken to be farther off than may be expected.
TAIL = 0.1
#: A lobe whose overlap may be less than this is said to be uncertain.
UNCERTAIN_DICE = 0.6


@dataclass(frozen=True)
class LobeConfidence:
    """What overlap (Dice) with a reader's lobe the errors of the atlas let one expect.

    expected: the median over the moved borders; low: what nine of ten exceed. by_shape: the overlap
    of the lobe with that of the shape alone; 1 where no fissure was traced.
    """

    expected: float
    low: float
    by_shape: float

    @property
    def uncertain(self) -> bool:
        """Whether the lobe may be far off."""
        return min(self.low, self.by_shape) < UNCERTAIN_DICE


@dataclass(frozen=True, eq=False)
class MovedLobes:
    """The lobes of one scan under each of N moves of their borders, on coarse blocks.

    grid: blocks over the voxels of the scan. lobes: (N, *grid.blocks) uint8 of labels.LOBES; they
    reach one block beyond the lungs. planes: the block of every slice, row and column that is
    looked at. confidence: of every lobe that there is, by name.
    """

    grid: Grid
    lobes: np.ndarray
    planes: tuple[np.ndarray, np.ndarray, np.ndarray]
    confidence: dict[str, LobeConfidence]

    def within(self, box: Box) -> "MovedLobes":
        """Those of the part of the scan that lies in ``box``."""
        planes = tuple(plane[span] for plane, span in zip(self.planes, box, strict=True))
        return MovedLobes(self.grid, self.lobes, planes, self.confidence)  # type: ignore[arg-type]

    def labels(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Lobes and regions under each move, (blocks,) uint8 each."""
        for lobes in self.lobes:
            regions = divide_regions(lobes, self.grid.spacing_mm, sample_mm=2 * BLOCK_MM)
            yield lobes.ravel(), regions.ravel()

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many blocks there are along each axis."""
        return self.grid.blocks


def move_lobes(
    lung_labels: np.ndarray, spacing_mm: Spacing | None, divided: DividedLungs
) -> MovedLobes:
    """Move the borders of ``divided`` lungs by each error of the atlas.

    lung_labels: (D, H, W) with 1 right and 2 left lung. The errors are those of one lung of the
    atlas after the other, both lungs of a person together. Where a fissure was traced, less of them
    is left.
    """
    if spacing_mm is None:
        spacing_mm = spacing_of_lungs(lung_labels)
    grid = Grid.over(lung_labels.shape, spacing_mm, block_mm=BLOCK_MM)  # type: ignore[arg-type]
    sides = grid.centres(lung_labels)
    count = max((len(lung.errors) for lung in divided.lungs.values()), default=0)
    lobes = np.zeros((count, *grid.blocks), np.uint8)
    confidence: dict[str, LobeConfidence] = {}
    for side, lung in divided.lungs.items():
        blocks, borders = _coarse(lung, side, grid)
        inside = sides[blocks] == side
        # What lies at the edge of the lung belongs to blocks whose middle is outside.
        near = ndimage.binary_dilation(inside, np.ones((3, 3, 3))) & (sides[blocks] != 3 - side)
        values = np.array([LOBES[name] for name in LUNG_LOBES[side]], np.uint8)
        as_found = values[_labels(borders)][inside]
        by_shape = values[_labels(borders.untraced)][inside]
        overlaps = []
        for move, error in zip(lobes, lung.errors, strict=True):
            moved = values[_labels(borders.moved(_left_of(error, borders)))]
            move[blocks][near] = moved[near]
            overlaps.append([_dice(moved[inside] == value, as_found == value) for value in values])
        low, expected = np.quantile(overlaps, (TAIL, 0.5), axis=0)
        for index, name in enumerate(LUNG_LOBES[side]):
            value = values[index]
            alone = _dice(by_shape == value, as_found == value)
            confidence[name] = LobeConfidence(float(expected[index]), float(low[index]), alone)
    factors = zip(grid.shape, grid.factors, strict=True)
    planes = tuple(np.arange(size) // factor for size, factor in factors)
    return MovedLobes(grid, lobes, planes, confidence)  # type: ignore[arg-type]


def _coarse(lung: LungDivision, side: int, grid: Grid) -> tuple[Box, Borders]:
    """The blocks that the box of a lung covers, and its borders at their middles."""
    blocks, indices = [], []
    for span, factor, size in zip(lung.box, grid.factors, grid.shape, strict=True):
        first, last = span.start // factor, (span.stop - 1) // factor
        blocks.append(slice(first, last + 1))
        middles = np.minimum(np.arange(first, last + 1) * factor + factor // 2, size - 1)
        indices.append(middles.clip(span.start, span.stop - 1) - span.start)
    if side == LEFT_LUNG:  # its borders are those of the mirrored box
        width = lung.box[2].stop - lung.box[2].start
        indices[2] = width - 1 - indices[2]
    z, y, x = indices
    return tuple(blocks), lung.borders.at((z, y, x))  # type: ignore[return-value]


def _labels(borders: Borders) -> np.ndarray:
    """(d, h, w) index of the lobe in LUNG_LOBES."""
    return np.stack(list(borders.lobes()))


def _left_of(error: np.ndarray, borders: Borders) -> np.ndarray:
    """What is left of an ``error`` (1 or 2, 6) where fissures were traced."""
    traced = [borders.oblique_off is not None, borders.horizontal_off is not None]
    return error * np.where(traced[: len(error)], TRACED, 1.0)[:, None]


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap; 1 where both are empty."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return float(2 * np.count_nonzero(a & b) / total) if total else 1.0
