"""Weighted kappa, exact agreement and the table of two raters' classes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lungscore.statistics.agreement import (
    SAME_VALUE,
    TOO_FEW,
    confusion,
    exact_agreement,
    weighted_kappa,
)
from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.statistics.estimate import NO_WIDTH
from tests.statistics.rated import columns, ratings

pytestmark = pytest.mark.usefixtures("no_warnings")


def test_kappa_of_two_classes_worked_by_hand():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: 0.7 found, 0.5 by chance, so 0.4.
    a = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    b = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    for weights in ("linear", "quadratic"):
        assert weighted_kappa(a, b, highest=1, weights=weights).value == pytest.approx(0.4)


def test_weighted_kappa_of_three_classes_worked_by_hand():
    # Pairs 00, 01, 11, 22: linear cost 1/4 found. By chance: rows ½ ¼ ¼, columns ¼ ½ ¼, so
    # ½(½·1 + ¼·2) + ¼(¼ + ¼) + ¼(¼·2 + ½·1) = ⅞.
    a, b = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])
    linear = weighted_kappa(a, b, highest=2, weights="linear")
    assert linear.value == pytest.approx(1 - 0.25 / 0.875)


@settings(max_examples=25, deadline=None)
@given(ratings, st.sampled_from([1, 2]))
def test_weighted_kappa_is_that_of_a_plain_loop(pairs, power):
    a, b = columns(pairs)
    kappa = weighted_kappa(a, b, highest=6, weights=("linear", "quadratic")[power - 1])
    disagreement = np.mean([abs(i - j) ** power for i, j in pairs])
    chance = np.mean([abs(i - j) ** power for i, j in itertools.product(a, b)])
    if chance == 0:
        assert kappa.reason == SAME_VALUE
    else:
        assert kappa.value == pytest.approx(1 - disagreement / chance)
        assert kappa.low is None or kappa.low < kappa.high <= 1
        assert (kappa.low is None) == (kappa.reason == NO_WIDTH)


def test_quadratic_kappa_is_lins_concordance():
    a, b = np.random.default_rng(3).integers(0, 5, (2, 50)).astype(float)
    b = np.where(np.arange(50) % 3, a, b)
    expected = 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    kappa = weighted_kappa(a, b, highest=4, weights="quadratic")
    assert kappa.value == pytest.approx(expected)


def test_classes_that_nobody_uses_change_nothing():
    a, b = np.array([0, 1, 2, 2, 1, 0]), np.array([0, 2, 2, 1, 1, 0])
    small, large = (weighted_kappa(a, b, highest=h, weights="linear") for h in (2, 40))
    assert (small.value, small.low, small.high) == (large.value, large.low, large.high)


def test_the_interval_of_kappa_is_the_bootstrap_over_cases():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 5, 60)
    b = np.clip(a + rng.integers(-1, 2, 60), 0, 4)
    kappa = weighted_kappa(a, b, highest=4, weights="quadratic")
    values = []
    for index in rng.integers(0, 60, (3000, 60)):
        x, y = a[index], b[index]
        cost = x.var() + y.var() + (x.mean() - y.mean()) ** 2
        values.append(1 - np.mean((x - y) ** 2) / cost)
    expected = np.percentile(values, [2.5, 97.5])
    assert (kappa.low, kappa.high) == pytest.approx(tuple(expected), abs=0.01)


@pytest.mark.parametrize("wrong", [[0, 1, 5], [0, 1, -1], [0, 1, 1.5]])
def test_classes_outside_the_range_are_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers from 0 to 4"):
        weighted_kappa(np.array(wrong), np.array([0, 1, 2]), highest=4, weights="linear")


def test_the_confusion_matrix_counts_a_along_rows():
    table = confusion(np.array([0, 0, 2]), np.array([1, 1, 2]), highest=2)
    assert table.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_exact_agreement_has_wilsons_interval():
    a, b = np.arange(20) % 3, np.where(np.arange(20) < 15, np.arange(20) % 3, 9)
    agreement = exact_agreement(a, b)
    expected = stats.binomtest(15, 20).proportion_ci(method="wilson")
    assert agreement.value == 0.75
    assert (agreement.low, agreement.high) == pytest.approx((expected.low, expected.high))


def test_the_confusion_matrix_has_all_classes_and_kappa_its_number_of_cases():
    a, b = np.array([0, 1, 1, 3.0]), np.array([0, 1, 2, 3.0])
    assert confusion(a, b, highest=4).shape == (5, 5)
    assert weighted_kappa(a, b, highest=4, weights="linear").n == 4


def test_one_class_alone_has_no_kappa():
    kappa = weighted_kappa(np.ones(4), np.ones(4), highest=3, weights="linear")
    assert (kappa.value, kappa.n, kappa.reason) == (None, 4, SAME_VALUE)


def test_exact_agreement_of_four_in_five():
    a, b = np.array([0, 1, 2, 3, 0.0]), np.array([0, 1, 2, 3, 1.0])
    agreement = exact_agreement(a, b)
    assert (agreement.value, agreement.n, agreement.reason) == (0.8, 5, None)
    assert exact_agreement(a[:3], b[:3]).value == 1
    assert exact_agreement(a[:2], b[:2]).reason == TOO_FEW


def test_kappa_of_three_pairs_and_of_little_chance():
    a, b = np.array([0, 0, 0.0]), np.array([0, 0, 1.0])
    kappa = weighted_kappa(a, b, highest=1, weights="linear")
    assert (kappa.value, kappa.n) == (0, 3)
    assert weighted_kappa(a[:2], b[:2], highest=1, weights="linear").reason == TOO_FEW


@pytest.mark.parametrize(("weights", "power"), [("linear", 1), ("quadratic", 2)])
def test_the_interval_of_kappa_is_that_of_the_drawn_counts(weights, power):
    rng = np.random.default_rng(3)
    a = rng.integers(0, 4, 25)
    b = np.clip(a + rng.integers(-1, 2, 25), 0, 3)
    pairs, counts = np.unique(np.stack([a, b], axis=1), axis=0, return_counts=True)
    draws = np.random.default_rng(SEED).multinomial(25, counts / 25, RESAMPLES)
    cost = np.abs(np.subtract.outer(np.arange(4), np.arange(4))).astype(float) ** power
    tables = np.zeros((RESAMPLES, 4, 4))
    tables[:, pairs[:, 0], pairs[:, 1]] = draws
    chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :] / 25
    kappas = 1 - (tables * cost).sum(axis=(1, 2)) / (chance * cost).sum(axis=(1, 2))
    kappa = weighted_kappa(a, b, highest=3, weights=weights)
    assert (kappa.low, kappa.high) == pytest.approx(tuple(np.percentile(kappas, [2.5, 97.5])))


@pytest.mark.parametrize("wrong", [-1.0, 4.0, 1.5])
@pytest.mark.parametrize("rater", [0, 1])
def test_a_class_of_either_rater_outside_the_range_is_refused(wrong, rater):
    ratings = [np.array([0.0, 3, 2]), np.array([0.0, 3, 1])]
    ratings[rater][2] = wrong
    with pytest.raises(ValueError, match="0 to 3"):
        confusion(*ratings, highest=3)
