"""Intervals over slices and trainings together: widths, coverage, power."""

import numpy as np
import pytest

from lungscore.statistics import crossed
from lungscore.statistics.bootstrap import interval, mean_of
from lungscore.statistics.crossed import crossed_mean, crossed_ratio


def simulated(rng, *, seeds, slices, of_seed, of_slice, noise=0.0, effect=0.0):
    """(seeds, slices) differences with a known standard deviation of either."""
    values = effect + rng.normal(0, of_slice, slices) + rng.normal(0, of_seed, (seeds, 1))
    return values + rng.normal(0, noise, (seeds, slices))


def test_of_one_seed_it_is_the_bootstrap_over_slices():
    values = np.random.default_rng(0).normal(size=(1, 50))
    ours = crossed_mean(values)
    assert (ours.low, ours.high) == pytest.approx(interval(mean_of(values[0]), 50), abs=0.02)
    assert not ours.over_seeds


def test_trainings_that_disagree_widen_the_interval_and_equal_ones_do_not():
    rng = np.random.default_rng(1)
    same = simulated(rng, seeds=3, slices=50, of_seed=0, of_slice=0.05)
    apart = same + np.array([[-0.05], [0.0], [0.05]])
    widths = [figure.high - figure.low for figure in map(crossed_mean, (same, apart))]
    alone = interval(mean_of(same.mean(axis=0)), 50)
    assert widths[0] == pytest.approx(alone[1] - alone[0], rel=0.05)
    assert widths[1] > 2.5 * widths[0]


def test_the_standard_error_is_that_of_repeated_experiments():
    """Seeds 0.02, slices 0.05, network by slice 0.03: the error of a mean of 3 x 40 is known."""
    rng = np.random.default_rng(2)
    true = np.sqrt(0.02**2 / 3 + 0.05**2 / 40 + 0.03**2 / 120)
    told = [
        crossed_mean(
            simulated(rng, seeds=3, slices=40, of_seed=0.02, of_slice=0.05, noise=0.03)
        ).error ** 2
        for _ in range(40)
    ]  # fmt: skip
    assert np.sqrt(np.mean(told)) == pytest.approx(true, rel=0.25)


def test_a_detectable_effect_is_found_in_about_four_of_five_experiments():
    rng = np.random.default_rng(3)
    known = {"seeds": 6, "slices": 40, "of_seed": 0.01, "of_slice": 0.05}
    effect = crossed_mean(simulated(rng, **known)).detectable
    shown = [crossed_mean(simulated(rng, effect=effect, **known)).low > 0 for _ in range(60)]
    assert 0.6 < np.mean(shown) <= 1


def test_slices_without_a_figure_are_left_out_and_none_is_no_figure():
    values = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    assert (crossed_mean(values).mean, crossed_mean(values).n) == (2.0, 2)
    assert np.isnan(crossed_mean(np.full((2, 3), np.nan)).low)


def test_a_ratio_draws_the_same_slices_above_and_below():
    below = np.random.default_rng(4).uniform(0.1, 2, (2, 30))
    halved = crossed_ratio(0.5 * below, below)
    assert (halved.mean, halved.low, halved.high) == pytest.approx((0.5, 0.5, 0.5))


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """As many as these tests can tell apart."""
    monkeypatch.setattr(crossed, "DRAWS", 2000)
