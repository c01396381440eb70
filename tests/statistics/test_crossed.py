"""Intervals over slices and trainings together: widths, coverage, power."""

import numpy as np
import pytest

from lungscore.statistics import crossed
from lungscore.statistics.bootstrap import interval, mean_of
from lungscore.statistics.crossed import Crossed, crossed_draws, crossed_mean, crossed_ratio


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


def test_a_fortieth_of_the_draws_lies_on_either_side_of_an_interval():
    above, below = np.random.default_rng(5).uniform(1, 2, (2, 3, 30))
    ratios = np.divide(*crossed_draws(above, below))
    figures = (crossed_mean(above), crossed_draws(above)[0]), (crossed_ratio(above, below), ratios)
    for figure, draws in figures:
        assert (draws < figure.low).mean() == pytest.approx(0.025, abs=0.0006)
        assert (draws > figure.high).mean() == pytest.approx(0.025, abs=0.0006)
        assert figure.error == pytest.approx(draws.std())


def test_seeds_deviate_as_those_of_a_population_each_to_its_own_side():
    """Three trainings, of which one differs by 1: drawn alone in 1 of 27, not at all in 8 of 27."""
    figure = crossed_mean(np.repeat([[0.0], [0.0], [1.0]], 20, axis=1))
    low, high = 1 / 3 - np.sqrt(3 / 2) / 3, 1 / 3 + np.sqrt(3 / 2) * 2 / 3
    assert (figure.low, figure.high) == pytest.approx((low, high))
    assert figure.error == pytest.approx(np.std([0, 0, 1], ddof=1) / np.sqrt(3), rel=0.05)


def test_a_detectable_effect_is_the_error_times_both_quantiles():
    """1.959964 for two-sided 5 % and 0.841621 for 80 %: tables of the normal distribution."""
    assert Crossed(0, 0, 0, 0.5, 3, 9).detectable == pytest.approx(0.5 * 2.801585, abs=1e-6)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_one_seed_leaves_out_the_chance_of_training_and_one_slice_has_no_error(seeds):
    values = np.random.default_rng(6).normal(size=(seeds, 2))
    assert crossed_mean(values).over_seeds is (seeds > 1)
    assert crossed_mean(values).error > 0
    alone = crossed_mean(values[:, :1])
    assert np.isnan([alone.error, alone.detectable]).all()
    assert (alone.n, alone.mean) == (1, pytest.approx(values[:, 0].mean()))


def test_a_ratio_is_of_the_slices_that_all_networks_have_a_figure_of_above_and_below():
    above, below = np.full((2, 4), 3.0), np.full((2, 4), 2.0)
    above[0, 0], below[1, 1] = np.nan, np.nan
    figure = crossed_ratio(above, below)
    assert (figure.mean, figure.low, figure.high) == (1.5, 1.5, 1.5)
    assert (figure.seeds, figure.n) == (2, 2)


def test_without_a_slice_there_is_no_figure_but_still_its_seeds():
    nothing = np.full((3, 4), np.nan)
    for figure in (crossed_mean(nothing), crossed_ratio(nothing, np.ones((3, 4)))):
        assert (figure.seeds, figure.n) == (3, 0)
        assert np.isnan([figure.mean, figure.low, figure.high, figure.detectable]).all()


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """As many as these tests can tell apart."""
    monkeypatch.setattr(crossed, "RESAMPLES", 2000)
