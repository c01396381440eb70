"""Costs as straight lines, and ratios."""

import numpy as np
import pytest
from scipy.stats import linregress

from estimates import ratio, straight_line

SLICES = np.repeat([25, 50, 100, 200, 300, 400, 800], 3)


def test_the_line_finds_planted_costs() -> None:
    found = straight_line(SLICES, 2.5 + 0.031 * SLICES)
    for key, planted in (("per_scan", 2.5), ("per_slice", 0.031)):
        assert [found[key][each] for each in ("value", "low", "high")] == pytest.approx(
            [planted] * 3
        )
    assert found["r2"] == pytest.approx(1)
    assert found["n"] == 21


def test_the_line_of_noisy_runs_is_that_of_scipy_and_its_interval_holds_what_was_planted() -> None:
    values = 2.5 + 0.031 * SLICES + np.random.default_rng(0).normal(0, 0.4, SLICES.size)
    found, expected = straight_line(SLICES, values), linregress(SLICES, values)
    assert found["per_scan"]["value"] == pytest.approx(expected.intercept)
    assert found["per_slice"]["value"] == pytest.approx(expected.slope)
    assert found["r2"] == pytest.approx(expected.rvalue**2)
    for key, planted in (("per_scan", 2.5), ("per_slice", 0.031)):
        low, high = found[key]["low"], found[key]["high"]
        assert low < found[key]["value"] < high
        assert low < planted < high


def test_one_number_of_slices_makes_no_line() -> None:
    with pytest.raises(ValueError, match="two numbers of slices"):
        straight_line([25, 25], [1.0, 2.0])


def test_a_ratio_is_taken_inside_each_repeat() -> None:
    # The machine is ten times slower in the second repeat, for both alike.
    found = ratio([6.0, 60.0, 6.3], [2.0, 20.0, 2.1])
    assert [found[key] for key in ("p50", "low", "high")] == pytest.approx([3.0] * 3)
    assert found["n"] == 3


def test_a_ratio_says_how_much_repeats_differ() -> None:
    found = ratio([2.0, 3.0, 5.0], [1.0, 1.0, 1.0])
    assert (found["p50"], found["low"], found["high"]) == (3.0, 2.0, 5.0)
