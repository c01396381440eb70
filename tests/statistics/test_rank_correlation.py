"""Spearman's rank correlation and its interval."""

import math

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from lungscore.statistics.agreement import CONSTANT, spearman
from lungscore.statistics.estimate import NO_WIDTH
from tests.statistics.rated import columns, ratings

pytestmark = pytest.mark.usefixtures("no_warnings")


@given(ratings)
def test_spearman_is_scipys_ties_included(pairs):
    a, b = columns(pairs)
    rho = spearman(a, b)
    if rho.value is None:
        assert rho.reason == CONSTANT
        assert np.ptp(a) == 0 or np.ptp(b) == 0
    else:
        assert rho.value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)


def test_the_interval_of_spearman_holds_the_true_one():
    rng, inside = np.random.default_rng(5), 0
    true = 6 / np.pi * np.arcsin(0.8 / 2)
    for _ in range(600):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 40).T
        rho = spearman(a, b)
        inside += rho.low <= true <= rho.high
    assert inside / 600 == pytest.approx(0.95, abs=0.03)


def test_three_pairs_have_a_rank_correlation_without_interval():
    rho = spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0]))
    assert rho.value == pytest.approx(0.5)
    assert (rho.low, rho.high) == (None, None)
    assert "four pairs" in rho.reason


def test_the_interval_of_spearman_is_bonett_and_wrights():
    """Eight pairs with ρ = 1 − 6·Σd² / (n(n² − 1)): Σd² = 16, so ρ = 17/21."""
    a, b = np.arange(8.0), np.array([2, 0, 1, 4, 6, 3, 5, 7.0])
    assert ((a - b) ** 2).sum() == 16
    correlation = spearman(a, b)
    rho = 17 / 21
    error = math.sqrt((1 + rho * rho / 2) / 5)
    z = 0.5 * math.log((1 + rho) / (1 - rho))
    expected = [math.tanh(z + sign * 1.959963984540054 * error) for sign in (-1, 1)]
    assert (correlation.value, correlation.n) == (pytest.approx(rho, abs=1e-12), 8)
    assert [correlation.low, correlation.high] == pytest.approx(expected, abs=1e-12)
    turned = spearman(a, -b)
    assert [turned.high, turned.low] == pytest.approx([-expected[0], -expected[1]], abs=1e-12)


def test_spearman_has_an_interval_from_four_pairs():
    four = spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4]))
    assert four.value == pytest.approx(0.8)
    assert -1 < four.low < 0.8 < four.high < 1
    assert four.reason is None
    three = spearman(np.array([1.0, 2, 3]), np.array([1.0, 3, 2]))
    assert (three.low, three.high) == (None, None)
    assert three.reason


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_ranks_of_five_cases_have_no_interval(sign):
    rho = spearman(np.arange(5.0), sign * np.arange(5.0))
    assert (rho.value, rho.low, rho.high, rho.n) == (sign, None, None, 5)
    assert rho.reason == NO_WIDTH


@pytest.mark.parametrize("constant", [0, 1])
def test_one_constant_rater_has_no_rank_correlation(constant):
    ratings = [np.arange(5.0), np.arange(5.0)]
    ratings[constant] = np.ones(5)
    rho = spearman(*ratings)
    assert (rho.value, rho.n) == (None, 5)
    assert rho.reason == CONSTANT
