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

    Only what lies in the lungs of the slice changes. Where a neighbour is missing or has no lung,
    the slice itself stands for it, so that a lesion at the diaphragm does not fade. As many slices
    as reach each other are in memory.
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
        inside = np.flatnonzero(field[centre.index])
        shares = [
            (
                np.float32(1 if maps is centre else weights[abs(maps.index - centre.index) - 1])
                * field[maps.index].take(inside),
                maps,
            )
            for maps in group
        ]
        total = np.float32(1 + 2 * weights.sum())
        return replace(
            centre,
            probability=_mean(centre.probability, shares, inside, total),
            lean=_lean(centre.probability.shape, shares, inside),
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


#: How much each pixel of a slice counts, (pixels,) float32.
Shares = list[tuple[np.ndarray, SliceMaps]]


def _mean(values: np.ndarray, shares: Shares, inside: np.ndarray, total: np.float32) -> np.ndarray:
    """``values`` (H, W) where they are ``inside`` moved towards their neighbours.

    total: of the shares of all neighbours that could be; what is missing is the slice's own.
    """
    own = values.take(inside)
    mean = own.copy()
    for share, maps in shares:
        mean += share / total * (maps.probability.take(inside) - own)
    steady = values.copy()
    steady.put(inside, mean)
    return steady


def _lean(shape: tuple[int, ...], shares: Shares, inside: np.ndarray) -> np.ndarray | None:
    """The weighted sum of the leans of those slices in which somebody looked; None of none."""
    leans = [share * maps.lean.take(inside) for share, maps in shares if maps.lean is not None]
    if not leans:
        return None
    lean = np.zeros(shape, np.float32)
    lean.put(inside, np.sum(leans, axis=0))
    return lean
