"""Agreement of two raters over the same cases: pure functions on arrays.

Functions take a and b, (cases,) each, finite, in one order; differences are always a − b. What is
not defined for the values at hand is an Estimate without a value that says why, and an interval
without width is none. All intervals are 95 %. docs/agreement.md explains each figure.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import nct, norm, rankdata
from scipy.stats import t as t_distribution

from lungscore.statistics.bootstrap import correlation_of, interval, value_of, wilson
from lungscore.statistics.estimate import Estimate, undefined, without_degenerate

#: How much a disagreement counts: by the distance of the classes, or by its square.
Weights = Literal["linear", "quadratic"]

#: Pairs below which no figure is given.
MIN_PAIRS = 3

_Z = float(norm.ppf(0.975))

TOO_FEW = f"fewer than {MIN_PAIRS} pairs"
CONSTANT = "one rater gave every case the same value"
SAME_VALUE = "all values of both raters are the same"


@dataclass(frozen=True)
class BlandAltman:
    """Differences a − b, in the unit of the values.

    bias: their mean. sd: their sample standard deviation. lower, upper: 95 % limits of agreement.
    slope, intercept: of the line through differences over means; a slope that is not 0 says that
    the difference grows with the size of what is measured.
    """

    bias: Estimate
    sd: float | None
    lower: Estimate
    upper: Estimate
    slope: Estimate
    intercept: float | None

    @property
    def slope_differs(self) -> bool:
        """Whether the interval of the slope leaves out 0."""
        low, high = self.slope.low, self.slope.high
        return low is not None and high is not None and (low > 0 or high < 0)

    def on_slope(self, mean: np.ndarray) -> np.ndarray:
        """The difference that the line gives at each mean of a pair."""
        if self.slope.value is None or self.intercept is None:
            raise ValueError("there is no line")
        return self.intercept + self.slope.value * np.asarray(mean, np.float64)


def bland_altman(a: np.ndarray, b: np.ndarray) -> BlandAltman:
    """Bias and 95 % limits of agreement, bias ± 1.96 standard deviations of the differences.

    Bland JM, Altman DG, "Statistical methods for assessing agreement between two methods of
    clinical measurement", Lancet 1986;327:307–310; the slope: the same, Stat Methods Med Res
    1999;8:135–160. Intervals suppose normal differences and are then exact for any number of
    pairs: t for bias and slope, noncentral t for the limits (Carkeet A, Optom Vis Sci
    2015;92:e71–e80).
    """
    a, b = _checked(a, b)
    n = len(a)
    if n < MIN_PAIRS:
        nothing = undefined(n, TOO_FEW)
        return BlandAltman(nothing, None, nothing, nothing, nothing, None)
    difference = a - b
    bias, sd = float(difference.mean()), _without_noise(float(difference.std(ddof=1)), a, b)
    error = sd / np.sqrt(n)
    half = float(t_distribution.ppf(0.975, n - 1)) * error
    # (limit − bias) / error follows a noncentral t; near and far end as seen from the bias.
    near, far = (float(q) * error for q in nct.ppf([0.025, 0.975], n - 1, _Z * np.sqrt(n)))
    slope, intercept = _slope((a + b) / 2, difference)
    return BlandAltman(
        bias=without_degenerate(Estimate(bias, bias - half, bias + half, n)),
        sd=sd,
        lower=without_degenerate(Estimate(bias - _Z * sd, bias - far, bias - near, n)),
        upper=without_degenerate(Estimate(bias + _Z * sd, bias + near, bias + far, n)),
        slope=slope,
        intercept=intercept,
    )


def _slope(mean: np.ndarray, difference: np.ndarray) -> tuple[Estimate, float | None]:
    """Slope and intercept of the least-squares line."""
    n = len(mean)
    if _without_noise(float(np.ptp(mean)), mean) == 0:
        return undefined(n, "all means of the pairs are the same"), None
    x, y = mean - mean.mean(), difference - difference.mean()
    slope = float((x @ y) / (x @ x))
    rest = y - slope * x
    error = float(np.sqrt((rest @ rest) / (n - 2) / (x @ x)))
    half = float(t_distribution.ppf(0.975, n - 2)) * error
    intercept = float(difference.mean() - slope * mean.mean())
    return without_degenerate(Estimate(slope, slope - half, slope + half, n)), intercept


def icc_agreement(ratings: np.ndarray) -> Estimate:
    """ICC(2,1) of (cases, raters) ratings: two-way random, absolute agreement, single rater.

    At most 1; the estimate may be negative, with a few cases even below −1.
    Shrout PE, Fleiss JL, "Intraclass correlations: uses in assessing rater reliability", Psychol
    Bull 1979;86:420–428. Interval: McGraw KO, Wong SP, Psychol Methods 1996;1:30–46, ICC(A,1).
    """
    ratings = np.asarray(ratings, np.float64)
    n, k = ratings.shape
    if reason := _no_spread(ratings):
        return undefined(n, reason)
    cases, raters, rest = _mean_squares(ratings)
    value = (cases - rest) / (cases + (k - 1) * rest + k * (raters - rest) / n)
    if 1 - value < 1e-12:
        return without_degenerate(Estimate(1.0, 1.0, 1.0, n))
    # McGraw and Wong's table 7: F with the degrees of freedom of Satterthwaite.
    of_raters = k * value / (n * (1 - value)) * raters
    of_rest = (1 + k * value * (n - 1) / (n * (1 - value))) * rest
    spread = of_raters**2 / (k - 1) + of_rest**2 / ((n - 1) * (k - 1))
    freedom = (of_raters + of_rest) ** 2 / spread if spread > 0 else np.nan
    upper_f, lower_f = (
        float(f_distribution.ppf(0.975, *degrees))
        for degrees in ((n - 1, freedom), (freedom, n - 1))
    )
    between = k * raters + (k * n - k - n) * rest
    low = n * (cases - upper_f * rest) / (upper_f * between + n * cases)
    high = n * (lower_f * cases - rest) / (between + n * lower_f * cases)
    # A negative coefficient can leave no freedom, or an interval that it does not lie in.
    if not np.isfinite([low, high]).all() or not low <= value <= high:
        return Estimate(float(value), None, None, n, "its interval is not defined")
    return Estimate(float(value), float(low), float(high), n)


def icc_consistency(ratings: np.ndarray) -> Estimate:
    """ICC(3,1) of (cases, raters) ratings: two-way mixed, consistency, single rater.

    A constant difference between raters counts nothing. Shrout and Fleiss 1979, with their
    F-based interval.
    """
    ratings = np.asarray(ratings, np.float64)
    n, k = ratings.shape
    if reason := _no_spread(ratings):
        return undefined(n, reason)
    cases, _, rest = _mean_squares(ratings)
    value = (cases - rest) / (cases + (k - 1) * rest)
    if 1 - value < 1e-12:
        return without_degenerate(Estimate(1.0, 1.0, 1.0, n))
    freedom = (n - 1, (n - 1) * (k - 1))
    # The ratio of mean squares over, and times, its quantile; multiplied by ``rest``.
    smaller = cases / float(f_distribution.ppf(0.975, *freedom))
    larger = cases * float(f_distribution.ppf(0.975, *freedom[::-1]))
    low, high = ((ends - rest) / (ends + (k - 1) * rest) for ends in (smaller, larger))
    return without_degenerate(Estimate(float(value), float(low), float(high), n))


def _without_noise(spread: float, *values: np.ndarray) -> float:
    """``spread`` of numbers made of ``values``; 0 where it is rounding (0.3 − 0.1 is not 0.2)."""
    largest = max(float(np.abs(array).max()) for array in values)
    return spread if spread > 1e-9 * largest else 0.0


def _no_spread(ratings: np.ndarray) -> str | None:
    """Why there is no intraclass correlation, where there is none."""
    if len(ratings) < MIN_PAIRS:
        return TOO_FEW
    if (np.ptp(ratings, axis=0) == 0).all():
        return "no rater's values differ between cases"
    return None


def _mean_squares(ratings: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of the two-way analysis of variance: between cases, between raters, rest."""
    n, k = ratings.shape
    total = ratings.mean()
    of_cases = ratings.mean(axis=1, keepdims=True) - total
    of_raters = ratings.mean(axis=0, keepdims=True) - total
    rest = ratings - total - of_cases - of_raters
    return (
        float(k * (of_cases**2).sum() / (n - 1)),
        float(n * (of_raters**2).sum() / (k - 1)),
        float((rest**2).sum() / ((n - 1) * (k - 1))),
    )


def weighted_kappa(a: np.ndarray, b: np.ndarray, *, highest: int, weights: Weights) -> Estimate:
    """Weighted kappa of classes 0…``highest``; disagreement weighs |i − j| or (i − j)².

    a, b: whole numbers. Cohen J, "Weighted kappa: nominal scale agreement with provision for
    scaled disagreement or partial credit", Psychol Bull 1968;70:213–220. Interval: percentile
    bootstrap over cases, drawn as counts of the pairs that occur. Resamples in which all values
    are the same, where kappa is not defined, are passed over.
    """
    first, second = _classes(a, b, highest)
    n = len(first)
    if n < MIN_PAIRS:
        return undefined(n, TOO_FEW)
    pairs, counts = np.unique(np.stack([first, second], axis=1), axis=0, return_counts=True)
    cost = disagreement(highest, weights)
    value = float(kappas(counts[None], pairs, cost)[0])
    if np.isnan(value):
        return undefined(n, SAME_VALUE)
    ends = interval(lambda often: kappas(often, pairs, cost), len(pairs), weights=counts)
    return without_degenerate(Estimate(value, *ends, n))


def disagreement(highest: int, weights: Weights) -> np.ndarray:
    """(classes, classes) weight of each disagreement of classes 0…``highest``; 0 for none."""
    apart = np.abs(np.subtract.outer(np.arange(highest + 1), np.arange(highest + 1)))
    return (apart if weights == "linear" else apart**2).astype(np.float64)


def kappas(counts: np.ndarray, pairs: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """(tables,) kappas of (tables, pairs) counts; NaN where no disagreement is to be expected.

    pairs: (pairs, 2) classes. cost: (classes, classes), 0 on the diagonal.
    """
    indicators = np.eye(len(cost))
    first, second = counts @ indicators[pairs[:, 0]], counts @ indicators[pairs[:, 1]]
    observed = counts @ cost[pairs[:, 0], pairs[:, 1]]
    expected = ((first @ cost) * second).sum(axis=1) / counts.sum(axis=1)
    ratio = np.divide(observed, expected, out=np.full(len(observed), np.nan), where=expected > 0)
    return 1 - ratio


def exact_agreement(a: np.ndarray, b: np.ndarray) -> Estimate:
    """Share of cases, 0–1, to which both give the same class.

    Interval: Wilson EB, J Am Stat Assoc 1927;22:209–212.
    """
    a, b = _checked(a, b)
    n = len(a)
    if n < MIN_PAIRS:
        return undefined(n, TOO_FEW)
    share = float((a == b).mean())
    low, high = wilson(share, n)
    return Estimate(share, low, high, n)


def confusion(a: np.ndarray, b: np.ndarray, *, highest: int) -> np.ndarray:
    """(classes, classes) counts: rows the classes of a, columns those of b, 0…``highest``."""
    first, second = _classes(a, b, highest)
    table = np.zeros((highest + 1, highest + 1), np.int64)
    np.add.at(table, (first, second), 1)
    return table


def spearman(a: np.ndarray, b: np.ndarray) -> Estimate:
    """Spearman's rank correlation; ties share their mean rank.

    Interval: Fisher's z with the standard error √((1 + ρ²/2) / (n − 3)) of Bonett DG, Wright TA,
    Psychometrika 2000;65:23–28; from four pairs on.
    """
    a, b = _checked(a, b)
    n = len(a)
    if n < MIN_PAIRS:
        return undefined(n, TOO_FEW)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return undefined(n, CONSTANT)
    rho = float(np.clip(value_of(correlation_of(rankdata(a), rankdata(b)), n), -1, 1))
    if n <= MIN_PAIRS:
        return Estimate(rho, None, None, n, "an interval needs four pairs")
    if 1 - abs(rho) < 1e-12:
        sign = float(round(rho))
        return without_degenerate(Estimate(sign, sign, sign, n))
    half = _Z * np.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return Estimate(rho, float(low), float(high), n)


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"pairs must be two rows of one length, not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("ratings must be finite; leave missing ones out")
    return a, b


def _classes(a: np.ndarray, b: np.ndarray, highest: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = _checked(a, b)
    for values in (a, b):
        if ((values < 0) | (values > highest) | (values != np.round(values))).any():
            raise ValueError(f"classes are whole numbers from 0 to {highest}")
    return a.astype(np.intp), b.astype(np.intp)
