"""Infected or not, of single slices: what a map of infection says, learned and measured.

Needs scikit-learn (the extra ``study``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from lungscore.severity.edges import FLOOR_PERCENT

#: The columns of ``features``.
FEATURES = ("burden", "peak", "lungs_affected")

#: Side of the square in which the peak is averaged, pixels of the network's input.
PEAK_PIXELS = 16

#: Smallest share whose logarithm is taken.
_FLOOR = FLOOR_PERCENT / 100 / 10


def features(probability: np.ndarray, lungs: np.ndarray) -> np.ndarray:
    """(3,) of a map (H, W) in 0…1 and the lungs (H, W) bool, which hold all that lies in them.

    burden: log10 of the share of the lungs with a probability of at least one half. peak: largest
    mean of a square of PEAK_PIXELS. lungs_affected: 0, 1 or 2 sides with FLOOR_PERCENT infected.
    """
    inside = np.where(lungs, probability, 0)
    found = inside >= 0.5
    peak = float(ndimage.uniform_filter(inside, PEAK_PIXELS, mode="constant").max())
    middle = lungs.shape[1] // 2
    sides = sum(
        100 * share(found[:, side], lungs[:, side]) >= FLOOR_PERCENT
        for side in (slice(None, middle), slice(middle, None))
    )
    return np.array([np.log10(max(share(found, lungs), _FLOOR)), peak, float(sides)])


def share(found: np.ndarray, lungs: np.ndarray) -> float:
    """The part of the lungs, 0–1, that is infected; 0 without lungs."""
    return float((found & lungs).sum() / max(lungs.sum(), 1))


@dataclass(frozen=True)
class Block:
    """One part of a cross-validation over two sources: who trains, and who is held out.

    All are indices: of infected slices, whose folds are drawn, and of healthy ones, whose halves
    (cranial, caudal) are, since neighbours look alike.
    """

    fold: int
    half: int
    infected: tuple[np.ndarray, np.ndarray]
    healthy: tuple[np.ndarray, np.ndarray]


def blocks(folds: np.ndarray, halves: np.ndarray) -> Iterator[Block]:
    """Every fold of infected slices (n,) with every half of healthy slices (m,), numbered from 0."""
    for fold in np.unique(folds):
        for half in np.unique(halves):
            yield Block(
                int(fold),
                int(half),
                (np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)),
                (np.flatnonzero(halves != half), np.flatnonzero(halves == half)),
            )


Values = Callable[[Block], tuple[np.ndarray, np.ndarray]]


def out_of_fold(
    values: Values, folds: np.ndarray, halves: np.ndarray, *, regularisation: float
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n,) of infected and (m,) of healthy slices by models that saw neither.

    values: the features (n, k) and (m, k) of all slices that hold for a block, as networks that
    held its slices out give them. The logit of a slice is the mean over the blocks that hold it out.
    """
    logits = np.zeros(len(folds)), np.zeros(len(halves))
    times = np.zeros(len(folds)), np.zeros(len(halves))
    for block in blocks(folds, halves):
        infected, healthy = values(block)
        model = fit_logistic(
            infected[block.infected[0]], healthy[block.healthy[0]], regularisation=regularisation
        )
        for side, (all_of, (_, out)) in enumerate(
            ((infected, block.infected), (healthy, block.healthy))
        ):
            logits[side][out] += model.decision_function(all_of[out])
            times[side][out] += 1
    return tuple(1 / (1 + np.exp(-total / count)) for total, count in zip(logits, times, strict=True))


def fit_logistic(infected: np.ndarray, healthy: np.ndarray, *, regularisation: float) -> Any:
    """Logistic regression on standardised features; regularisation: scikit-learn's C."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.concatenate([infected, healthy])
    positive = np.arange(len(values)) < len(infected)
    model = LogisticRegression(C=regularisation, class_weight="balanced", max_iter=5000)
    return make_pipeline(StandardScaler(), model).fit(values, positive)


def stacked(infected: np.ndarray, healthy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of both, one behind the other, and which of them are infected."""
    return np.concatenate([infected, healthy]), np.arange(len(infected) + len(healthy)) < len(
        infected
    )


def halves_of(count: int) -> np.ndarray:
    """(count,) 0 for the cranial and 1 for the caudal half of slices in order."""
    return (np.arange(count) >= count // 2).astype(int)


def folds_of(names: Sequence[str], fold: dict[str, int]) -> np.ndarray:
    """(names,) the fold of each."""
    return np.array([fold[name] for name in names])
