"""The toolbox's measures against the same definitions, written out slowly."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis.extra import numpy as arrays

from lungscore.evaluation.infection import score_slice
from lungscore.evaluation.toolbox import (
    THRESHOLDS,
    best_threshold,
    s_measure,
    stretched,
    threshold_curves,
)
from tests.evaluation import slow_toolbox

SHAPE = (5, 6)
EMPTY, FULL, BLACK = np.zeros(SHAPE, bool), np.ones(SHAPE, bool), np.zeros(SHAPE, np.uint8)
masks = arrays.arrays(bool, SHAPE)
greys = arrays.arrays(np.uint8, SHAPE)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@settings(max_examples=50, deadline=None)
@given(greys, masks)
@example(BLACK, EMPTY)
@example(BLACK, FULL)
@example(BLACK + 255, EMPTY)
@example(BLACK + 255, FULL)
@example(np.eye(5, 6).astype(np.uint8) * 255, np.eye(5, 6, k=5).astype(bool))
def test_every_measure_agrees_with_its_definition(grey, truth):
    row = score_slice("a", grey / 255, truth).row
    for key, expected in slow_toolbox.scores(grey, truth).items():
        assert row[key] == pytest.approx(expected, abs=1e-9), key


@settings(max_examples=25, deadline=None)
@given(greys, masks)
def test_measures_are_bounded(grey, truth):
    curves = threshold_curves(grey / 255, truth)
    for key, curve in curves.items():
        assert curve.shape == THRESHOLDS.shape
        # The E-measure divides a sum of N terms by N − 1.
        assert (curve >= 0).all()
        assert (curve <= (30 / 29 + 1e-12 if key == "e_measure" else 1)).all()
    assert 0 <= s_measure(grey / 255, truth) <= 1 + 1e-12


@settings(max_examples=25, deadline=None)
@given(greys, masks)
def test_curves_do_not_change_when_both_are_flipped(grey, truth):
    curves = threshold_curves(grey / 255, truth)
    for key, curve in threshold_curves(grey[::-1, ::-1] / 255, truth[::-1, ::-1]).items():
        np.testing.assert_array_equal(curve, curves[key])


@settings(max_examples=25, deadline=None)
@given(greys, masks)
def test_the_s_measure_does_not_change_when_both_are_transposed(grey, truth):
    # A flip may change it: the centroid's own row and column belong to one side.
    assert s_measure(grey / 255, truth) == pytest.approx(s_measure(grey.T / 255, truth.T))


def test_a_perfect_map_is_perfect_at_every_threshold_but_the_last():
    truth = np.zeros((20, 20), bool)
    truth[:5] = True
    curves = threshold_curves(truth.astype(float), truth)
    # Only threshold 0, where everything counts as infected, keeps it from 1.
    assert curves["dice"].mean() == pytest.approx((255 + 0.4) / 256)
    assert curves["specificity"].mean() == pytest.approx(255 / 256)
    assert (curves["sensitivity"] == 1).all()
    assert curves["e_measure"][:-1] == pytest.approx(400 / 399)
    assert s_measure(truth.astype(float), truth) == pytest.approx(1)


def test_without_overlap_even_the_specificity_is_zero():
    curves = threshold_curves(np.zeros(SHAPE), EMPTY)
    assert all((curves[key] == 0).all() for key in ("dice", "sensitivity", "specificity"))
    assert threshold_curves(np.zeros((20, 20)), np.eye(20, dtype=bool))["dice"][:-1].max() == 0


def test_a_constant_map_is_not_stretched():
    np.testing.assert_array_equal(stretched(np.full(SHAPE, 0.25)), np.full(SHAPE, 0.25))


def test_the_best_threshold_is_that_of_the_mean_over_slices():
    first, second = np.zeros(256), np.zeros(256)
    first[10], first[20], second[20] = 0.9, 0.6, 0.6
    assert best_threshold([first, second]) == (0.6, pytest.approx(235 / 255))
