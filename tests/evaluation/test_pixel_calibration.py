"""Calibration of pixels, against scikit-learn, by hand and on data of a known temperature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from lungscore.evaluation.pixel_calibration import (
    BINS,
    fit_temperature,
    reliability,
    tempered,
)


def made_up(seed: int, temperature: float = 1.0, shape=(60, 80)):
    """Probabilities that are right, and then made too sure (above 1) or not sure enough."""
    rng = np.random.default_rng(seed)
    right = 1 / (1 + np.exp(-rng.normal(-1.5, 2.5, shape)))
    truth = rng.random(shape) < right
    return tempered(right, 1 / temperature), truth


@given(st.floats(0, 1, width=32), st.floats(0.3, 4))
def test_tempered_is_the_sigmoid_of_the_divided_logit(probability, temperature):
    answer = float(tempered(np.float32(probability), temperature))
    if probability in (0, 1):
        assert answer == probability
    else:
        p = float(np.float32(probability))
        expected = 1 / (1 + np.exp(-(np.log(p) - np.log1p(-p)) / temperature))
        assert answer == pytest.approx(expected, abs=2e-6)
    assert tempered(np.float32(0.5), temperature) == 0.5


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
def test_a_known_temperature_is_recovered(temperature):
    slices = [made_up(seed, temperature) for seed in range(6)]
    assert fit_temperature(slices) == pytest.approx(temperature, rel=0.06)


def test_no_other_temperature_has_a_lower_loss():
    slices = [made_up(seed, 1.6) for seed in range(3)]
    best = fit_temperature(slices)

    def loss(temperature):
        return np.mean([log_loss(t.ravel(), tempered(p, temperature).ravel()) for p, t in slices])

    assert loss(best) <= min(loss(best * factor) for factor in (0.8, 0.95, 1.05, 1.25))


def test_slices_count_alike_whatever_their_size():
    large, small = made_up(0, 2.0, (200, 200)), made_up(1, 0.7, (20, 20))
    repeated = tuple(np.tile(array, (10, 1)) for array in small)
    assert fit_temperature([large, small]) == pytest.approx(fit_temperature([large, repeated]))
    together, again = reliability([large, small]), reliability([large, repeated])
    np.testing.assert_allclose(together.share, again.share)
    assert together.error == pytest.approx(again.error)


def test_the_table_is_that_of_scikit_learn_for_a_single_slice():
    probability, truth = made_up(3)
    table = reliability([(probability, truth)])
    observed, predicted = calibration_curve(truth.ravel(), probability.ravel(), n_bins=BINS)
    filled = table.share > 0
    np.testing.assert_allclose(table.observed[filled], observed, atol=1e-6)
    np.testing.assert_allclose(table.predicted[filled], predicted, atol=1e-6)


def test_the_error_by_hand():
    slices = [(np.array([0.05, 0.05, 0.95, 0.95]), np.array([False, True, True, True]))]
    assert reliability(slices, bins=10).error == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)
    # A second slice of a single pixel weighs as much as the first.
    slices.append((np.array([0.95]), np.array([True])))
    table = reliability(slices, bins=10)
    assert table.share[9] == pytest.approx(0.75)
    assert table.error == pytest.approx(0.25 * 0.45 + 0.75 * 0.05)


def test_the_right_temperature_lowers_the_error():
    slices = [made_up(seed, 2.0) for seed in range(4)]
    mended = [(tempered(p, fit_temperature(slices)), t) for p, t in slices]
    assert reliability(mended).error < 0.2 * reliability(slices).error
