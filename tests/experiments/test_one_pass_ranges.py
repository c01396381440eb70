"""Thresholds of ranges: chosen by their rules, and measured on folds that did not choose them."""

import numpy as np
import pytest

from held_out_readings import Readings
from lungscore.inference.readings import READINGS
from one_pass_ranges import (
    ENOUGH,
    LEVELS,
    LOWER,
    MIRRORED,
    ONE,
    SHIPPED,
    UPPER,
    Percents,
    against,
    as_narrow,
    as_wide,
    enough,
    figures,
    out_of_fold,
    percents_of,
)


def percents(offsets: list[float], slope: float = 20.0, spread: float = 0.0) -> Percents:
    """Slices whose infected percent falls with the level by ``slope`` points from 0 to 1.

    offsets: how many points more than at 0.5 radiologists drew. spread: how many points more or
    less the second and the third reading find.
    """
    levels = 50 + slope * (0.5 - np.array(LEVELS))
    found = levels[None, :, None] + np.array([0, spread, -spread])
    return Percents(np.repeat(found, len(offsets), axis=0), 50 + np.array(offsets, float))


def test_a_range_goes_from_the_upper_threshold_to_the_lower():
    ranges = percents([0, 3, -30]).ranges((0.2, 0.9), ONE)
    np.testing.assert_allclose(ranges.low, 42)
    np.testing.assert_allclose(ranges.high, 56)
    assert ranges.contains.tolist() == [True, True, False]
    told = figures(ranges)
    assert (told["drawn_below"], told["drawn_above"]) == (1, 0)
    assert told["contains"]["share"] == pytest.approx(2 / 3)
    assert told["width_points"]["mean"] == pytest.approx(14)


def test_further_readings_widen_a_range():
    slices = percents([9], spread=4)
    widths = [slices.ranges(SHIPPED, n).width[0] for n in (ONE, MIRRORED, READINGS)]
    np.testing.assert_allclose(widths, [12, 16, 20])
    assert not slices.ranges(SHIPPED, ONE).contains
    difference = against(slices.ranges(SHIPPED, ONE), slices.ranges(SHIPPED, READINGS))
    assert difference["width_less_three"]["mean"] == pytest.approx(-8)
    assert not difference["as_good"]


def test_enough_is_the_narrowest_pair_that_contains_so_many():
    # Four of five lie within −2 and +4 points, which the levels 0.6 and 0.3 reach.
    slices = percents([0, 4, -2, 1, 90] * 4)
    pair = enough(slices, slices, ONE)
    assert pair == (0.3, 0.6)
    assert slices.ranges(pair, ONE).contains.mean() >= ENOUGH
    hopeless = percents([90] * 5)
    assert enough(hopeless, hopeless, ONE) == (LOWER[0], UPPER[0])


def test_as_narrow_spends_the_width_of_three_readings_where_most_is_drawn():
    # Three readings: 12 + 2 · 3 = 18 points about 50. One reading may go as far on a single side.
    slices = percents([9, 9, 8, -3, 0], spread=3)
    pair = as_narrow(slices, slices, ONE)
    ranges = slices.ranges(pair, ONE)
    assert ranges.contains.all()
    assert ranges.width.mean() == pytest.approx(18)  # the widest of those that contain all
    assert not slices.ranges((0.06, 0.94), ONE).contains.all()  # as wide, but even on both sides
    # Crops whose three readings agree hold it back: 12 points there.
    lower, upper = as_narrow(slices, percents([0]), ONE)
    assert upper - lower <= 0.6 + 1e-9


def test_as_wide_spends_it_evenly_whatever_is_drawn():
    # Even ranges of one reading are 20 points from 0 to 1; three readings have 12 + 2 · 3 = 18.
    for offsets in ([0.0], [90.0]):
        slices = percents(offsets, spread=3)
        assert as_wide(slices, slices, ONE) == (0.06, 0.94)
    assert as_wide(slices, percents([0]), ONE) == SHIPPED


def test_no_slice_is_measured_by_thresholds_that_it_chose():
    offsets = np.array([0.0] * 40 + [8.0] * 10)
    slices, folds = percents(list(offsets)), np.repeat(range(5), 10)
    measured = out_of_fold(enough, slices, slices, folds, ONE)
    # The last fold alone is off by 8 points, and the others cannot know.
    assert measured["full_slice"]["contains"]["share"] == pytest.approx(0.8)
    assert measured["full_slice"]["drawn_above"] == 10
    assert measured["pairs_of_the_other_folds"][4] == (LOWER[-1], UPPER[-1])


def test_percents_are_of_what_counts_and_all_that_is_drawn():
    probability = np.full((READINGS, 2, 2), 0.3, np.float32)
    probability[1:] = 0.7
    counted = np.array([[True, True], [False, False]])
    drawn = np.array([[True, False], [True, False]])
    found = percents_of([Readings(probability, counted, drawn)])
    assert found.drawn == pytest.approx(100)
    assert found.found[0, LEVELS.index(0.5)].tolist() == [0, 100, 100]
    assert found.found[0, LEVELS.index(0.3)].tolist() == [100, 100, 100]
