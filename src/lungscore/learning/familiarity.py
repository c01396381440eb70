"""How the slices look that a network learns from, as the card of a model states it."""

from collections.abc import Sequence

import numpy as np

from lungscore.datasets.sample import Sample
from lungscore.inference.appearance import STATISTICS, look
from lungscore.inference.bundle import InputSpec
from lungscore.scan.window import resize, window

#: Of each volume, the middle part whose statistics count: apex and base look like no other slices.
MIDDLE = 0.7

#: By how much the range over all volumes is widened at each end: a part of its width, and at least
#: so much. Every statistic is a grey level, a share or a part of the contrast, 0…1 by and large.
WIDER, LEAST = 0.1, 0.05


def grey_of(sample: Sample, spec: InputSpec) -> np.ndarray:
    """A training slice as the network sees it: (height, width) float32 grey levels 0…1."""
    lower, upper = (0.0, 255.0) if sample.image.dtype == np.uint8 else spec.window_hu
    return resize(window(sample.image, lower, upper), spec.height, spec.width)


def statistics_of(greys: Sequence[np.ndarray]) -> np.ndarray:
    """(slices, STATISTICS) float64."""
    return np.array([[look(grey)[name] for name in STATISTICS] for grey in greys])


def learn_ranges(volumes: Sequence[np.ndarray]) -> dict[str, tuple[float, float]]:
    """Statistic -> the range over all ``volumes``, each as ``statistics_of`` gives it."""
    tail = 50 * (1 - MIDDLE)
    low = np.min([np.percentile(volume, tail, axis=0) for volume in volumes], axis=0)
    high = np.max([np.percentile(volume, 100 - tail, axis=0) for volume in volumes], axis=0)
    margin = np.maximum(WIDER * (high - low), LEAST)
    return {
        name: (float(a), float(b))
        for name, a, b in zip(STATISTICS, low - margin, high + margin, strict=True)
    }
