"""How numbers enter a model: transformed, then standardised as in the cases it learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lungscore.patients.features import FEATURES, Transform


@dataclass(frozen=True)
class Standard:
    """names, transforms: (p,). mean, scale: (p,) of the transformed numbers; scale is above 0."""

    names: tuple[str, ...]
    transforms: tuple[Transform, ...]
    mean: np.ndarray
    scale: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(n, p) standardised numbers of (n, p) raw ones."""
        return (_transformed(values, self.transforms) - self.mean) / self.scale


def learn_standard(names: Sequence[str], values: np.ndarray) -> Standard:
    """Mean and standard deviation of each of ``names`` in (n, p) raw values.

    A number that never differs keeps the scale 1: it says nothing, and does no harm.
    """
    transforms: tuple[Transform, ...] = tuple(FEATURES.get(name, "none") for name in names)
    given = _transformed(values, transforms)
    spread = given.std(axis=0)
    spread[spread < 1e-9] = 1.0
    return Standard(tuple(names), transforms, given.mean(axis=0), spread)


def _transformed(values: np.ndarray, transforms: Sequence[Transform]) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return np.where([how == "log1p" for how in transforms], np.log1p(np.maximum(values, 0)), values)
