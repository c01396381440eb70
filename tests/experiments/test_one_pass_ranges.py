"""Thresholds of ranges: chosen by their rule, and measured on folds that did not choose them."""

import numpy as np
import pytest

from one_pass_ranges import (
    ENOUGH,
    FOLDS,
    LEVELS,
    LOWER,
    MIRRORED,
    THREE,
    UPPER,
    Figures,
    chosen,
    one_less_three,
    out_of_fold,
    spans,
    told,
)


def seen(offsets: list[float], slope: float = 20.0) -> list[Figures]:
    """Slices whose infected percent falls with the level, by ``slope`` points from 0 to 1, and in
    which radiologists drew ``offset`` points more than at 0.5."""
    percents = np.array([[50 + slope * (0.5 - level)] * THREE for level in LEVELS])
    dice = np.ones(len(LEVELS))
    return [Figures(percents, dice, 50 + offset) for offset in offsets]


def test_a_range_goes_from_the_upper_threshold_to_the_lower_one():
    found = spans(seen([0, 3, -30]), (0.2, 0.9))
    np.testing.assert_allclose(found.low, 42)
    np.testing.assert_allclose(found.high, 56)
    np.testing.assert_allclose(found.width, 14)
    assert found.holds.tolist() == [True, True, False]
    figures = told(found)
    assert (figures["drawn_below"], figures["drawn_above"]) == (1, 0)
    assert figures["holds"]["share"] == pytest.approx(2 / 3)


def test_further_maps_widen_it():
    (plain,) = seen([9])  # drawn 59, and 56 at 0.2
    several = plain._replace(percents=plain.percents + np.array([0.0, 5.0, -3.0]))
    width = spans([several], (0.2, 0.8)).width
    assert spans([several], (0.2, 0.8), MIRRORED).width == pytest.approx(width + 5)
    assert spans([several], (0.2, 0.8), THREE).width == pytest.approx(width + 8)
    less = one_less_three([several, plain])
    assert less["width_points"]["mean"] == pytest.approx(-4)
    assert less["holds"]["mean"] == pytest.approx(-0.5)  # 61 is the upper end in three views


def test_the_narrowest_pair_that_holds_enough_is_chosen():
    # 4 of 5 lie within −2 and +4 points, which the levels 0.6 and 0.3 reach.
    offsets = [0, 4, -2, 1, 90] * 4
    pair = chosen(seen(offsets))
    assert pair == (0.3, 0.6)
    assert spans(seen(offsets), pair).holds.mean() >= ENOUGH
    assert chosen(seen([90] * 5)) == (LOWER[0], UPPER[0])  # none holds enough: the widest


def test_no_slice_is_measured_at_thresholds_that_it_chose():
    slices = seen([0.0] * 40 + [8.0] * 10)
    folds = [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10 + [4] * 10
    figures = out_of_fold(slices, slices, folds)
    # The odd fold is held by the pair of the others at no place, though 0.1 would hold it.
    assert len(figures["pairs"]) == FOLDS
    assert figures["holds"]["share"] == pytest.approx(0.8)
    assert figures["drawn_above"] == 10
