"""Infected or not, of single slices: what a map of infection says, learned and measured.

Needs scikit-learn (the extra ``study``).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.statistics.bootstrap import area_under_curve_of, estimate, rate
from lungscore.statistics.calibration import calibration

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
    infected = inside >= 0.5
    peak = float(ndimage.uniform_filter(inside, PEAK_PIXELS, mode="constant").max())
    middle = lungs.shape[1] // 2
    sides = sum(
        100 * share(infected[:, side], lungs[:, side]) >= FLOOR_PERCENT
        for side in (slice(None, middle), slice(middle, None))
    )
    return np.array([np.log10(max(share(infected, lungs), _FLOOR)), peak, float(sides)])


def share(infected: np.ndarray, lungs: np.ndarray) -> float:
    """The part of the lungs, 0–1, that is infected; 0 without lungs."""
    return float((infected & lungs).sum() / max(lungs.sum(), 1))


@dataclass(frozen=True)
class Block:
    """One part of a cross-validation over two sources.

    Indices of infected slices, whose folds are drawn, and of healthy ones, whose halves (cranial,
    caudal) are, since neighbours look alike: those that train, and those that are held out.
    """

    fold: int
    half: int
    infected: tuple[np.ndarray, np.ndarray]
    healthy: tuple[np.ndarray, np.ndarray]


def blocks(folds: np.ndarray, halves: np.ndarray) -> Iterator[Block]:
    """Every fold of infected slices (n,) with every half of healthy slices (m,)."""
    for fold in np.unique(folds):
        for half in np.unique(halves):
            yield Block(
                int(fold),
                int(half),
                (np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)),
                (np.flatnonzero(halves != half), np.flatnonzero(halves == half)),
            )


def out_of_fold(
    infected: np.ndarray,
    healthy: np.ndarray,
    folds: np.ndarray,
    halves: np.ndarray,
    *,
    regularisation: float,
) -> np.ndarray:
    """(n + m,) probabilities of infected, then of healthy slices, by models that saw neither.

    infected, healthy: features (n, k), (m, k). The logit of a slice is the mean over the blocks
    that hold it out.
    """
    count = len(infected)
    logits, times = np.zeros(count + len(healthy)), np.zeros(count + len(healthy))
    for block in blocks(folds, halves):
        model = fit_logistic(
            infected[block.infected[0]], healthy[block.healthy[0]], regularisation=regularisation
        )
        out = np.concatenate([block.infected[1], count + block.healthy[1]])
        logits[out] += model.decision_function(np.concatenate([infected, healthy])[out])
        times[out] += 1
    return 1 / (1 + np.exp(-logits / times))


def fit_logistic(infected: np.ndarray, healthy: np.ndarray, *, regularisation: float) -> Any:
    """Logistic regression on standardised features; regularisation: scikit-learn's C."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(C=regularisation, class_weight="balanced", max_iter=5000)
    positive = np.arange(len(infected) + len(healthy)) < len(infected)
    return make_pipeline(StandardScaler(), model).fit(np.concatenate([infected, healthy]), positive)


def figures(probability: np.ndarray, infected: np.ndarray) -> dict[str, Any]:
    """ROC, calibration, and sensitivity and specificity at one half, with intervals over slices.

    probability: (slices,) 0–1. infected: (slices,) bool.
    """
    every = range(len(probability))
    return {
        "auc": asdict(estimate(area_under_curve_of(probability, infected), every)),
        "calibration": asdict(calibration(probability, infected, every)),
        "at_one_half": called(probability >= 0.5, infected),
    }


def called(positive: np.ndarray, infected: np.ndarray) -> dict[str, Any]:
    """Sensitivity and specificity of (slices,) verdicts, with intervals over slices."""
    return {
        name: asdict(rate(hit, range(len(hit))))
        for name, hit in (
            ("sensitivity", positive[infected]),
            ("specificity", ~positive[~infected]),
        )
    }
