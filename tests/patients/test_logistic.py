"""Logistic regression: what was planted is found, and applied as it was fitted."""

import numpy as np
import pytest
from scipy.optimize import minimize

from lungscore.patients.logistic import STRENGTH, fit_logistic, sigmoid
from tests.patients.made_up import detection


def drawn(n=4000, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal([0, 5, 40], [1, 2, 10], (n, 3))
    chance = sigmoid(-1 + values @ [1.0, -0.5, 0.05])
    return values, rng.random(n) < chance


def test_the_penalised_likelihood_is_maximised():
    values, positive = drawn(300)
    model = fit_logistic(["a", "b", "c"], values, positive)
    x, sign = model.standard.apply(values), np.where(positive, 1, -1)

    def loss(p):
        return np.logaddexp(0, -sign * (p[0] + x @ p[1:])).sum() + p[1:] @ p[1:] / (2 * STRENGTH)

    best = minimize(loss, np.zeros(4)).x
    assert [model.intercept, *model.coefficients] == pytest.approx(best, abs=1e-3)


def test_planted_coefficients_are_found():
    model = fit_logistic(["a", "b", "c"], *drawn())
    unscaled = model.coefficients / model.standard.scale
    assert unscaled == pytest.approx([1.0, -0.5, 0.05], rel=0.2)


def test_numbers_that_say_the_same_share_the_weight():
    values, positive = drawn(300)
    twice = np.column_stack([values[:, 0], values[:, 0]])
    model = fit_logistic(["a", "b"], twice, positive)
    assert model.coefficients[0] == pytest.approx(model.coefficients[1])
    alone = fit_logistic(["a"], values[:, :1], positive)
    together = model.probability(twice)
    assert together == pytest.approx(alone.probability(values[:, :1]), abs=0.02)


def test_classes_that_are_parted_have_finite_coefficients():
    values = np.arange(40.0)[:, None]
    model = fit_logistic(["a"], values, values[:, 0] >= 20)
    assert np.isfinite(model.coefficients).all()
    assert model.probability(values)[[0, -1]] == pytest.approx([0, 1], abs=0.1)


def test_the_sigmoid_does_not_overflow():
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e4, 0, 1e4])).tolist() == [0, 0.5, 1]


def test_collinear_features_of_made_up_scans_do_not_break_the_fit():
    cohort = detection()
    names = ("infection_percent", "peak_slice_percent")
    values = np.log1p(cohort.columns(names))
    assert np.corrcoef(values.T)[0, 1] > 0.97
    model = fit_logistic(names, cohort.columns(names), cohort.classes == 1)
    assert np.isfinite(model.probability(cohort.columns(names))).all()
