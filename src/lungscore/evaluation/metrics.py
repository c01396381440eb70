"""Agreement of a predicted mask or map with its ground truth, per slice.

Empty cases, once for all: a ratio over nothing is NaN, is left out of means and is counted. So
Dice and IoU are NaN where truth and prediction are both empty, and 0 where only one of them is;
sensitivity is NaN without truth, precision without a prediction, specificity without background.
Only the functions of ``toolbox.py`` follow another rule, the toolbox's own.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

#: Probabilities nearer to 0 or 1 than this are moved here before their logarithm is taken.
CLIP = 1e-7


class Confusion(NamedTuple):
    """Pixel counts of a predicted mask against its truth."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def confusion(predicted: np.ndarray, truth: np.ndarray) -> Confusion:
    """Pixel counts of two bool arrays of one shape."""
    both = int(np.count_nonzero(predicted & truth))
    positive, true = int(np.count_nonzero(predicted)), int(np.count_nonzero(truth))
    return Confusion(both, positive - both, true - both, truth.size - positive - true + both)


def overlap_scores(counts: Confusion) -> dict[str, float]:
    """dice, iou, sensitivity, specificity, precision and mae (share of wrong pixels), in 0…1."""
    both, found_only, missed, neither = counts
    wrong = found_only + missed
    return {
        "dice": _ratio(2 * both, 2 * both + wrong),
        "iou": _ratio(both, both + wrong),
        "sensitivity": _ratio(both, both + missed),
        "specificity": _ratio(neither, neither + found_only),
        "precision": _ratio(both, both + found_only),
        "mae": _ratio(wrong, both + wrong + neither),
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """2 |P ∩ T| / (|P| + |T|) of two bool arrays of one shape (the paper's equation 6)."""
    return overlap_scores(confusion(predicted, truth))["dice"]


def segmentation_loss(probability: np.ndarray, truth: np.ndarray) -> float:
    """The "test loss" of the single network: L_seg = L_IoU + L_BCE of the final map (equation 1).

    Both terms are weighted by 1 + 5 |mean of the truth over 31 × 31 − truth|, zeros beyond the
    edges counted, and L_IoU has the 1 of training in its numerator and denominator. Equation 2
    also sums the side outputs and the edge; they are not in it, since a prediction is one map.
    probability: (H, W) in 0…1, clipped to CLIP…1 − CLIP. truth: (H, W) bool.
    """
    clipped = _clipped(probability)
    target = truth.astype(np.float64)
    weight = 1 + 5 * np.abs(uniform_filter(target, 31, mode="constant") - target)
    cross_entropy = -np.log(np.where(truth, clipped, 1 - clipped))
    overlap = (weight * clipped * target).sum()
    union = (weight * (clipped + target)).sum() - overlap
    iou_loss = 1 - (overlap + 1) / (union + 1)
    return float((weight * cross_entropy).sum() / weight.sum() + iou_loss)


def cross_entropy(probabilities: np.ndarray, classes: np.ndarray) -> float:
    """The "test loss" of the multi network: mean cross-entropy over the pixels of a slice.

    probabilities: (C, H, W), summing to 1 over C, clipped to CLIP…1 − CLIP. classes: (H, W) in
    0…C − 1.
    """
    of_truth = np.take_along_axis(probabilities, classes[None].astype(np.intp), axis=0)
    return float(-np.log(_clipped(of_truth)).mean())


def _clipped(probability: np.ndarray) -> np.ndarray:
    return np.clip(probability.astype(np.float64), CLIP, 1 - CLIP)
