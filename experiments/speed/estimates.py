"""What repeated measurements say: cost as a straight line, and ratios. Pure functions on arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lungscore.statistics.bootstrap import interval, median_of


def straight_line(slices: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    """Least squares of values = a + b · slices over single runs.

    slices, values: (runs,). Returns per_scan (a) and per_slice (b), each with value, low and high
    (95 % percentile bootstrap over runs), r2 (NaN where no value differs) and n, the runs. Raises
    ValueError for fewer than two numbers of slices.
    """
    x, y = np.asarray(slices, np.float64), np.asarray(values, np.float64)
    if x.shape != y.shape or len(np.unique(x)) < 2:
        raise ValueError("a line needs a value for every run, and two numbers of slices")
    per_scan, per_slice = (float(part[0]) for part in _line(x, y, np.ones((1, len(x)))))
    left = ((y - per_scan - per_slice * x) ** 2).sum()
    total = ((y - y.mean()) ** 2).sum()
    found = []
    for which, value in enumerate((per_scan, per_slice)):
        low, high = interval(lambda weights, which=which: _line(x, y, weights)[which], len(x))
        found.append({"value": float(value), "low": low, "high": high})
    r2 = float(1 - left / total) if total > 0 else float("nan")
    return {"per_scan": found[0], "per_slice": found[1], "r2": r2, "n": len(x)}


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(draws,) a and b of weighted runs; NaN where all slices are alike."""
    total = weights.sum(axis=1)
    mean_x, mean_y = weights @ x / total, weights @ y / total
    from_mean = x - mean_x[:, None]
    spread = (weights * from_mean**2).sum(axis=1)
    together = (weights * from_mean * (y - mean_y[:, None])).sum(axis=1)
    slope = np.divide(together, spread, out=np.full_like(spread, np.nan), where=spread > 0)
    return mean_y - slope * mean_x, slope


def ratio(of: Sequence[float], to: Sequence[float]) -> dict[str, Any]:
    """Median of of / to, repeat by repeat, with its 95 % percentile bootstrap interval.

    of, to: (repeats,) measured in turns inside one run.
    """
    each = np.asarray(of, np.float64) / np.asarray(to, np.float64)
    low, high = interval(median_of(each), len(each))
    return {"p50": float(np.median(each)), "low": low, "high": high, "n": len(each)}
