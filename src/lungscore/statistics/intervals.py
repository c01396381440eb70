"""Uncertainty of measured figures, and of differences between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from lungscore.statistics.bootstrap import (
    area_under_curve,
    area_under_curve_of,
    correlation_of,
    interval,
    mean_of,
    value_of,
)


def mean_with_interval(values: np.ndarray) -> dict[str, float | int]:
    """Mean of the finite values with its 95 % percentile bootstrap interval and counts.

    Beside them median and sd, the sample standard deviation of the values (not of their mean).
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        nothing = dict.fromkeys(("mean", "low", "high", "median", "sd"), float("nan"))
        return {**nothing, "n": 0, "left_out": len(values)}
    low, high = interval(mean_of(finite), len(finite))
    return {
        "mean": float(finite.mean()),
        "low": low,
        "high": high,
        "median": float(np.median(finite)),
        "sd": _spread(finite),
        "n": len(finite),
        "left_out": int(len(values) - len(finite)),
    }


def _spread(values: np.ndarray) -> float:
    """Sample standard deviation; NaN of fewer than two values."""
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def paired_difference(a: np.ndarray, b: np.ndarray) -> dict[str, float | int]:
    """Mean of a − b over the same slices with its 95 % bootstrap interval over slices.

    a, b: (slices,), the same slices in the same order. A slice without a figure in either is left
    out and counted. wins: slices where a is larger. p: two-sided Wilcoxon signed-rank test, 1
    where no slice differs.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"pairs must be two rows of one length, not {a.shape} and {b.shape}")
    difference = a - b
    finite = difference[np.isfinite(difference)]
    return {**mean_with_interval(difference), "wins": int((finite > 0).sum()), "p": _p(finite)}


def _p(difference: np.ndarray) -> float:
    if not len(difference):
        return float("nan")
    return float(wilcoxon(difference).pvalue) if difference.any() else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values of one family of tests, in the order given.

    NaN, a test that could not be done, stays NaN and does not count in the family.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full_like(p, np.nan)
    order = [index for index in np.argsort(p) if not np.isnan(p[index])]
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * float(p[index])))
        adjusted[index] = largest
    return [float(value) for value in adjusted]


def superior(difference: Mapping[str, float]) -> bool:
    """Whether the interval of a paired difference lies above 0."""
    return difference["low"] > 0


def non_inferior(difference: Mapping[str, float], margin: float) -> bool:
    """Whether the interval of a paired difference lies above −margin, chosen beforehand."""
    if margin <= 0:
        raise ValueError(f"a margin is larger than 0, not {margin}")
    return difference["low"] > -margin


def mean_over_seeds(values: np.ndarray) -> np.ndarray:
    """(slices,) means of (seeds, slices), over the seeds that have a figure for the slice.

    Seeds are averaged first; pairs and intervals are then formed over slices. Seeds are no
    further slices: as such they would make every interval too narrow.
    """
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    total, count = np.where(finite, values, 0).sum(axis=0), finite.sum(axis=0)
    return np.divide(total, count, out=np.full(values.shape[1:], np.nan), where=count > 0)


def sd_between_seeds(values: np.ndarray) -> float:
    """Sample standard deviation of the seeds' means over slices; NaN of one seed.

    values: (seeds, slices). Only slices for which every seed has a figure count.
    """
    values = np.asarray(values, np.float64)
    common = values[:, np.isfinite(values).all(axis=0)]
    return _spread(common.mean(axis=1)) if common.size else float("nan")


def area_agreement(predicted: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Agreement of predicted and true fractions of the same slices, (slices,) each.

    correlation: Pearson's r with its interval, None without spread. mean_absolute_error: with its
    interval. bias: mean of predicted − true; lower_limit and upper_limit: Bland–Altman's 95 %
    limits of agreement, bias ± 1.96 standard deviations (NaN of fewer than two slices).
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    difference = predicted - true
    bias, spread = float(difference.mean()), _spread(difference)
    correlation: dict[str, Any] = dict.fromkeys(("r", "low", "high")) | {"n": len(predicted)}
    statistic = correlation_of(predicted, true)
    # Not the standard deviation: of equal fractions it may be a rounding error above 0.
    if not np.isnan(r := value_of(statistic, len(predicted))):
        low, high = interval(statistic, len(predicted))
        correlation = {"r": r, "low": low, "high": high, "n": len(predicted)}
    return {
        "correlation": correlation,
        "mean_absolute_error": mean_with_interval(np.abs(difference)),
        "bias": bias,
        "lower_limit": bias - 1.96 * spread,
        "upper_limit": bias + 1.96 * spread,
    }


def area_under_curve_with_interval(
    score: np.ndarray, positive: np.ndarray
) -> dict[str, float | int]:
    """area_under_curve with its 95 % bootstrap interval over slices."""
    score, positive = np.asarray(score, np.float64), np.asarray(positive, bool)
    low, high = interval(area_under_curve_of(score, positive), len(score))
    return {
        "auc": area_under_curve(score, positive),
        "low": low,
        "high": high,
        "n": len(score),
        "positive": int(positive.sum()),
    }
