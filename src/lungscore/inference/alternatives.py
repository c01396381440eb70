"""What else the network could be taken to say: other views of a slice, other thresholds.

How a slice is shown to the network and from which probability on it counts as infected are choices.
Others are as defensible (experiments/ranges.py), and what changes with them is uncertain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lungscore.labels import CONSOLIDATION, GGO

if TYPE_CHECKING:
    from lungscore.inference.views import View

#: Infected means a probability of at least this, everywhere and always.
THRESHOLD = 0.5

#: The thresholds of the alternatives, ascending; chosen out of fold (experiments/ranges.py).
THRESHOLDS = (0.2, THRESHOLD, 0.8)

#: Readings of a slice: the one that counts, and two others.
READINGS = 3

#: The bit of a code that says consolidation; below it are two bits for each reading.
_DENSE = 1 << 2 * READINGS


@dataclass(frozen=True)
class Alternatives:
    """The lesions of a scan under every alternative, where any of them finds infection.

    voxels: (N,) int32, ascending places in the flattened (D, H, W) arrays. codes: (N,) uint8, two
    bits for each reading (how many of THRESHOLDS are reached) and one for consolidation, which is
    the same in all alternatives.
    """

    voxels: np.ndarray
    codes: np.ndarray

    def __len__(self) -> int:
        return READINGS * len(THRESHOLDS)

    def lesions(self) -> Iterator[np.ndarray]:
        """(N,) uint8 labels 0, 1 GGO, 2 consolidation at ``voxels``, one alternative at a time."""
        found = np.where(self.codes & _DENSE, np.uint8(CONSOLIDATION), np.uint8(GGO))
        for reading in range(READINGS):
            reached = self.codes >> 2 * reading & 3
            for count in range(1, len(THRESHOLDS) + 1):
                yield np.where(reached >= count, found, np.uint8(0))


def readings(
    seen: Sequence[tuple["View", np.ndarray]], probability: np.ndarray
) -> list[np.ndarray]:
    """The probability (H, W) that counts, and those that could as well, of one slice.

    seen: all its views with their maps (H, W). The others are the extra views of a slice of a
    volume. A lone slice is seen in several boxes anyway: the narrowest alone and the widest alone.
    """
    others = [found for view, found in seen if view.extra]
    if not others:
        boxes = [seen[0][0].box, seen[-1][0].box]
        others = [np.mean([found for v, found in seen if v.box == box], axis=0) for box in boxes]
    return [probability, *others]


def code(found: Sequence[np.ndarray], dense: np.ndarray) -> np.ndarray:
    """Codes (H, W) uint8 of one slice's readings; 0 where no alternative finds infection.

    dense: (H, W) bool.
    """
    codes = np.zeros(dense.shape, np.uint8)
    for reading, probability in enumerate(found):
        reached = sum((probability >= threshold).astype(np.uint8) for threshold in THRESHOLDS)
        codes |= np.asarray(reached, np.uint8) << 2 * reading
    codes[dense & (codes > 0)] |= _DENSE
    return codes


def of_slice(codes: np.ndarray, index: int) -> Alternatives:
    """Those of the ``index``-th slice of a scan, from its codes (H, W)."""
    places = np.flatnonzero(codes)
    return Alternatives((places + index * codes.size).astype(np.int32), codes.ravel()[places])


def joined(slices: Sequence[Alternatives]) -> Alternatives:
    """Those of a scan, from its slices', superior to inferior."""
    nothing = Alternatives(np.zeros(0, np.int32), np.zeros(0, np.uint8))
    parts = [nothing, *slices]
    return Alternatives(
        np.concatenate([part.voxels for part in parts]),
        np.concatenate([part.codes for part in parts]),
    )
