"""A scan on blocks of a few millimetres, on which lungs are looked for."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lungscore.anatomy.airways import find_airways
from lungscore.anatomy.body import inside_body, median_midline
from lungscore.anatomy.boxes import Box
from lungscore.anatomy.closing import IN_PLANE
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.anatomy.levels import Levels, find_levels
from lungscore.anatomy.morphology import dilation
from lungscore.scan import Scan

COARSE_MM, AIRWAY_MM = 2.5, 1.25
#: Where there is no picture stands one value, as low as air: HU, its least part of a block, and of
#: the picture's edge; so many such values are looked for.
PADDING_HU, ALL_PADDING, OF_EDGE, MOST_VALUES = -900, 0.995, 0.01, 3


@dataclass(frozen=True)
class Overview:
    """A scan in blocks of about 2.5 mm.

    spacing_mm: (z, y, x) of the scan, assumed where it states none. values: int16, block means.
    inside: bool, the body with what it encloses. beyond: bool, blocks without a picture: outside a
    round field of view, or what a rotated scan lacks. midline: column of the patient's middle, in
    voxels of the scan.
    """

    scan: Scan
    levels: Levels
    spacing_mm: tuple[float, float, float]
    grid: Grid
    values: np.ndarray
    inside: np.ndarray
    beyond: np.ndarray
    midline: float

    @classmethod
    def of(cls, scan: Scan) -> "Overview":
        """The overview of ``scan``."""
        levels = find_levels(scan)
        spacing_mm = scan.spacing_mm or assumed_spacing_mm(scan.shape)
        grid = Grid.over(scan.shape, spacing_mm, block_mm=COARSE_MM)
        values = grid.reduce(scan.values, floor=levels.floor)
        beyond = _without_picture(scan, grid)
        inside = inside_body(values >= levels.lung, beyond)
        midline = (median_midline(inside) + 0.5) * grid.factors[2]
        return cls(scan, levels, spacing_mm, grid, values, inside, beyond, midline)

    @property
    def aerated(self) -> np.ndarray:
        """Blocks inside the body that are as dark as lung or air, bool."""
        return (self.values < self.levels.lung) & self.inside


def _without_picture(scan: Scan, grid: Grid) -> np.ndarray:
    """Blocks (bool) that hold one and the same value, as low as air, from the edge inwards.

    Even air around the patient, which some scanners do not resolve, is no picture either.
    """
    edge = np.zeros(grid.blocks, bool)
    if scan.units != "hu":
        return edge
    down, rows, columns = grid.factors
    sides = (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1])
    steps = ((down, columns), (down, columns), (down, rows), (down, rows))
    values = [_even(scan.values[side], step) for side, step in zip(sides, steps, strict=True)]
    levels, counts = np.unique(np.concatenate(values), return_counts=True)
    blocks = 2 * grid.blocks[0] * sum(grid.blocks[1:])
    counts[levels > PADDING_HU] = 0
    frequent = np.argsort(counts)[-MOST_VALUES:]
    padding = levels[frequent[counts[frequent] > OF_EDGE * blocks]]
    even = edge.copy()
    for value in padding:
        even |= grid.fraction(scan.values, of=int(value)) >= ALL_PADDING
    for side in sides:
        edge[side] = even[side]
    return ndimage.binary_propagation(edge, IN_PLANE, mask=even)


def _even(plane: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """The values (n,) of those blocks of a ``plane`` (H, W) that hold one value."""
    lowest = highest = plane
    for axis, step in enumerate(steps):
        starts = np.arange(0, plane.shape[axis], step)
        lowest = np.minimum.reduceat(lowest, starts, axis)
        highest = np.maximum.reduceat(highest, starts, axis)
    values: np.ndarray = lowest[lowest == highest]
    return values


@dataclass(frozen=True)
class Airways:
    """The airways' lumen, bool, on a grid fine enough to show their walls."""

    lumen: np.ndarray
    grid: Grid

    @classmethod
    def find(cls, overview: Overview) -> "Airways":
        """Trachea and main bronchi, followed downwards from the trachea."""
        scan, levels = overview.scan, overview.levels
        grid = Grid.over(scan.shape, overview.spacing_mm, block_mm=AIRWAY_MM)
        fine = grid.reduce(scan.values, floor=levels.floor)
        lumen = (fine < levels.lumen) & grid.sample(overview.inside, overview.grid)
        midline = overview.midline / grid.factors[2]
        lumen = find_airways(lumen, fine >= levels.lung, grid.spacing_mm, midline=midline)
        return cls(lumen, grid)

    def on(self, grid: Grid) -> np.ndarray:
        """Airways with their walls at the blocks of a coarser grid."""
        return grid.sample(self._with_wall(2), self.grid)

    def within(self, box: Box) -> np.ndarray:
        """Airways with their walls at the voxels of ``box``."""
        return self.grid.enlarge(self._with_wall(1), box)

    def _with_wall(self, steps: int) -> np.ndarray:
        return dilation(self.lumen, IN_PLANE, iterations=steps)
