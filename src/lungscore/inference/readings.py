"""What the network could be taken to say as well: its map read at other thresholds.

From which probability on a pixel counts as infected is a choice. Lower and higher ones hold what
radiologists draw more often than one alone (experiments/ranges.py): what changes with them is
uncertain.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lungscore.labels import CONSOLIDATION, GGO

#: Infected means a probability of at least this, everywhere and always.
THRESHOLD = 0.5

#: The thresholds of the alternatives, ascending; chosen out of fold (experiments/ranges.py).
THRESHOLDS = (0.2, THRESHOLD, 0.8)

#: The bit of a code that says consolidation; the two below it count thresholds.
DENSE = 4


@dataclass(frozen=True)
class Alternatives:
    """The lesions of a scan under every alternative, where any of them finds infection.

    voxels: (N,) int32, ascending indices into the flattened (D, H, W) arrays. codes: (N,) uint8,
    how many of THRESHOLDS are reached, and DENSE for consolidation, which is the same in all
    alternatives.
    """

    voxels: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return len(THRESHOLDS)

    def lesions(self) -> Iterator[np.ndarray]:
        """(N,) uint8 labels 0, 1 GGO, 2 consolidation at ``voxels``, one alternative at a time."""
        labels = np.where(self.codes & DENSE, np.uint8(CONSOLIDATION), np.uint8(GGO))
        reached = self.codes & (DENSE - 1)
        for count in range(1, len(THRESHOLDS) + 1):
            yield np.where(reached >= count, labels, np.uint8(0))

    def within(
        self, box: tuple[slice, slice, slice], shape: tuple[int, int, int]
    ) -> "Alternatives":
        """Those of the part of a scan of ``shape`` that lies in ``box``, placed in that part."""
        rest, column = np.divmod(self.voxels, np.int32(shape[2]))
        index, row = np.divmod(rest, np.int32(shape[1]))
        inside = np.ones(len(self.voxels), bool)
        voxels: np.ndarray = np.zeros(len(self.voxels), np.int32)
        for place, part in zip((index, row, column), box, strict=True):
            inside &= (place >= part.start) & (place < part.stop)
            voxels = voxels * np.int32(part.stop - part.start) + (place - np.int32(part.start))
        return Alternatives(voxels[inside], self.codes[inside])


def thresholds_reached(probability: np.ndarray) -> np.ndarray:
    """How many of THRESHOLDS each pixel of a slice (H, W) reaches, uint8."""
    reached = np.zeros(probability.shape, np.uint8)
    for threshold in THRESHOLDS:
        reached += probability >= threshold
    return reached


def of_slice(index: int, reached: np.ndarray, dense: np.ndarray) -> Alternatives:
    """Those of the ``index``-th slice of a scan.

    reached: (H, W) as of thresholds_reached. dense: (H, W) bool, consolidation if infected.
    """
    inside = np.flatnonzero(reached)
    codes = reached.take(inside) | np.uint8(DENSE) * dense.take(inside)
    return Alternatives((inside + index * reached.size).astype(np.int32), codes)


def joined(slices: Iterable[Alternatives]) -> Alternatives:
    """Those of a scan from those of its slices, superior to inferior."""
    voxels, codes = [np.zeros(0, np.int32)], [np.zeros(0, np.uint8)]
    for each in slices:
        voxels.append(each.voxels)
        codes.append(each.codes)
    return Alternatives(np.concatenate(voxels), np.concatenate(codes))
