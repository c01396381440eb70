"""Uncertainty of measured figures."""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

#: Resamples of every bootstrap, and its seed.
RESAMPLES, SEED = 10_000, 20200414


def mean_with_interval(values: np.ndarray) -> dict[str, float | int]:
    """Mean of the finite values with its 95 % percentile bootstrap interval and counts."""
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        nan = float("nan")
        return {"mean": nan, "low": nan, "high": nan, "n": 0, "left_out": len(values)}
    low, high = bootstrap(len(finite), lambda index: finite[index].mean(axis=-1))
    return {
        "mean": float(finite.mean()),
        "low": low,
        "high": high,
        "n": len(finite),
        "left_out": int(len(values) - len(finite)),
    }


def bootstrap(count: int, statistic: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """95 % percentile interval of ``statistic``, which takes (resamples, count) indices."""
    index = np.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))
    low, high = np.nanpercentile(statistic(index), [2.5, 97.5])
    return float(low), float(high)


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties half.

    Computed from ranks (Mann–Whitney). NaN where one class is absent.
    """
    return float(_areas(np.asarray(score, np.float64), np.asarray(positive, bool)))


def _areas(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """area_under_curve along the last axis."""
    count, total = positive.sum(axis=-1), positive.shape[-1]
    above = (rankdata(score, axis=-1) * positive).sum(axis=-1) - count * (count + 1) / 2
    pairs = (count * (total - count)).astype(np.float64)
    return np.divide(above, pairs, out=np.full_like(pairs, np.nan), where=pairs > 0)


def area_under_curve_with_interval(
    score: np.ndarray, positive: np.ndarray
) -> dict[str, float | int]:
    """area_under_curve with its 95 % bootstrap interval over slices."""
    score, positive = np.asarray(score, np.float64), np.asarray(positive, bool)

    low, high = bootstrap(len(score), lambda index: _areas(score[index], positive[index]))
    return {
        "auc": area_under_curve(score, positive),
        "low": low,
        "high": high,
        "n": len(score),
        "positive": int(positive.sum()),
    }
