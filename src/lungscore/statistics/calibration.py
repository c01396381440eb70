"""Whether predicted probabilities are right, and the point at which they are called positive.

All functions are pure and take probability, (cases,) 0–1, and positive, (cases,) bool. What is
``…_of`` is a statistic that ``bootstrap.estimate`` gives an interval.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from lungscore.statistics.bootstrap import Statistic, estimate, rate
from lungscore.statistics.estimate import Estimate

#: Bins of a reliability table.
BINS = 10

_NEWTON_STEPS, _LONGEST_STEP, _CONVERGED = 50, 2.0, 1e-8
#: Log odds are held within this: beyond it a chance is 0 or 1 but for 1e-21.
_FARTHEST = 50

NO_LINE = "a class is missing, or the predictions part the classes completely"


@dataclass(frozen=True)
class Bin:
    """Cases of like probability, from ``low`` to ``high``: their mean, and how many are positive.

    observed: the share of positives with its interval; its n counts the cases.
    """

    low: float
    high: float
    predicted: float
    observed: Estimate


@dataclass(frozen=True)
class Calibration:
    """Calibration of probabilities, with 95 % intervals over patients.

    brier: mean squared error, 0 is best. slope, intercept: see ``slope_of``, ``intercept_of``.
    reliability: bins of equal numbers of cases, ascending.
    """

    brier: Estimate
    slope: Estimate
    intercept: Estimate
    reliability: tuple[Bin, ...]


def calibration(
    probability: np.ndarray, positive: np.ndarray, patients: Sequence[Hashable]
) -> Calibration:
    """All of it; patients: (cases,) whose case it is."""
    return Calibration(
        estimate(brier_of(probability, positive), patients),
        estimate(slope_of(probability, positive), patients, reason=NO_LINE),
        estimate(intercept_of(probability, positive), patients, reason=NO_LINE),
        reliability(probability, positive, patients),
    )


def brier_of(probability: np.ndarray, positive: np.ndarray) -> Statistic:
    """The mean squared error; 0 is best. Brier GW, Mon Weather Rev 1950;78:1–3, for two classes."""
    probability, positive = _checked(probability, positive)
    squared = (probability - positive) ** 2
    return lambda weights: (weights @ squared) / weights.sum(axis=1)


def slope_of(probability: np.ndarray, positive: np.ndarray) -> Statistic:
    """The calibration slope b of logit P(positive) = a + b · logit(probability).

    1 is right; below 1 the predictions are too extreme, as of an over-fitted model. NaN where the
    classes are parted completely or one is missing. Cox DR, Biometrika 1958;45:562–565.
    """
    x, y = _logits(probability, positive)
    return lambda weights: _fitted(x, y, weights)[:, 1]


def intercept_of(probability: np.ndarray, positive: np.ndarray) -> Statistic:
    """Calibration in the large: a of logit P(positive) = a + logit(probability), its slope 1.

    0 is right; above 0 the probabilities are too low on the whole. Steyerberg EW, Vergouwe Y,
    Eur Heart J 2014;35:1925–1931.
    """
    x, y = _logits(probability, positive)
    return lambda weights: _fitted(x, y, weights, slope_free=False)[:, 0]


def reliability(
    probability: np.ndarray,
    positive: np.ndarray,
    patients: Sequence[Hashable],
    *,
    bins: int = BINS,
) -> tuple[Bin, ...]:
    """Predicted and observed shares in ``bins`` bins of about equal numbers of cases.

    Equal probabilities stay in one bin, so that there may be fewer.
    """
    probability, positive = _checked(probability, positive)
    inner = np.quantile(probability, np.arange(1, bins) / bins)
    of_case = np.searchsorted(np.unique(inner), probability, side="left")
    table = []
    for number in np.unique(of_case):
        chosen = of_case == number
        values = probability[chosen]
        owners = [patient for patient, inside in zip(patients, chosen, strict=True) if inside]
        table.append(
            Bin(
                float(values.min()),
                float(values.max()),
                float(values.mean()),
                rate(positive[chosen] > 0, owners),
            )
        )
    return tuple(table)


def operating_point(score: np.ndarray, positive: np.ndarray) -> float:
    """The threshold, to be reached, at which sensitivity + specificity is largest (Youden).

    score: (cases,) of cases that the point will not be judged on. The threshold lies half-way
    between two neighbouring scores; of several as good ones the lowest, the most sensitive, is
    taken. Youden WJ, Cancer 1950;3:32–35. Raises ValueError where a class is missing.
    """
    score, positive = np.asarray(score, np.float64), np.asarray(positive, bool)
    if positive.all() or not positive.any():
        raise ValueError("an operating point needs cases of both classes")
    values = np.unique(score)
    # Of each threshold: how many positives and negatives lie below it.
    missed = np.searchsorted(np.sort(score[positive]), values, side="left") / positive.sum()
    cleared = np.searchsorted(np.sort(score[~positive]), values, side="left") / (~positive).sum()
    best = int(np.argmax(np.round(cleared - missed, 12)))
    return float(values[best] if best == 0 else (values[best - 1] + values[best]) / 2)


def _checked(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probability, positive = np.asarray(probability, np.float64), np.asarray(positive, bool)
    if probability.shape != positive.shape or probability.ndim != 1:
        raise ValueError(f"one probability a case, not {probability.shape} for {positive.shape}")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities lie in 0–1")
    return probability, positive.astype(np.float64)


def _logits(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probability, positive = _checked(probability, positive)
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside)), positive


def _fitted(
    x: np.ndarray, y: np.ndarray, weights: np.ndarray, *, slope_free: bool = True
) -> np.ndarray:
    """(draws, 2) intercept and slope of weighted logistic regressions; NaN without a maximum.

    x, y: (cases,). weights: (draws, cases). slope_free: False holds the slope at 1.
    Newton's steps, of all draws at once.
    """
    line = np.tile([0.0, 0.0 if slope_free else 1.0], (len(weights), 1))
    done = np.zeros(len(weights), bool)
    for _ in range(_NEWTON_STEPS):
        a, b = line[~done].T
        weight = weights[~done]
        log_odds = np.clip(a[:, None] + b[:, None] * x, -_FARTHEST, _FARTHEST)
        mean = 1 / (1 + np.exp(-log_odds))
        rest, spread = weight * (y - mean), weight * mean * (1 - mean)
        gradient = np.stack([rest.sum(axis=1), rest @ x], axis=1)
        saa, sab, sbb = spread.sum(axis=1), spread @ x, spread @ x**2
        with np.errstate(divide="ignore", invalid="ignore"):
            if slope_free:
                inverse = np.stack([sbb, -sab, -sab, saa], axis=1).reshape(len(saa), 2, 2)
                step = (inverse @ gradient[:, :, None])[:, :, 0] / (saa * sbb - sab**2)[:, None]
            else:
                step = np.stack([gradient[:, 0] / saa, np.zeros(len(saa))], axis=1)
            size = np.abs(step).max(axis=1)
            step *= (_LONGEST_STEP / np.maximum(size, _LONGEST_STEP))[:, None]
        line[~done] += step
        # What is not finite will stay so: there is nothing more to do about it.
        done[~done] = (size < _CONVERGED) | ~np.isfinite(size)
    line[~done] = np.nan
    return line
