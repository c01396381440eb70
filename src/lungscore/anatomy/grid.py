"""A coarse grid over a scan: block means down, smooth masks back up."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from lungscore.anatomy.boxes import Box

#: Assumed where no voxel size is stated, mm.
FIELD_OF_VIEW_MM, SLICE_DISTANCE_MM, LUNGS_HEIGHT_MM = 360.0, 5.0, 250.0


def assumed_spacing_mm(shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """A voxel size for images that state none: a field of view of 360 mm, slices 5 mm apart.

    Good enough to tell a lung from an airway; no volume is ever computed with it.
    """
    pixel = FIELD_OF_VIEW_MM / max(shape[1:])
    return SLICE_DISTANCE_MM, pixel, pixel


def spacing_of_lungs(labels: np.ndarray) -> tuple[float, float, float]:
    """A voxel size for lungs ``labels`` (D, H, W) of unknown size, taken to be 250 mm tall.

    Good enough for what depends on their shape, as lobes do.
    """
    levels = np.flatnonzero(labels.any(axis=(1, 2)))
    height = int(levels[-1] - levels[0] + 1) if len(levels) else 1
    _, y, x = assumed_spacing_mm(labels.shape)  # type: ignore[arg-type]
    return LUNGS_HEIGHT_MM / height, y, x


@dataclass(frozen=True)
class Grid:
    """Blocks of ``factors`` voxels over an array of ``shape``; ragged at the far ends.

    spacing_mm: (z, y, x) of one block.
    """

    shape: tuple[int, int, int]
    factors: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def over(
        cls, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], *, block_mm: float
    ) -> "Grid":
        """The grid whose blocks are nearest to ``block_mm`` cubes (never finer than the voxels)."""
        factors = tuple(max(1, round(block_mm / size)) for size in spacing_mm)
        blocks = tuple(size * factor for size, factor in zip(spacing_mm, factors, strict=True))
        return cls(shape, factors, blocks)  # type: ignore[arg-type]

    def reduce(self, values: np.ndarray, *, floor: int) -> np.ndarray:
        """Block means of ``values`` (shape), int16, after raising all below ``floor`` to it.

        The floor keeps the padding outside a scanner's field of view from counting as lower
        than air.
        """
        coarse = np.empty(self.blocks, np.int16)
        for index, slab in enumerate(self._slabs(values)):
            raised = np.maximum(slab, floor)
            total = raised.sum(axis=0, dtype=np.int32)
            coarse[index] = np.rint(self._sums(total) / (self._pixels() * len(slab)))
        return coarse

    def fraction(self, labels: np.ndarray, of: int | None = None) -> np.ndarray:
        """The part of each block that the label ``of`` fills, in steps of 1/100; float32.

        labels: (shape) bool or integers. of: None for all that are not 0.
        """
        coarse = np.zeros(self.blocks, np.float32)
        for index, slab in enumerate(self._slabs(labels)):
            mask = slab != 0 if of is None else slab == of
            if mask.any():
                total = 100 * self._sums(mask.sum(axis=0, dtype=np.uint16).astype(np.int32))
                coarse[index] = np.rint(total / (self._pixels() * len(slab)))
        return coarse / np.float32(100)

    def _slabs(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """The slices of one layer of blocks after the other."""
        for start in range(0, self.shape[0], self.factors[0]):
            yield values[start : start + self.factors[0]]

    def _sums(self, plane: np.ndarray) -> np.ndarray:
        """Sums of a slice (H, W) over the blocks."""
        return _block_sums(_block_sums(plane, self.factors[1]).T, self.factors[2]).T

    def _pixels(self) -> np.ndarray:
        """How many pixels of a slice each block covers: fewer at the far ends."""
        sizes = [
            np.diff(np.append(np.arange(0, size, step), size))
            for size, step in zip(self.shape[1:], self.factors[1:], strict=True)
        ]
        return np.outer(*sizes)

    def box_of(self, coarse: Box) -> Box:
        """The voxels that the coarse box covers."""
        return tuple(  # type: ignore[return-value]
            slice(span.start * factor, min(span.stop * factor, size))
            for span, factor, size in zip(coarse, self.factors, self.shape, strict=True)
        )

    def sample(self, mask: np.ndarray, grid: "Grid") -> np.ndarray:
        """What ``mask`` on another ``grid`` over the same voxels holds at this grid's blocks."""
        indices = []
        for size, mine, theirs, blocks in zip(
            self.shape, self.factors, grid.factors, mask.shape, strict=True
        ):
            centres = np.arange(0, size, mine) + mine // 2
            indices.append(np.minimum(centres // theirs, blocks - 1))
        return mask[np.ix_(*indices)]

    def centres(self, values: np.ndarray) -> np.ndarray:
        """The ``values`` (shape) of the voxels in the middle of the blocks: no mean, for labels."""
        indices = (
            np.minimum(np.arange(0, size, step) + step // 2, size - 1)
            for size, step in zip(self.shape, self.factors, strict=True)
        )
        return values[np.ix_(*indices)]

    @property
    def blocks(self) -> tuple[int, int, int]:
        """The shape of an array on the grid."""
        z, y, x = (-(-size // step) for size, step in zip(self.shape, self.factors, strict=True))
        return z, y, x

    def repeat(self, coarse: np.ndarray, box: Box) -> np.ndarray:
        """Each block's value at those of its voxels that lie in ``box``."""
        indices = (
            np.arange(span.start, span.stop) // step
            for span, step in zip(box, self.factors, strict=True)
        )
        return coarse[np.ix_(*indices)]

    def enlarge(
        self, coarse: np.ndarray, box: Box, *, first: tuple[int, int, int] = (0, 0, 0)
    ) -> np.ndarray:
        """The bool mask ``coarse`` of the grid at the voxels of ``box``, with smooth outlines.

        first: the block at which ``coarse`` begins, where it is cut out of the grid. Linear
        between block centres within a slice and cut at one half; along z the block's own value.
        """
        (z, top, left), ends = (
            [
                edge - start * factor
                for edge, start, factor in zip(edges, first, self.factors, strict=True)
            ]
            for edges in zip(*((span.start, span.stop) for span in box), strict=True)
        )
        mask = np.zeros((ends[0] - z, ends[1] - top, ends[2] - left), bool)
        source = -1
        smooth: np.ndarray | None = None
        for index, block in enumerate(np.arange(z, ends[0]) // self.factors[0]):
            if block != source:
                source, plane = int(block), coarse[block]
                smooth = None
                if plane.any():
                    smooth = _smooth(plane, self.factors[1:])[top : ends[1], left : ends[2]]
            if smooth is not None:
                mask[index] = smooth
        return mask


def _smooth(plane: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """The bool ``plane`` (H, W) of blocks at each of their pixels, linear between block centres.

    Between four centres there are but 16 outlines, which are drawn once. Beyond the outermost
    centres a block goes on as it is.
    """
    padded = np.pad(plane.view(np.uint8), 1, mode="edge")
    corners = padded[:-1, :-1] | padded[:-1, 1:] << 1 | padded[1:, :-1] << 2 | padded[1:, 1:] << 3
    outlines = _outlines(*factors)
    pixels = np.empty((len(corners), factors[0], corners.shape[1], factors[1]), bool)
    for row in range(factors[0]):
        pixels[:, row] = outlines[:, row].take(corners, axis=0)
    drawn = pixels.reshape(pixels.shape[0] * factors[0], -1)
    top, left = ((factor + 1) // 2 for factor in factors)  # what lies before the first block
    return drawn[top : top + plane.shape[0] * factors[0], left:]


@cache
def _outlines(down: int, across: int) -> np.ndarray:
    """(16, down, across) bool: the pixels between four block centres where the mean is above one
    half; the bits of the first index are the centres above left, above right, below left, below
    right."""
    rows, columns = (
        ((np.arange(size) + 0.5 * (size % 2 == 0)) / size).astype(np.float32)
        for size in (down, across)
    )
    outlines = np.empty((16, down, across), bool)
    for number in range(16):
        bits = [np.float32(number >> bit & 1) for bit in range(4)]
        left = bits[0] + rows * (bits[2] - bits[0])
        right = bits[1] + rows * (bits[3] - bits[1])
        outlines[number] = left[:, None] + columns * (right - left)[:, None] > 0.5
    return outlines


def _block_sums(plane: np.ndarray, factor: int) -> np.ndarray:
    """Sums over blocks of ``factor`` rows; the last block may be short."""
    sums = plane[::factor].copy()
    for first in range(1, factor):
        rows = plane[first::factor]
        sums[: len(rows)] += rows
    return sums
