"""The bootstrap: over cases, over patients with several cases, or over groups of equal cases.

A statistic takes (draws, cases) weights, how often each case counts in each draw, and returns
(draws,) values, NaN where it is not defined. Weights of one give the figure itself.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from scipy.stats import norm

from lungscore.statistics.estimate import Estimate, undefined, without_degenerate

Statistic = Callable[[np.ndarray], np.ndarray]

#: Resamples of a bootstrap over cases, and the seed of every bootstrap.
RESAMPLES, SEED = 10_000, 20200414

#: Draws of a bootstrap over patients.
DRAWS = 2_000

#: Weights that are held at once, about 32 MB.
_AT_ONCE = 2**22

NOT_DEFINED = "not defined for these cases"


def interval(
    statistic: Statistic,
    cases: int,
    *,
    clusters: Sequence[Hashable] | None = None,
    weights: np.ndarray | None = None,
    draws: int | None = None,
) -> tuple[float, float]:
    """95 % percentile interval of ``statistic``.

    clusters: (cases,) whose case it is; all cases of one are drawn together. By default each case
        is its own. weights: (cases,) whole numbers, how many equal cases each stands for; it has no
        clusters then. draws: RESAMPLES by default.
    Draws for which the figure is not defined, as one without a positive, are passed over; both
    ends are NaN where no draw is left.
    """
    draws = RESAMPLES if draws is None else draws
    drawn = _of_clusters(cases, clusters, draws) if weights is None else _of_groups(weights, draws)
    values = np.concatenate([statistic(chunk) for chunk in drawn])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _of_clusters(
    cases: int, clusters: Sequence[Hashable] | None, draws: int
) -> Iterator[np.ndarray]:
    """(some draws, cases) weights, as clusters are drawn with replacement."""
    cluster = np.arange(cases) if clusters is None else _numbered(clusters)
    count = int(cluster.max()) + 1
    generator = np.random.default_rng(SEED)
    chunk = max(1, min(draws, _AT_ONCE // max(cases, count)))
    for first in range(0, draws, chunk):
        some = min(chunk, draws - first)
        drawn = generator.integers(0, count, (some, count))
        drawn += np.arange(some)[:, None] * count
        often = np.bincount(drawn.ravel(), minlength=some * count).reshape(some, count)
        yield often[:, cluster].astype(np.float64)


def _of_groups(weights: np.ndarray, draws: int) -> Iterator[np.ndarray]:
    """(some draws, groups) numbers of cases, as cases are drawn with replacement."""
    cases = int(weights.sum())
    generator = np.random.default_rng(SEED)
    chunk = max(1, min(draws, _AT_ONCE // len(weights)))
    for first in range(0, draws, chunk):
        some = min(chunk, draws - first)
        yield generator.multinomial(cases, weights / cases, some).astype(np.float64)


def value_of(statistic: Statistic, cases: int) -> float:
    """The figure itself: every case once."""
    return float(statistic(np.ones((1, cases)))[0])


def estimate(
    statistic: Statistic, patients: Sequence[Hashable], *, reason: str = NOT_DEFINED
) -> Estimate:
    """The figure of all cases with its interval over patients, of DRAWS draws.

    patients: (cases,) whose case it is. n of the estimate counts cases. reason: what is said where
        the figure is NaN. An interval of no width, as that of one patient, is left out.
    """
    n = len(patients)
    value = value_of(statistic, n) if n else float("nan")
    if np.isnan(value):
        return undefined(n, reason)
    ends = interval(statistic, n, clusters=patients, draws=DRAWS)
    return without_degenerate(Estimate(value, *ends, n))


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % interval of a share, 0–1, of ``n`` cases. Wilson EB, J Am Stat Assoc 1927;22:209–212."""
    z = float(norm.ppf(0.975))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    return max(0.0, middle - half), min(1.0, middle + half)


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
    cases = np.bincount(_numbered(patients))
    share = float(hit.mean())
    low, high = wilson(share, float(cases.sum() ** 2 / (cases**2).sum()))
    return Estimate(share, low, high, len(hit))


def share_of(hit: np.ndarray) -> Statistic:
    """The share of cases that ``hit``, (cases,) bool."""
    hit = np.asarray(hit, np.float64)
    return lambda weights: _ratio(weights @ hit, weights.sum(axis=1))


def mean_of(values: np.ndarray) -> Statistic:
    """The mean of ``values``, (cases,)."""
    values = np.asarray(values, np.float64)
    return lambda weights: _ratio(weights @ values, weights.sum(axis=1))


def median_of(values: np.ndarray) -> Statistic:
    """The median of ``values``, (cases,); between two the half-way point."""
    values = np.asarray(values, np.float64)
    order = np.argsort(values, kind="stable")
    values = values[order]

    def statistic(weights: np.ndarray) -> np.ndarray:
        reached = np.cumsum(weights[:, order], axis=1)
        total = reached[:, -1]
        ranks = (np.floor((total - 1) / 2), np.floor(total / 2))
        lower, upper = ((reached <= rank[:, None]).sum(axis=1) for rank in ranks)
        return np.asarray((values[lower] + values[upper]) / 2)

    return statistic


def correlation_of(one: np.ndarray, other: np.ndarray) -> Statistic:
    """Pearson's r of two rows of cases; NaN without spread."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    one, other = one - one.mean(), other - other.mean()  # so that squares keep their digits

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=1)
        x, y = weights @ one / total, weights @ other / total
        xx, yy = weights @ one**2 / total - x**2, weights @ other**2 / total - y**2
        # A draw of equal values alone leaves nothing but rounding.
        least = 1e-12 * np.array([(one**2).mean(), (other**2).mean()])
        scale = np.sqrt(np.where((xx > least[0]) & (yy > least[1]), xx * yy, 0))
        return _ratio(weights @ (one * other) / total - x * y, scale)

    return statistic


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of all cases (area_under_curve_of); NaN where a class is absent."""
    return value_of(area_under_curve_of(score, positive), len(score))


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
