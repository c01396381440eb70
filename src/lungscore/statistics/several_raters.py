"""Agreement of two raters or more over the same cases: pure functions on arrays.

ratings: (cases, raters), in one order; classes are whole numbers. The intraclass correlations of
statistics/agreement.py take any number of raters; here is what ordered classes need. Intervals
are 95 % percentile bootstraps over cases. docs/agreement.md explains each figure.
"""

from itertools import combinations

import numpy as np

from lungscore.statistics.agreement import MIN_PAIRS, Weights, disagreement, kappas
from lungscore.statistics.bootstrap import interval, wilson
from lungscore.statistics.estimate import Estimate, undefined, without_degenerate

TOO_FEW = f"fewer than {MIN_PAIRS} cases"
SAME_VALUE = "two raters gave every case the same one value"
ALL_THE_SAME = "all values of all raters are the same"


def mean_kappa(ratings: np.ndarray, *, highest: int, weights: Weights) -> Estimate:
    """Mean of the weighted kappas of all pairs of raters; of two raters, weighted kappa.

    Light RJ, "Measures of response agreement for qualitative data: some generalizations and
    alternatives", Psychol Bull 1971;76:365–377. Resamples in which the kappa of a pair is not
    defined are passed over.
    """
    ratings = _whole(ratings, highest)
    n = len(ratings)
    if n < MIN_PAIRS:
        return undefined(n, TOO_FEW)
    rows, counts = np.unique(ratings.astype(np.intp), axis=0, return_counts=True)
    cost = disagreement(highest, weights)
    pairs = [rows[:, pair] for pair in combinations(range(rows.shape[1]), 2)]

    def mean(often: np.ndarray) -> np.ndarray:
        return np.asarray(np.mean([kappas(often, pair, cost) for pair in pairs], axis=0))

    value = float(mean(counts[None])[0])
    if np.isnan(value):
        return undefined(n, SAME_VALUE)
    ends = interval(mean, len(rows), weights=counts)
    return without_degenerate(Estimate(value, *ends, n))


def krippendorff_alpha(ratings: np.ndarray) -> Estimate:
    """Krippendorff's alpha of ordered classes; NaN where a rater gave none.

    1 − observed / expected disagreement of all values that were given, with Krippendorff's ordinal
    distance: how many values lie between two, each of them counted by half. That is the distance of
    their mean ranks, so that its square needs no table of pairs. A case that fewer than two raters
    rated is left out; ``n`` is the number of the others.
    Krippendorff K, "Content analysis", 2nd edition, Sage 2004, chapter 11.
    """
    ratings = np.asarray(ratings, np.float64)
    ratings = ratings[(~np.isnan(ratings)).sum(axis=1) > 1]
    n = len(ratings)
    if n < MIN_PAIRS:
        return undefined(n, TOO_FEW)
    classes = np.unique(ratings[~np.isnan(ratings)])
    given = (ratings[:, :, None] == classes).sum(axis=1)
    rows, counts = np.unique(given, axis=0, return_counts=True)
    raters = rows.sum(axis=1)

    def alpha(often: np.ndarray) -> np.ndarray:
        """(draws,) alphas of (draws, rows) numbers of cases."""
        values = often @ rows
        total = values.sum(axis=1)
        ranks = np.cumsum(values, axis=1) - values / 2
        ranks -= total[:, None] / 2  # now their mean is 0
        squares = (values * ranks**2).sum(axis=1)
        within = ((ranks @ rows.T) ** 2 - ranks**2 @ rows.T) / (raters - 1)
        observed = squares - (often * within).sum(axis=1)
        expected = total * squares / (total - 1)
        with np.errstate(invalid="ignore"):  # 0 / 0 where all values are the same
            return np.asarray(1 - observed / expected)

    value = float(alpha(counts[None].astype(np.float64))[0])
    if np.isnan(value):
        return undefined(n, ALL_THE_SAME)
    ends = interval(alpha, len(rows), weights=counts)
    return without_degenerate(Estimate(value, *ends, n))


def all_agree(ratings: np.ndarray) -> Estimate:
    """Share of cases, 0–1, to which all raters give the same class; interval: Wilson 1927."""
    ratings = np.asarray(ratings, np.float64)
    n = len(ratings)
    if n < MIN_PAIRS:
        return undefined(n, TOO_FEW)
    share = float((ratings == ratings[:, :1]).all(axis=1).mean())
    return Estimate(share, *wilson(share, n), n)


def _whole(ratings: np.ndarray, highest: int) -> np.ndarray:
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or ratings.shape[1] < 2:
        raise ValueError(f"ratings must be (cases, raters) of two raters or more: {ratings.shape}")
    if not ((ratings >= 0) & (ratings <= highest) & (ratings == np.round(ratings))).all():
        raise ValueError(f"classes are whole numbers from 0 to {highest}")
    return ratings
