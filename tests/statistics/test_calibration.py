"""Calibration and the operating point, against independent oracles."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_curve

from lungscore.statistics import bootstrap
from lungscore.statistics.bootstrap import estimate, rate
from lungscore.statistics.calibration import (
    _fitted,
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
    slope = value(slope_of(probability, truth), 400)
    assert slope == pytest.approx(fitted.coef_[0, 0], abs=1e-4)


def test_the_intercept_maximises_the_likelihood_with_the_slope_held_at_one():
    probability, truth = predictions(intercept=0.7)
    logit = np.log(probability / (1 - probability))

    def loss(a):
        return np.log1p(np.exp(-(a[0] + logit) * np.where(truth, 1, -1))).sum()

    intercept = value(intercept_of(probability, truth), 400)
    assert intercept == pytest.approx(minimize(loss, [0.0]).x[0], abs=1e-4)


def test_weights_count_cases_as_often_as_they_say():
    probability, truth = predictions(60)
    often = np.random.default_rng(2).integers(0, 4, 60)
    repeated = np.repeat(probability, often), np.repeat(truth, often)
    for statistic in (brier_of, slope_of, intercept_of):
        weighted = statistic(probability, truth)(often[None].astype(float))[0]
        assert weighted == pytest.approx(value(statistic(*repeated), often.sum()), abs=1e-7)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.6, 0.0), (1.0, 0.8)])
def test_intervals_hold_what_the_outcomes_were_drawn_with(slope, intercept, monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 200)
    probability, truth = predictions(3000, slope=slope, intercept=intercept)
    line = calibration(probability, truth, range(3000))
    assert line.slope.low < slope < line.slope.high
    assert (line.slope.low < 1 < line.slope.high) == (slope == 1)
    if slope == 1:
        assert line.intercept.low < intercept < line.intercept.high
        assert (line.intercept.low < 0 < line.intercept.high) == (intercept == 0)


@pytest.mark.parametrize("truth", [[False, False, True, True], [True] * 4, [False] * 4])
def test_without_a_line_the_reason_is_said(truth):
    line = calibration(np.array([0.1, 0.2, 0.8, 0.9]), np.array(truth), range(4))
    assert line.slope.value is None
    assert "class" in (line.slope.reason or "")
    assert line.brier.value is not None


def test_probabilities_of_zero_and_one_have_a_line():
    slope = value(slope_of([0, 0, 0.5, 1, 1], np.array([0, 1, 1, 1, 0]) > 0), 5)
    assert np.isfinite(slope)


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


def test_probabilities_of_zero_and_one_count_as_a_millionth_beside_them():
    probability, truth = np.array([0, 0, 0.5, 1, 1, 0.2]), np.array([0, 1, 1, 1, 0, 0]) > 0
    inside = np.array([1e-6, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-6, 0.2])
    line = slope_of(probability, truth)
    assert value(line, 6) == pytest.approx(value(slope_of(inside, truth), 6), abs=1e-12)
    nearer = np.clip(probability, 2e-6, 1 - 1e-6)
    assert value(line, 6) != pytest.approx(value(slope_of(nearer, truth), 6), abs=1e-9)
    nearer = np.clip(probability, 1e-6, 1 - 1.05e-6)
    assert value(line, 6) != pytest.approx(value(slope_of(nearer, truth), 6), abs=1e-12)
    nearer = np.clip(probability, 1.1e-6, 1 - 1e-6)
    assert value(line, 6) != pytest.approx(value(slope_of(nearer, truth), 6), abs=1e-12)


def test_a_threshold_that_calls_everybody_is_the_lowest_score():
    assert operating_point([0.1, 0.9], np.array([True, False])) == 0.1
    assert operating_point([0.2, 0.4, 0.9], np.array([True, False, False])) == 0.2


def test_the_interval_of_a_bin_is_over_its_own_patients():
    probability = np.array([0.1] * 6 + [0.9] * 6)
    positive = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 0]) > 0
    patients = list("aaaaaa") + list("bcdefg")
    lower, upper = reliability(probability, positive, patients)
    assert lower.observed == rate(positive[:6], patients[:6])
    assert upper.observed == rate(positive[6:], patients[6:])
    # One patient tells less than six.
    assert lower.observed.high - lower.observed.low > upper.observed.high - upper.observed.low


@pytest.mark.parametrize("shape", [(2, 2), (1, 4)])
def test_a_table_of_probabilities_is_refused(shape):
    with pytest.raises(ValueError, match="one probability a case"):
        brier_of(np.full(shape, 0.5), np.zeros(shape, bool))


@pytest.mark.parametrize("free", [True, False])
def test_every_draw_that_has_a_maximum_reaches_it(free):
    """Far and near predictions, many draws at once: the likelihood's gradient is zero."""
    rng = np.random.default_rng(4)
    logit = np.concatenate([rng.normal(0, 1, 24), [-12, -9, 8, 11, 13, -13]])
    truth = rng.random(30) < 1 / (1 + np.exp(-(0.3 * logit - 1.5)))
    truth[24:28] = True, False, True, False
    probability = 1 / (1 + np.exp(-logit))
    weights = rng.integers(0, 3, (60, 30)).astype(float)
    weights[:, 24:28] = np.maximum(weights[:, 24:28], 1)  # the classes overlap in every draw
    values = (slope_of if free else intercept_of)(probability, truth)(weights)
    assert np.isfinite(values).all()
    for weight, value_found in zip(weights, values, strict=True):
        if not free:
            rest = weight * (truth - 1 / (1 + np.exp(-(value_found + logit))))
            assert rest.sum() == pytest.approx(0, abs=1e-6)
            continue

        def loss(line, weight=weight):
            z = (line[0] + line[1] * logit) * np.where(truth, 1, -1)
            return (weight * np.logaddexp(0, -z)).sum()

        best = minimize(loss, [0.0, 0.0], options={"gtol": 1e-9})
        assert value_found == pytest.approx(best.x[1], abs=1e-4)


@pytest.mark.parametrize("draws", [1, 40])
def test_steps_end_where_the_likelihood_is_flat(draws):
    """Few cases at steep and at moved lines, where unshortened steps leave for infinity."""
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(2, 1, 20), rng.normal(-9, 4, 6)])
    y = (rng.random(26) < 1 / (1 + np.exp(-2 * (x - 1.5)))).astype(float)
    y[:4], x[:4] = (0, 1, 0, 1), (1.5, 1.4, 2.1, 2.0)  # the classes overlap
    weights = rng.integers(0, 3, (draws, 26)).astype(float)
    weights[:, :4] += 1
    line = _fitted(x, y, weights)
    assert np.isfinite(line).all()
    rest = weights * (y - 1 / (1 + np.exp(-(line[:, :1] + line[:, 1:] * x))))
    assert rest.sum(axis=1) == pytest.approx(np.zeros(draws), abs=1e-9)
    assert rest @ x == pytest.approx(np.zeros(draws), abs=1e-9)


def test_steps_from_afar_are_shortened():
    """All chances are near 1 at the start: a whole step would leave for infinity."""
    x = np.array([7.3, 11.2, 9.4, 7.5, 12.7, 25.0, 8.9, 4.5])
    y = np.array([1.0, 0, 1, 0, 0, 0, 0, 1])
    weights = np.array([[1.0, 1, 2, 2, 2, 1, 2, 50]])
    line = _fitted(x, y, weights, slope_free=False)
    rest = weights * (y - 1 / (1 + np.exp(-(line[:, :1] + x))))
    assert rest.sum() == pytest.approx(0, abs=1e-9)
