"""What else the network could be taken to say: other views of a slice, other thresholds.

How a slice is shown to the network and from which probability on it counts as infected are choices.
Others agree with radiologists nearly as well (experiments/ranges.py): what changes with them is
uncertain.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lungscore.labels import CONSOLIDATION, GGO

#: Infected means a probability of at least this, everywhere and always.
THRESHOLD = 0.5

#: The thresholds of the alternatives, ascending; chosen out of fold (experiments/ranges.py).
THRESHOLDS = (0.2, THRESHOLD, 0.8)

#: A slice in which the usual reading stays below this is not read otherwise: that would double the
#: time of a healthy scan, and other readings seldom see much there (experiments/ranges.py).
SILENT = 0.1

#: Readings of a slice: the one that counts, and two others.
READINGS = 3

#: The bit of a code that says consolidation; below it are two bits for each reading.
DENSE = 1 << 2 * READINGS


class Basis(NamedTuple):
    """What alternatives are made of: so many readings of a slice, each at these thresholds.

    One reading, the one that counts, is enough where the card of the bundle states thresholds that
    were calibrated for it.
    """

    readings: int = READINGS
    thresholds: tuple[float, float, float] = THRESHOLDS


#: Where nothing was calibrated.
UNCALIBRATED = Basis()


@dataclass(frozen=True)
class Alternatives:
    """The lesions of a scan under every alternative, where any of them finds infection.

    voxels: (N,) int32, ascending places in the flattened (D, H, W) arrays. codes: (N,) uint8, two
    bits for each reading (how many thresholds are reached) and one for consolidation, which is the
    same in all alternatives. basis: what they are made of.
    """

    voxels: np.ndarray
    codes: np.ndarray
    basis: Basis = UNCALIBRATED

    def __len__(self) -> int:
        return self.basis.readings * len(self.basis.thresholds)

    def lesions(self) -> Iterator[np.ndarray]:
        """(N,) uint8 labels 0, 1 GGO, 2 consolidation at ``voxels``, one alternative at a time."""
        labels = np.where(self.codes & DENSE, np.uint8(CONSOLIDATION), np.uint8(GGO))
        for reading in range(self.basis.readings):
            reached = self.codes >> 2 * reading & 3
            for count in range(1, len(self.basis.thresholds) + 1):
                yield np.where(reached >= count, labels, np.uint8(0))

    def within(
        self, box: tuple[slice, slice, slice], shape: tuple[int, int, int]
    ) -> "Alternatives":
        """Those of the part of a scan of ``shape`` that lies in ``box``, placed in that part."""
        rest, column = np.divmod(self.voxels, np.int32(shape[2]))
        index, row = np.divmod(rest, np.int32(shape[1]))
        inside = np.ones(len(self.voxels), bool)
        voxels: np.ndarray = np.zeros(len(self.voxels), np.int32)
        for coordinate, span in zip((index, row, column), box, strict=True):
            inside &= (coordinate >= span.start) & (coordinate < span.stop)
            voxels = voxels * np.int32(span.stop - span.start) + (coordinate - np.int32(span.start))
        return replace(self, voxels=voxels[inside], codes=self.codes[inside])


def code(
    probability: np.ndarray, reading: int, thresholds: Iterable[float] = THRESHOLDS
) -> np.ndarray:
    """Codes (H, W) uint8 of one reading of a slice, 0 being the one that counts."""
    reached = np.zeros(probability.shape, np.uint8)
    for threshold in thresholds:
        reached += probability >= threshold
    return reached << 2 * reading


@dataclass(frozen=True)
class SliceAlternatives:
    """Those of one slice: positions (N,) in the flattened (H, W), and their codes (N,) uint8."""

    index: int
    positions: np.ndarray
    codes: np.ndarray

    def plane(self, shape: tuple[int, int]) -> np.ndarray:
        """The codes (H, W) of the slice; 0 where no alternative finds infection."""
        plane = np.zeros(shape, np.uint8)
        plane.put(self.positions, self.codes)
        return plane


def of_slice(index: int, codes: np.ndarray) -> SliceAlternatives:
    """Those of the ``index``-th slice of a scan, from its codes (H, W)."""
    positions = np.flatnonzero(codes)
    return SliceAlternatives(index, positions.astype(np.int32), codes.take(positions))


def joined(
    slices: Iterable[SliceAlternatives], pixels: int, basis: Basis = UNCALIBRATED
) -> Alternatives:
    """Those of a scan whose slices have so many ``pixels``, superior to inferior."""
    voxels, codes = [np.zeros(0, np.int32)], [np.zeros(0, np.uint8)]
    for alternative in slices:
        voxels.append(alternative.positions + np.int32(alternative.index * pixels))
        codes.append(alternative.codes)
    return Alternatives(np.concatenate(voxels), np.concatenate(codes), basis)
