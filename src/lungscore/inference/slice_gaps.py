"""Infection that vanishes from slice to slice and is back soon was there all the time.

A network that sees one slice at a time finds a lesion in one slice, misses it in the next and finds
it again. Between two slices that show infection at a point, it is filled in: a closing along the
slices, which adds to what was found and takes nothing away. A closing of probabilities is that of
the masks at every threshold.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce

import numpy as np

from lungscore.inference.readings import SILENT
from lungscore.scan import Scan

#: The longest gap that is filled: in slices, and in mm (experiments/flicker.py).
MOST_SLICES, MOST_MM = 1, 6.0


def longest_gap(scan: Scan) -> int:
    """How many slices the longest gap has that is filled in ``scan``.

    0 where there are no slices between others, or they are too thick, or have no positions, as
    pictures in a folder.
    """
    if scan.shape[0] < 3 or scan.spacing_mm is None:
        return 0
    return min(MOST_SLICES, int(MOST_MM / scan.spacing_mm[0] + 0.01))


def filled(
    slices: Iterable[tuple[int, np.ndarray]], field: np.ndarray, gap: int
) -> Iterator[tuple[int, np.ndarray]]:
    """``slices`` with gaps of at most ``gap`` slices filled, in the same order.

    slices: index and probabilities (H, W), or (…, H, W) of several readings, each by itself;
    superior to inferior; those left out have no infection.
    field: (D, H, W) bool, where infection counts: only that is looked at and filled. Probabilities
    below SILENT bridge nothing. As many slices are in memory as reach each other.
    """
    near: dict[int, np.ndarray] = {}
    waiting: deque[tuple[int, np.ndarray]] = deque()

    def whole(index: int, probability: np.ndarray) -> np.ndarray:
        for passed in [earlier for earlier in near if earlier < index - gap]:
            del near[passed]
        between = _between(index, near, gap)
        if between is None:
            return probability
        return np.maximum(probability, between, where=field[index], out=probability.copy())

    for index, probability in slices:
        if not gap:
            yield index, probability
            continue
        counts = field[index] & (probability >= SILENT)
        inside = np.where(counts, probability, np.float32(0))
        if counts.any():
            near[index] = inside
        waiting.append((index, probability))
        while waiting[0][0] + gap <= index:
            yield waiting[0][0], whole(*waiting.popleft())
    while waiting:
        yield waiting[0][0], whole(*waiting.popleft())


def _between(index: int, near: Mapping[int, np.ndarray], gap: int) -> np.ndarray | None:
    """The least that is infected above and below the ``index``-th slice, (H, W); None of none."""
    pairs = []
    for above in range(1, gap + 1):
        below = [near[index + step] for step in range(1, gap + 2 - above) if index + step in near]
        if index - above in near and below:
            pairs.append(np.minimum(near[index - above], reduce(np.maximum, below)))
    return reduce(np.maximum, pairs) if pairs else None
