"""The measures of Inf-Net's evaluation toolbox, with its own rules, for comparison with papers.

Every map is first stretched to 0…1. Dice, sensitivity and specificity are 0 at thresholds where
nothing overlaps, specificity included: so a slice without infection scores 0 in all three.
S-measure: Fan et al., ICCV 2017. E-measure: Fan et al., IJCAI 2018.
"""

from collections.abc import Sequence

import numpy as np

#: The thresholds, from the strictest to the one that everything passes.
THRESHOLDS = np.arange(255, -1, -1) / 255

#: What MATLAB adds to denominators.
_EPSILON = float(np.finfo(np.float64).eps)


def stretched(probability: np.ndarray) -> np.ndarray:
    """``probability`` stretched to 0…1, in float64; a constant map is unchanged.

    Only for the toolbox's numbers: it would give a healthy slice a lesion.
    """
    values = probability.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    return values if low == high else (values - low) / (high - low)


def threshold_curves(probability: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """dice, sensitivity, specificity and e_measure at every one of THRESHOLDS, each (256,).

    probability: (H, W) in 0…1. truth: (H, W) bool. The toolbox reports the means over thresholds.
    """
    # A pixel passes threshold t when value ≥ t; the tolerance absorbs ties at exact grey levels.
    level = np.floor(stretched(probability) * 255 + 1e-6).astype(np.intp)
    infected = np.bincount(level[truth], minlength=256)[::-1]
    everything = np.bincount(level.ravel(), minlength=256)[::-1]
    overlap, predicted = np.cumsum(infected), np.cumsum(everything)
    true = int(infected.sum())
    background = truth.size - true
    correctly_free = background - (predicted - overlap)
    return {
        "dice": _where_overlapping(2 * overlap, predicted + true, overlap),
        "sensitivity": _where_overlapping(overlap, np.full(256, true), overlap),
        "specificity": _where_overlapping(correctly_free, np.full(256, background), overlap),
        "e_measure": _e_measure(overlap, predicted, true=true, pixels=truth.size),
    }


def _where_overlapping(part: np.ndarray, whole: np.ndarray, overlap: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(256), where=(overlap > 0) & (whole > 0))


def _e_measure(overlap: np.ndarray, predicted: np.ndarray, *, true: int, pixels: int) -> np.ndarray:
    """Enhanced alignment of binary masks. Its term has four values: one a kind of pixel."""
    if true == 0:
        aligned = (pixels - predicted).astype(np.float64)
    elif true == pixels:
        aligned = predicted.astype(np.float64)
    else:
        aligned = np.zeros(256)
        kinds = (
            (1, 1, overlap),
            (1, 0, true - overlap),
            (0, 1, predicted - overlap),
            (0, 0, pixels - true - predicted + overlap),
        )
        for truth_value, predicted_value, count in kinds:
            a, b = truth_value - true / pixels, predicted_value - predicted / pixels
            alignment = 2 * a * b / (a * a + b * b + _EPSILON)
            aligned += count * (alignment + 1) ** 2 / 4
    return aligned / (pixels - 1 + _EPSILON)


def best_threshold(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """The largest mean of ``curves`` over slices and its threshold: chosen on what it measures."""
    mean = np.mean(curves, axis=0)
    best = int(mean.argmax())
    return float(mean[best]), float(THRESHOLDS[best])


def stretched_mae(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference of the stretched map and the truth."""
    return float(np.abs(stretched(probability) - truth).mean())


def s_measure(probability: np.ndarray, truth: np.ndarray) -> float:
    """Structure measure of the stretched map: half objects, half regions; at least 0.

    probability: (H, W) in 0…1. truth: (H, W) bool.
    """
    values = stretched(probability)
    share = float(truth.mean())
    if share == 0:
        return 1 - float(values.mean())
    if share == 1:
        return float(values.mean())
    objects = share * _object(values[truth]) + (1 - share) * _object(1 - values[~truth])
    return max(0.0, 0.5 * objects + 0.5 * _regions(values, truth))


def _object(values: np.ndarray) -> float:
    """How bright and how even an object's values are."""
    mean = float(values.mean())
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + spread + _EPSILON)


def _regions(values: np.ndarray, truth: np.ndarray) -> float:
    """Similarity in the four blocks around the truth's centroid, weighted by their area."""
    # Counted from 1 and rounded half up, as the toolbox does: the centroid's row and column
    # belong to the upper left block.
    row, column = (int(np.floor(index.mean() + 1.5)) for index in np.nonzero(truth))
    total = 0.0
    for rows in (slice(None, row), slice(row, None)):
        for columns in (slice(None, column), slice(column, None)):
            block = values[rows, columns]
            if block.size:
                total += block.size / values.size * _similarity(block, truth[rows, columns])
    return total


def _similarity(values: np.ndarray, truth: np.ndarray) -> float:
    """Structural similarity of a block without its constants."""
    x, y = float(values.mean()), float(truth.mean())
    dx, dy, count = values - x, truth - y, values.size - 1 + _EPSILON
    together = float((dx * dy).sum() / count)
    spread = float(((dx * dx).sum() + (dy * dy).sum()) / count)
    numerator, denominator = 4 * x * y * together, (x * x + y * y) * spread
    if numerator != 0:
        return numerator / (denominator + _EPSILON)
    return 1.0 if denominator == 0 else 0.0
