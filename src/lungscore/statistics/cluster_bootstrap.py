"""Figures of cases of which several may belong to one patient, with intervals over patients.

A statistic takes (draws, cases) weights, how often each case counts in each draw, and returns
(draws,) values, NaN where it is not defined. Weights of one give the figure itself.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from lungscore.statistics.agreement import Estimate, undefined
from lungscore.statistics.intervals import SEED, wilson

Statistic = Callable[[np.ndarray], np.ndarray]

#: Draws of every bootstrap over patients.
DRAWS = 2_000

#: Weights that are held at once, about 32 MB.
_AT_ONCE = 2**22

NOT_DEFINED = "not defined for these cases"


def estimate(
    statistic: Statistic, patients: Sequence[Hashable], *, reason: str = NOT_DEFINED
) -> Estimate:
    """The figure of all cases with its 95 % percentile bootstrap interval over patients.

    patients: (cases,) whose case it is; all cases of a patient are drawn together, as often as the
        patient is. n of the estimate counts cases. reason: what is said where the figure is NaN.
    Draws for which the figure is not defined, as one without a positive, are passed over.
    """
    inverse = _numbered(patients)
    n = len(inverse)
    value = float(statistic(np.ones((1, n)))[0]) if n else float("nan")
    if np.isnan(value):
        return undefined(n, reason)
    count = int(inverse.max()) + 1
    generator = np.random.default_rng(SEED)
    values: list[np.ndarray] = []
    chunk = max(1, min(DRAWS, _AT_ONCE // max(n, count)))
    for first in range(0, DRAWS, chunk):
        draws = min(chunk, DRAWS - first)
        drawn = generator.integers(0, count, (draws, count))
        drawn += np.arange(draws)[:, None] * count
        often = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        values.append(statistic(often[:, inverse].astype(np.float64)))
    low, high = np.nanpercentile(np.concatenate(values), [2.5, 97.5])
    return Estimate(value, float(low), float(high), n)


def rate(hit: np.ndarray, patients: Sequence[Hashable]) -> Estimate:
    """Share of cases, 0–1, that ``hit``, (cases,) bool, with Wilson's 95 % interval.

    Several cases of a patient count in the interval as if they always agreed: its number of cases
    is Kish's effective one, (Σ m)² / Σ m² of the patients' numbers of cases m. With one case a
    patient that is Wilson's interval itself, which stays sensible at 0 and 1 where a bootstrap
    has no width. Kish L, Survey Sampling, 1965.
    """
    hit = np.asarray(hit, bool)
    if not len(hit):
        return undefined(0, "there is no such case")
    each = np.bincount(_numbered(patients))
    share = float(hit.mean())
    low, high = wilson(share, float(each.sum() ** 2 / (each**2).sum()))
    return Estimate(share, low, high, len(hit))


def share_of(hit: np.ndarray) -> Statistic:
    """The share of cases that ``hit``, (cases,) bool."""
    hit = np.asarray(hit, np.float64)
    return lambda weights: _ratio(weights @ hit, weights.sum(axis=1))


def area_under_curve_of(score: np.ndarray, positive: np.ndarray) -> Statistic:
    """The area under the ROC curve: the chance that a positive scores above a negative, ties half.

    score, positive: (cases,).
    """
    score, positive = np.asarray(score, np.float64), np.asarray(positive, bool)
    order = np.argsort(score, kind="stable")
    positive = positive[order]
    _, starts = np.unique(score[order], return_index=True)

    def statistic(weights: np.ndarray) -> np.ndarray:
        ordered = weights[:, order]
        sick = np.add.reduceat(ordered * positive, starts, axis=1)
        well = np.add.reduceat(ordered * ~positive, starts, axis=1)
        below = np.cumsum(well, axis=1) - well / 2
        return _ratio((sick * below).sum(axis=1), sick.sum(axis=1) * well.sum(axis=1))

    return statistic


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)


def _numbered(patients: Sequence[Hashable]) -> np.ndarray:
    """(cases,) number of each case's patient, 0 upwards."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(p, len(numbers)) for p in patients], np.intp)
