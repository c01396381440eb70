"""Calibration and the operating point, against independent oracles."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_curve

from lungscore.statistics.bootstrap import estimate
from lungscore.statistics.calibration import (
    brier_of,
    calibration,
    intercept_of,
    operating_point,
    reliability,
    slope_of,
)


def predictions(n=400, seed=1, slope=1.0, intercept=0.0):
    """Probabilities, and outcomes whose true log odds are intercept + slope · logit."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1.5, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-(intercept + slope * logit)))
    return 1 / (1 + np.exp(-logit)), truth


def value(statistic, n):
    return statistic(np.ones((1, n)))[0]


def test_the_brier_score_is_that_of_scikit_learn():
    probability, truth = predictions()
    assert value(brier_of(probability, truth), 400) == pytest.approx(
        brier_score_loss(truth, probability)
    )


def test_the_slope_is_that_of_an_unpenalised_logistic_regression():
    probability, truth = predictions(slope=0.5)
    logit = np.log(probability / (1 - probability))
    fitted = LogisticRegression(C=np.inf, tol=1e-10).fit(logit[:, None], truth)
    found = value(slope_of(probability, truth), 400)
    assert found == pytest.approx(fitted.coef_[0, 0], abs=1e-4)


def test_the_intercept_maximises_the_likelihood_with_the_slope_held_at_one():
    probability, truth = predictions(intercept=0.7)
    logit = np.log(probability / (1 - probability))

    def loss(a):
        return np.log1p(np.exp(-(a[0] + logit) * np.where(truth, 1, -1))).sum()

    found = value(intercept_of(probability, truth), 400)
    assert found == pytest.approx(minimize(loss, [0.0]).x[0], abs=1e-4)


def test_weights_count_cases_as_often_as_they_say():
    probability, truth = predictions(60)
    often = np.random.default_rng(2).integers(0, 4, 60)
    repeated = np.repeat(probability, often), np.repeat(truth, often)
    for statistic in (brier_of, slope_of, intercept_of):
        weighted = statistic(probability, truth)(often[None].astype(float))[0]
        assert weighted == pytest.approx(value(statistic(*repeated), often.sum()), abs=1e-7)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.6, 0.0), (1.0, 0.8)])
def test_intervals_hold_what_the_outcomes_were_drawn_with(slope, intercept):
    probability, truth = predictions(3000, slope=slope, intercept=intercept)
    found = calibration(probability, truth, range(3000))
    assert found.slope.low < slope < found.slope.high
    assert (found.slope.low < 1 < found.slope.high) == (slope == 1)
    if slope == 1:
        assert found.intercept.low < intercept < found.intercept.high
        assert (found.intercept.low < 0 < found.intercept.high) == (intercept == 0)


@pytest.mark.parametrize("truth", [[False, False, True, True], [True] * 4, [False] * 4])
def test_without_a_line_the_reason_is_said(truth):
    found = calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array(truth), range(4))
    assert found.slope.value is None
    assert "class" in (found.slope.reason or "")
    assert found.brier.value is not None


def test_probabilities_of_zero_and_one_have_a_line():
    found = value(slope_of([0, 0, 0.5, 1, 1], np.array([0, 1, 1, 1, 0]) > 0), 5)
    assert np.isfinite(found)


def test_the_reliability_table_holds_every_case_once():
    probability, truth = predictions(403)
    table = reliability(probability, truth, range(403))
    assert len(table) == 10
    assert sum(b.observed.n for b in table) == 403
    assert all(b.low <= b.predicted <= b.high for b in table)
    assert all(a.high < b.low for a, b in pairwise(table))
    positives = sum(b.observed.value * b.observed.n for b in table)
    assert positives == pytest.approx(truth.sum())


def test_equal_probabilities_stay_in_one_bin():
    (only,) = reliability(np.full(20, 0.3), np.arange(20) < 6, range(20))
    assert (only.low, only.high, only.observed.value) == (0.3, 0.3, pytest.approx(0.3))
    two = reliability(np.repeat([0.1, 0.9], 10), np.arange(20) < 6, range(20))
    assert [b.observed.n for b in two] == [10, 10]


def test_the_operating_point_has_the_largest_youden_index():
    score, truth = predictions(300, seed=3)
    sensitivity, specificity = _at(score, truth, operating_point(score, truth))
    fpr, tpr, _ = roc_curve(truth, score)
    assert sensitivity + specificity - 1 == pytest.approx((tpr - fpr).max())


def test_the_operating_point_lies_between_parted_classes():
    assert operating_point([0.1, 0.2, 0.6, 0.9], np.array([0, 0, 1, 1])) == pytest.approx(0.4)
    assert operating_point([0.3, 0.3], np.array([0, 1])) == pytest.approx(0.3)


def test_of_equal_points_the_most_sensitive_is_taken():
    # Called from 1 on: sensitivity 1, specificity 1/2; from 3 on: 1/2 and 1.
    score, truth = np.array([0, 1, 2, 3]), np.array([0, 1, 0, 1]) > 0
    assert operating_point(score, truth) == pytest.approx(0.5)


def _at(score, truth, threshold):
    called = score >= threshold
    return called[truth].mean(), (~called[~truth]).mean()


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_an_operating_point_needs_both_classes(truth):
    with pytest.raises(ValueError, match="both classes"):
        operating_point([0.1, 0.2], np.array(truth))


@pytest.mark.parametrize("probability", [[0.5, 1.2], [0.5, np.nan], [0.5]])
def test_what_is_no_probability_is_refused(probability):
    with pytest.raises(ValueError):
        calibration(np.array(probability), np.array([True, False]), range(2))


def test_the_interval_is_over_patients_not_over_their_cases():
    probability, truth = predictions(100)
    alone = estimate(brier_of(probability, truth), range(100))
    copied = estimate(brier_of(np.tile(probability, 5), np.tile(truth, 5)), list(range(100)) * 5)
    assert (copied.value, copied.low, copied.high) == pytest.approx(
        (alone.value, alone.low, alone.high)
    )
    assert copied.n == 500
