"""Agreement of a predicted infection map with its ground truth, per slice.

Empty cases, once for all: where truth and prediction are both empty, Dice is NaN, is left out of
means and is counted. Where only one is empty, Dice is 0.
"""

import numpy as np


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """2 |P ∩ T| / (|P| + |T|) of two bool arrays of one shape (the paper's equation 6)."""
    total = np.count_nonzero(predicted) + np.count_nonzero(truth)
    return 2 * np.count_nonzero(predicted & truth) / total if total else float("nan")


def stretched(probability: np.ndarray) -> np.ndarray:
    """``probability`` stretched to 0…1 as the Inf-Net toolbox does; a constant map is unchanged.

    Only for the toolbox's numbers: it would give a healthy slice a lesion.
    """
    low, high = float(probability.min()), float(probability.max())
    return probability if low == high else (probability - low) / (high - low)


def toolbox_dice(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean Dice over the thresholds 1, 254/255, … 0 of the stretched map (Inf-Net's toolbox).

    probability: (H, W) in 0…1. truth: (H, W) bool. Dice is 0 where nothing overlaps.
    """
    # A pixel passes threshold t when value ≥ t; the tolerance absorbs ties at exact grey levels.
    level = np.floor(stretched(probability.astype(np.float64)) * 255 + 1e-6).astype(int)
    infected = np.bincount(level[truth], minlength=256)[:256]
    everything = np.bincount(level.ravel(), minlength=256)[:256]
    overlap = np.cumsum(infected[::-1])
    predicted = np.cumsum(everything[::-1])
    total = predicted + infected.sum()
    return float(np.mean(np.divide(2 * overlap, total, out=np.zeros(256), where=total > 0)))


def toolbox_mae(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference of the stretched map and the truth (Inf-Net's toolbox)."""
    return float(np.abs(stretched(probability.astype(np.float64)) - truth).mean())
