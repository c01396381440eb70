"""Figures that vary with the case and with the training: slices crossed with seeds.

Every seed has its own trainings, and each of them predicts every slice once. An interval over
slices alone asks what other slices would have shown of *these* networks; a claim about a method
needs what other trainings would have shown as well. Both are drawn here, independently of each
other (the pigeonhole bootstrap; Owen AB, Annals of Applied Statistics 2007;1:386–411), which errs
on the wide side. Seeds are few, and drawing S of S finds only (S − 1)/S of their variance: their
deviations are widened by that factor first (Davison AC, Hinkley DV, Bootstrap Methods, 1997, 3.8).
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from lungscore.statistics.bootstrap import RESAMPLES, SEED

#: A detectable effect: two-sided test at 5 %, found in four of five experiments.
LEVEL, POWER = 0.05, 0.8


@dataclass(frozen=True)
class Crossed:
    """A mean over seeds and slices with its 95 % interval over both.

    error: standard error, NaN of one slice. over_seeds: False where there is only one seed, so that
    the interval is over slices alone.
    """

    mean: float
    low: float
    high: float
    error: float
    seeds: int
    n: int

    @property
    def over_seeds(self) -> bool:
        """Whether the chance of training is in the interval."""
        return self.seeds > 1

    @property
    def detectable(self) -> float:
        """The smallest true effect that such an experiment shows in four of five repeats.

        (z(0.975) + z(0.8)) standard errors, about 2.8, at the variance that was observed.
        """
        return float(norm.ppf(1 - LEVEL / 2) + norm.ppf(POWER)) * self.error


def crossed_mean(values: np.ndarray) -> Crossed:
    """The mean of (seeds, slices) ``values`` over both; slices without a figure are left out."""
    values = np.asarray(values, np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    seeds, slices = values.shape
    if not slices:
        return _undefined(seeds)
    draws = crossed_draws(values)[0]
    low, high = np.percentile(draws, [2.5, 97.5])
    spread = float(draws.std()) if slices > 1 else float("nan")
    return Crossed(float(values.mean()), float(low), float(high), spread, seeds, slices)


def crossed_ratio(above: np.ndarray, below: np.ndarray) -> Crossed:
    """mean(above) / mean(below) of (seeds, slices) each, of the same networks and slices drawn."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    common = np.isfinite(above).all(axis=0) & np.isfinite(below).all(axis=0)
    above, below = above[:, common], below[:, common]
    if not above.shape[1]:
        return _undefined(len(above))
    drawn = crossed_draws(above, below)
    draws = drawn[0] / drawn[1]
    low, high = np.percentile(draws, [2.5, 97.5])
    ratio = float(above.mean() / below.mean())
    return Crossed(ratio, float(low), float(high), float(draws.std()), *above.shape)


def crossed_draws(*arrays: np.ndarray) -> list[np.ndarray]:
    """(RESAMPLES,) means of each of ``arrays`` (seeds, slices), of the same seeds and slices."""
    seeds, slices = arrays[0].shape
    generator = np.random.default_rng(SEED)
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES) / seeds
    of_slices = generator.multinomial(slices, np.full(slices, 1 / slices), RESAMPLES) / slices
    return [
        np.einsum("ds,sn,dn->d", of_seeds, _widened(a), of_slices, optimize=True) for a in arrays
    ]


def _undefined(seeds: int) -> Crossed:
    nothing = float("nan")
    return Crossed(nothing, nothing, nothing, nothing, seeds, 0)


def _widened(values: np.ndarray) -> np.ndarray:
    """Seeds' deviations from their mean, slice by slice, as large as those of a population."""
    seeds = len(values)
    if seeds == 1:
        return values
    middle = values.mean(axis=0)
    return np.asarray(middle + np.sqrt(seeds / (seeds - 1)) * (values - middle))
