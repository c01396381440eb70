"""Whether the probability of a pixel means what it says, over slices with a drawn truth.

Slices count alike, however many pixels they have. All functions are pure; a slice is a pair of
arrays of one shape: probability, float in 0…1, and truth, bool.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

Slice = tuple[np.ndarray, np.ndarray]

#: Bins of equal width of the reliability table.
BINS = 15

#: Temperatures that are tried, and how near to 0 and 1 a probability may come.
_TEMPERATURES, _CLIP = (0.2, 5.0), 1e-4


def tempered(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logits are divided by ``temperature``; 0.5 stays 0.5, float32.

    Guo C et al., ICML 2017 (On calibration of modern neural networks), for two classes.
    """
    # The sigmoid of logit(p) / T, without the logarithm of zero.
    both = np.stack([probability, 1 - np.asarray(probability, np.float64)])
    yes, no = both ** (1 / temperature)
    return (yes / (yes + no)).astype(np.float32)


def fit_temperature(slices: Iterable[Slice]) -> float:
    """The temperature with the least cross-entropy, each slice's mean counting alike."""
    counts = [_by_level(*pair) for pair in slices]
    logits = _logits((np.arange(_LEVELS) + 0.5) / _LEVELS)

    def loss(log_temperature: float) -> float:
        probability = 1 / (1 + np.exp(-logits / np.exp(log_temperature)))
        entropy = np.stack([-np.log(1 - probability), -np.log(probability)])
        return float(np.mean([(entropy * pixels).sum() / pixels.sum() for pixels in counts]))

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


#: Probabilities are counted in so many levels: finer than the maps that are kept.
_LEVELS = 1024


def _by_level(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(2, _LEVELS) pixels by truth, no and yes, and level of probability."""
    level = np.minimum((probability * _LEVELS).astype(np.int64), _LEVELS - 1)
    return np.stack(
        [np.bincount(level[truth == value], minlength=_LEVELS) for value in (False, True)]
    ).astype(np.float64)


def _logits(probability: np.ndarray) -> np.ndarray:
    inside = np.clip(probability, _CLIP, 1 - _CLIP)
    return np.log(inside / (1 - inside))


@dataclass(frozen=True)
class Reliability:
    """Bins of probability, ascending, of one slice or of several: arrays (bins,).

    share: of the pixels. predicted: mean probability. observed: how many of them are positive,
    0…1. NaN in the latter two where a bin is empty.
    """

    share: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |observed − predicted|, weighted by share.

        Naeini MP et al., AAAI 2015, 2901–2907.
        """
        filled = self.share > 0
        gap = np.abs(self.observed - self.predicted)[filled]
        return float((gap * self.share[filled]).sum())


def reliability_of(slices: Sequence[Slice], *, bins: int = BINS) -> Reliability:
    """That of all ``slices`` together, each counting alike; slices without pixels are left out."""
    sums = np.zeros((3, bins))
    for probability, truth in slices:
        if not truth.size:
            continue
        index = np.minimum((probability * bins).astype(np.int64), bins - 1).ravel()
        for row, weights in enumerate((None, probability.ravel(), truth.ravel())):
            sums[row] += np.bincount(index, weights, minlength=bins) / truth.size
    count, predicted, observed = sums
    with np.errstate(invalid="ignore"):
        return Reliability(count / count.sum(), predicted / count, observed / count)
