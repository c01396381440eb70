"""Neighbouring slices of a volume show the same lungs: each is read together with those near it.

A network that sees one slice at a time finds a lesion in one slice, misses it in the next and
finds it again. Averaged with its neighbours, a slice keeps what they confirm and loses what it
alone shows.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

#: Weights of neighbours fall with their distance like a normal curve, and end at twice its standard
#: deviation: this, or the distance of two slices where that is larger (experiments/flicker.py).
SPREAD_MM = 3.0

#: Slices farther apart than this are not averaged: they show other parts of a lesion.
FARTHEST_MM = 6.0


@dataclass(frozen=True)
class SliceMaps:
    """What networks say of one slice, the ``index``-th of its scan.

    probability: (H, W) float32, of infection. lean: (H, W) float32, above 0 where infection is
    more likely consolidation than ground-glass opacity; None where nobody looked.
    """

    index: int
    probability: np.ndarray
    lean: np.ndarray | None = None


def neighbour_weights(slice_mm: float | None) -> np.ndarray:
    """(neighbours,) weights of the slices 1, 2, … above or below, that of the slice itself being 1.

    slice_mm: distance of neighbouring slices; None, as of pictures in a folder, gives no weights.
    """
    if slice_mm is None or slice_mm > FARTHEST_MM:
        return np.zeros(0)
    spread = max(SPREAD_MM, slice_mm)
    distances = slice_mm * np.arange(1, int(2 * spread / slice_mm) + 1)
    return np.exp(-0.5 * (distances / spread) ** 2)


def steadied(
    slices: Iterable[SliceMaps],
    field: np.ndarray,
    slice_mm: float | None,
    *,
    nothing_below: float = 0.0,
) -> Iterator[SliceMaps]:
    """``slices`` averaged with their neighbours, in the same order.

    slices: superior to inferior, those without lung left out. field: (D, H, W) bool, where lungs
    are. slice_mm: distance of neighbouring slices; where it is not known, or larger than
    FARTHEST_MM, they are given as they are. nothing_below: slices stay as they are where they and
    all their neighbours lie below this probability.

    Where a neighbour is missing or has no lung, the slice itself stands for it, so that a lesion
    at the diaphragm does not fade. As many slices as reach each other are in memory.
    """
    weights = neighbour_weights(slice_mm)
    reach = len(weights)
    near: deque[SliceMaps] = deque()
    waiting: deque[SliceMaps] = deque()

    def average(centre: SliceMaps) -> SliceMaps:
        while near[0].index < centre.index - reach:
            near.popleft()
        group = [maps for maps in near if maps.index <= centre.index + reach]
        if max(maps.probability.max(initial=0) for maps in group) < nothing_below:
            return centre
        others = [
            (weights[abs(maps.index - centre.index) - 1], maps)
            for maps in group
            if maps.index != centre.index
        ]
        total = 1 + 2 * weights.sum()
        return replace(
            centre,
            probability=_mean_of_neighbours(
                centre.probability,
                [(weight / total, maps.probability, field[maps.index]) for weight, maps in others],
            ),
            lean=_mean_lean(centre, others, field),
        )

    for maps in slices:
        if not reach:
            yield maps
            continue
        near.append(maps)
        waiting.append(maps)
        while waiting[0].index + reach <= maps.index:
            yield average(waiting.popleft())
    while waiting:
        yield average(waiting.popleft())


def _mean_of_neighbours(
    values: np.ndarray, others: list[tuple[float, np.ndarray, np.ndarray]]
) -> np.ndarray:
    """``values`` moved towards each of ``others``, by its share, where it counts."""
    mean = values.copy()
    for share, neighbour, counts in others:
        mean += np.float32(share) * np.where(counts, neighbour - values, np.float32(0))
    return mean


def _mean_lean(
    centre: SliceMaps, others: list[tuple[float, SliceMaps]], field: np.ndarray
) -> np.ndarray | None:
    """The weighted sum of the leans of those slices in which somebody looked; None of none."""
    total = None
    for weight, maps in [(1.0, centre), *others]:
        if maps.lean is not None:
            share = np.float32(weight) * np.where(field[maps.index], maps.lean, np.float32(0))
            total = share if total is None else total + share
    return total
