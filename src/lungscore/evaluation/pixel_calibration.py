"""Whether the probability of a pixel means what it says, against what radiologists drew.

All functions are pure. A slice is a pair of arrays of one shape, probability (float, 0 to 1) and
truth (bool); slices count alike, however many pixels they have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

Slice = tuple[np.ndarray, np.ndarray]

#: Bins of equal width of the reliability table.
BINS = 15

#: The temperatures that are tried.
_TEMPERATURES = (0.2, 5.0)

#: Probabilities are counted at so many levels to fit a temperature.
_LEVELS = 1024


@dataclass(frozen=True)
class Reliability:
    """Bins of probability, ascending: arrays (bins,).

    share: how many of the pixels. predicted: their mean probability. observed: the share of them
    that is positive. NaN in the latter two where a bin is empty.
    """

    share: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |observed − predicted| over the pixels.

        Naeini MP et al., AAAI 2015, 2901–2907.
        """
        filled = self.share > 0
        gaps = np.abs(self.observed - self.predicted)[filled]
        return float(gaps @ self.share[filled])


def reliability(slices: Sequence[Slice], *, bins: int = BINS) -> Reliability:
    """That of all ``slices`` together."""
    sums = np.zeros((3, bins))
    for probability, truth in slices:
        index = np.minimum((probability * bins).astype(np.int64), bins - 1).ravel()
        for row, weights in zip(sums, (None, probability.ravel(), truth.ravel()), strict=True):
            row += np.bincount(index, weights, minlength=bins) / truth.size
    count, predicted, observed = sums
    with np.errstate(invalid="ignore"):
        return Reliability(count / count.sum(), predicted / count, observed / count)


def tempered(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logits are divided by ``temperature``; 0.5 stays 0.5, float32.

    Guo C et al., ICML 2017, 1321–1330, for two classes.
    """
    # The sigmoid of logit(p) / T, without the logarithm of zero.
    odds = np.stack([probability, 1 - np.asarray(probability, np.float64)]) ** (1 / temperature)
    return (odds[0] / odds.sum(axis=0)).astype(np.float32)


def fit_temperature(slices: Sequence[Slice]) -> float:
    """The temperature with the least cross-entropy."""
    counts = np.mean([_by_level(*pair) for pair in slices], axis=0)
    middles = (np.arange(_LEVELS) + 0.5) / _LEVELS
    logits = np.log(middles / (1 - middles))

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((counts * np.logaddexp(0, [scaled, -scaled])).sum())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(low, high), method="bounded").x))


def _by_level(probability: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(2, _LEVELS): the shares of the pixels that are negative, and positive, at each level."""
    level = np.minimum((probability * _LEVELS).astype(np.int64), _LEVELS - 1)
    counts = [np.bincount(level[truth == value], minlength=_LEVELS) for value in (False, True)]
    return np.array(counts) / truth.size
