"""What repeated measurements say: cost as a straight line, and ratios. Pure functions on arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lungscore.statistics.intervals import bootstrap


def straight_line(slices: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    """Least squares of values = a + b · slices over single runs.

    slices, values: (runs,). Returns per_scan (a) and per_slice (b), each with value, low and high
    (95 % percentile bootstrap over runs), r2 (NaN where no value differs) and n, the runs. Raises
    ValueError for fewer than two numbers of slices.
    """
    x, y = np.asarray(slices, np.float64), np.asarray(values, np.float64)
    if x.shape != y.shape or len(np.unique(x)) < 2:
        raise ValueError("a line needs a value for every run, and two numbers of slices")
    per_scan, per_slice = _line(x, y)
    left = ((y - per_scan - per_slice * x) ** 2).sum()
    total = ((y - y.mean()) ** 2).sum()
    found = []
    for which, value in enumerate((per_scan, per_slice)):
        low, high = bootstrap(len(x), lambda index, which=which: _line(x[index], y[index])[which])
        found.append({"value": float(value), "low": low, "high": high})
    r2 = float(1 - left / total) if total > 0 else float("nan")
    return {"per_scan": found[0], "per_slice": found[1], "r2": r2, "n": len(x)}


def _line(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a and b along the last axis; NaN where all slices are alike."""
    mean_x, mean_y = x.mean(axis=-1, keepdims=True), y.mean(axis=-1, keepdims=True)
    spread = ((x - mean_x) ** 2).sum(axis=-1)
    together = ((x - mean_x) * (y - mean_y)).sum(axis=-1)
    slope = np.divide(together, spread, out=np.full_like(spread, np.nan), where=spread > 0)
    return mean_y[..., 0] - slope * mean_x[..., 0], slope


def ratio(of: Sequence[float], to: Sequence[float]) -> dict[str, Any]:
    """Median of of / to, repeat by repeat, with its 95 % percentile bootstrap interval.

    of, to: (repeats,) measured in turns inside one run.
    """
    each = np.asarray(of, np.float64) / np.asarray(to, np.float64)
    low, high = bootstrap(len(each), lambda index: np.median(each[index], axis=-1))
    return {"p50": float(np.median(each)), "low": low, "high": high, "n": len(each)}
