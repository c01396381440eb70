"""Agreement against published examples, scipy, plain loops, simulation, and its own laws."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from scipy import stats

from lungscore.statistics.agreement import (
    CONSTANT,
    SAME_VALUE,
    TOO_FEW,
    BlandAltman,
    bland_altman,
    exact_agreement,
    icc_agreement,
    icc_consistency,
    spearman,
    weighted_kappa,
)
from lungscore.statistics.estimate import NO_WIDTH, Estimate, undefined
from tests.statistics.rated import columns, made_up, ratings

pytestmark = pytest.mark.usefixtures("no_warnings")

#: Shrout and Fleiss 1979, table 2: six targets, four judges.
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


# Bland and Altman


def test_bias_and_limits_of_a_hand_made_example():
    limits = bland_altman(np.array([1.0, 4.0, 6.0]), np.array([0.0, 2.0, 3.0]))
    assert (limits.bias.value, limits.sd) == (2, 1)
    assert limits.lower.value == pytest.approx(2 - 1.959964)
    assert limits.upper.value == pytest.approx(2 + 1.959964)


def test_the_interval_of_the_bias_is_that_of_the_t_test():
    a, b = made_up()
    bias, expected = bland_altman(a, b).bias, stats.ttest_rel(a, b).confidence_interval()
    assert (bias.low, bias.high) == pytest.approx((expected.low, expected.high))


def test_the_slope_is_that_of_the_least_squares_line():
    a, b = made_up()
    limits, line = bland_altman(a, 1.3 * b), stats.linregress((a + 1.3 * b) / 2, a - 1.3 * b)
    half = stats.t.ppf(0.975, 18) * line.stderr
    expected = line.slope, line.slope - half, line.slope + half
    slope = limits.slope
    assert (slope.value, slope.low, slope.high) == pytest.approx(expected)
    assert limits.slope_differs
    assert limits.on_slope(np.array([0.0])) == pytest.approx(line.intercept)


def test_intervals_of_the_limits_hold_the_true_limit_as_often_as_they_say():
    rng, inside = np.random.default_rng(1), 0
    for _ in range(600):
        a = rng.normal(0, 1, 7)
        upper = bland_altman(a, np.zeros(7)).upper
        inside += upper.low <= stats.norm.ppf(0.975) <= upper.high
    # Exact for seven pairs, where Bland and Altman's approximation is not: 0.95 ± 3 SE.
    assert inside / 600 == pytest.approx(0.95, abs=0.027)


def test_with_many_pairs_the_limits_have_bland_and_altmans_standard_error():
    a, b = made_up(5000)
    limits = bland_altman(a, b)
    error = limits.sd * np.sqrt(1 / 5000 + 1.96**2 / (2 * 4999))
    for limit in (limits.lower, limits.upper):
        assert (limit.high - limit.low) == pytest.approx(2 * 1.96 * error, rel=0.01)


def test_with_thirty_cases_a_limit_is_as_uncertain_as_the_documentation_says():
    limits = bland_altman(*made_up(30))
    apart = limits.upper.value - limits.lower.value
    assert (limits.upper.high - limits.upper.low) / apart == pytest.approx(1 / 3, abs=0.005)


def test_equal_differences_have_no_intervals():
    limits = bland_altman(np.array([3.0, 5.0, 9.0]), np.array([2.0, 4.0, 8.0]))
    for estimate in (limits.bias, limits.lower, limits.upper):
        assert (estimate.value, estimate.low, estimate.high) == (1, None, None)
        assert estimate.reason == NO_WIDTH
    assert not limits.slope_differs


# Intraclass correlation


def test_rounding_is_no_spread():
    a = np.array([10.3, 20.3, 30.1, 40.7, 55.9, 60.2])
    limits = bland_altman(a, a - 0.1)
    assert limits.sd == 0
    assert limits.lower.low is None
    mirrored = bland_altman(np.array([1.3, 1.1, 1.2]), np.array([1.1, 1.3, 1.2]))
    assert mirrored.slope.value is None
    consistency = icc_consistency(np.array([[1.3, 1.1], [1.1, 1.3], [1.2, 1.2]]))
    assert consistency.low is None


def test_the_example_of_shrout_and_fleiss():
    agreement, consistency = icc_agreement(SHROUT_FLEISS), icc_consistency(SHROUT_FLEISS)
    assert round(agreement.value, 2) == 0.29
    assert round(consistency.value, 2) == 0.71
    # Their example is also the one of R's psych, whose intervals these are.
    assert (agreement.low, agreement.high) == pytest.approx((0.019, 0.761), abs=0.001)
    assert (consistency.low, consistency.high) == pytest.approx((0.342, 0.946), abs=0.001)


def test_the_interval_of_agreement_holds_the_true_one():
    rng, inside = np.random.default_rng(2), 0
    for _ in range(400):
        # Variances 4 between cases, 0.25 between raters, 1 rest.
        cases, raters = rng.normal(0, 2, (25, 1)), rng.normal(0, 0.5, (1, 5))
        agreement = icc_agreement(cases + raters + rng.normal(0, 1, (25, 5)))
        inside += agreement.low <= 4 / 5.25 <= agreement.high
    assert 0.92 <= inside / 400 <= 0.99


def test_a_constant_difference_counts_in_agreement_and_not_in_consistency():
    a, b = made_up(bias=0)
    plain, shifted = np.stack([a, b], 1), np.stack([a + 10, b], 1)
    assert icc_agreement(shifted).value < icc_agreement(plain).value - 0.1
    assert icc_consistency(shifted).value == pytest.approx(icc_consistency(plain).value)


def test_a_mere_shift_is_perfect_consistency():
    a = np.arange(10.0)
    shifted = np.stack([a, a + 3], 1)
    consistency = icc_consistency(shifted)
    assert (consistency.value, consistency.low, consistency.high) == (1, None, None)
    agreement = icc_agreement(shifted)
    # Variance 55/6 between cases, 9/2 between raters.
    assert agreement.value == pytest.approx((55 / 6) / (55 / 6 + 9 / 2))
    assert agreement.low < agreement.value < agreement.high


@given(ratings)
@example([(0, 3), (0, 3), (0, 3), (2, 0)])
@example([(2, 4), (2, 4), (5, 1)])
def test_intraclass_correlations_are_at_most_1_and_within_their_intervals(pairs):
    both = np.array(pairs, float)
    consistency = icc_consistency(both)
    assert consistency.value is None or consistency.value >= -1 - 1e-9
    for coefficient in (icc_agreement(both), consistency):
        if coefficient.value is None:
            assert (np.ptp(both, axis=0) == 0).all()
            continue
        assert coefficient.value <= 1
        if coefficient.low is not None:
            assert coefficient.low - 1e-9 <= coefficient.value <= coefficient.high + 1e-9
            assert coefficient.high <= 1 + 1e-9


# Laws that all keep


@settings(max_examples=30, deadline=None)
@given(ratings)
def test_a_rater_agrees_with_itself(pairs):
    a, _ = columns(pairs)
    limits = bland_altman(a, a)
    assert (limits.bias.value, limits.lower.value, limits.upper.value) == (0, 0, 0)
    assert exact_agreement(a, a).value == 1
    both = np.stack([a, a], 1)
    coefficients = [
        icc_agreement(both),
        icc_consistency(both),
        weighted_kappa(a, a, highest=6, weights="linear"),
        weighted_kappa(a, a, highest=6, weights="quadratic"),
        spearman(a, a),
    ]
    for coefficient in coefficients:
        if np.ptp(a) == 0:
            assert coefficient.value is None
            assert coefficient.reason
        else:
            assert coefficient.value == 1


@settings(max_examples=30, deadline=None)
@given(ratings)
def test_swapping_raters_negates_the_bias_and_keeps_the_coefficients(pairs):
    a, b = columns(pairs)
    there, back = bland_altman(a, b), bland_altman(b, a)
    assert back.bias.value == pytest.approx(-there.bias.value)
    assert back.lower.value == pytest.approx(-there.upper.value)
    if there.upper.high is not None:
        assert back.lower.low == pytest.approx(-there.upper.high)
    for before, after in (
        (icc_agreement(np.stack([a, b], 1)), icc_agreement(np.stack([b, a], 1))),
        (spearman(a, b), spearman(b, a)),
        *([weighted_kappa(*pair, highest=6, weights="quadratic") for pair in ((a, b), (b, a))],),
    ):
        assert (before.value is None) == (after.value is None)
        if before.value is not None:
            assert before.value == pytest.approx(after.value)


def test_the_unit_changes_no_coefficient_and_scales_the_limits():
    a, b = made_up()
    there, larger = bland_altman(a, b), bland_altman(1000 * a, 1000 * b)
    assert larger.upper.high == pytest.approx(1000 * there.upper.high)
    both = np.stack([a, b], 1)
    for coefficient in (icc_agreement, icc_consistency):
        assert coefficient(1000 * both).low == pytest.approx(coefficient(both).low)


def test_two_pairs_give_nothing_and_say_so():
    a = np.array([1.0, 2.0])
    estimates = [
        bland_altman(a, a).bias,
        icc_agreement(np.stack([a, a], 1)),
        icc_consistency(np.stack([a, a], 1)),
        weighted_kappa(a, a, highest=3, weights="linear"),
        exact_agreement(a, a),
        spearman(a, a),
        spearman(a[:0], a[:0]),
    ]
    for estimate in estimates:
        assert estimate.value is None
        assert estimate.reason == TOO_FEW


def test_pairs_must_be_pairs_and_numbers():
    with pytest.raises(ValueError, match="one length"):
        spearman(np.arange(3.0), np.arange(4.0))
    with pytest.raises(ValueError, match="finite"):
        bland_altman(np.array([1.0, np.nan, 2.0]), np.arange(3.0))


def test_bland_altman_of_a_hand_made_example_to_the_last_digit():
    a = np.array([10.0, 12, 15, 11, 18, 16])
    b = np.array([9.0, 13, 13, 10, 14, 15])
    limits = bland_altman(a, b)
    difference, mean = a - b, (a + b) / 2
    sd = math.sqrt(((difference - difference.mean()) ** 2).sum() / 5)
    error = sd / math.sqrt(6)
    t = stats.t.ppf(0.975, 5)
    assert limits.sd == pytest.approx(sd)
    assert (limits.bias.low, limits.bias.high) == pytest.approx(
        (difference.mean() - t * error, difference.mean() + t * error)
    )
    z = stats.norm.ppf(0.975)
    near, far = (stats.nct.ppf(q, 5, z * math.sqrt(6)) * error for q in (0.025, 0.975))
    middle = difference.mean()
    assert limits.upper.value == pytest.approx(middle + z * sd)
    assert limits.lower.value == pytest.approx(middle - z * sd)
    assert (limits.upper.low, limits.upper.high) == pytest.approx((middle + near, middle + far))
    assert (limits.lower.low, limits.lower.high) == pytest.approx((middle - far, middle - near))
    line = stats.linregress(mean, difference)
    half = stats.t.ppf(0.975, 4) * line.stderr
    assert (limits.slope.low, limits.slope.high) == pytest.approx(
        (line.slope - half, line.slope + half)
    )
    assert limits.intercept == pytest.approx(line.intercept)
    assert limits.on_slope(np.array([20.0])) == pytest.approx(line.intercept + 20 * line.slope)
    estimates = (limits.bias, limits.lower, limits.upper, limits.slope)
    assert {estimate.n for estimate in estimates} == {6}
    assert {estimate.reason for estimate in estimates} == {None}


def test_equal_means_leave_no_line():
    limits = bland_altman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1]))
    assert (limits.slope.value, limits.intercept, limits.slope.n) == (None, None, 3)
    assert limits.slope.reason
    assert limits.slope_differs is False
    with pytest.raises(ValueError, match="line"):
        limits.on_slope(np.array([1.0]))


@pytest.mark.parametrize(("slope", "intercept"), [(None, 1.0), (1.0, None), (None, None)])
def test_half_a_line_is_none(slope, intercept):
    nothing = undefined(5, "-")
    line = Estimate(slope, None, None, 5)
    with pytest.raises(ValueError, match="line"):
        BlandAltman(nothing, None, nothing, nothing, line, intercept).on_slope(np.ones(2))


def test_what_is_not_defined_says_why():
    assert all(len(reason.split()) > 3 for reason in (TOO_FEW, CONSTANT, SAME_VALUE))
    assert "3 pairs" in TOO_FEW


@pytest.mark.parametrize(
    ("low", "high", "differs"),
    [
        (0.1, 0.3, True),
        (-0.3, -0.1, True),
        (-0.1, 0.1, False),
        (0.0, 0.1, False),
        (-0.1, 0.0, False),
    ],
)
def test_a_slope_differs_where_its_interval_leaves_out_nothing(low, high, differs):
    nothing = undefined(5, "-")
    slope = Estimate((low + high) / 2, low, high, 5)
    assert BlandAltman(nothing, None, nothing, nothing, slope, 0.0).slope_differs is differs


def test_three_pairs_are_enough_and_two_are_not():
    three = np.array([[1.0, 2], [2, 4], [4, 5]])
    assert bland_altman(*three.T).bias.value == pytest.approx(-4 / 3)
    assert icc_agreement(three).value is not None
    assert icc_consistency(three).value is not None
    two = three[:2]
    for estimate in (icc_agreement(two), icc_consistency(two), bland_altman(*two.T).bias):
        assert (estimate.value, estimate.n, estimate.reason) == (None, 2, TOO_FEW)


def test_intraclass_correlations_of_three_raters_by_the_published_formulas():
    """Of Shrout and Fleiss's table; the mean squares are theirs, to two decimals."""
    ratings = SHROUT_FLEISS.astype(float)
    between, raters, rest = 11.2416667, 32.4861111, 1.0194444
    n, k = 6, 4
    value = (between - rest) / (between + (k - 1) * rest + k * (raters - rest) / n)
    coefficient = icc_agreement(ratings)
    assert coefficient.value == pytest.approx(value, rel=1e-6)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * raters + b * rest) ** 2 / (
        (a * raters) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1))
    )
    f_low, f_high = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    low = (
        n * (between - f_low * rest) / (f_low * (k * raters + (k * n - k - n) * rest) + n * between)
    )
    high = (
        n * (f_high * between - rest) / (k * raters + (k * n - k - n) * rest + n * f_high * between)
    )
    assert (coefficient.low, coefficient.high) == pytest.approx((low, high), rel=1e-5)
    coefficient = icc_consistency(ratings)
    assert coefficient.value == pytest.approx(
        (between - rest) / (between + (k - 1) * rest), rel=1e-6
    )
    ratio = between / rest
    smaller, larger = ratio / stats.f.ppf(0.975, 5, 15), ratio * stats.f.ppf(0.975, 15, 5)
    assert (coefficient.low, coefficient.high) == pytest.approx(
        ((smaller - 1) / (smaller + k - 1), (larger - 1) / (larger + k - 1)), rel=1e-5
    )
    assert coefficient.n == 6


@pytest.mark.parametrize("raters", [2, 3])
def test_the_same_ratings_agree_perfectly(raters):
    ratings = np.repeat(np.array([[1.0], [3], [4], [9]]), raters, axis=1)
    for coefficient in (icc_agreement(ratings), icc_consistency(ratings + np.arange(raters))):
        assert (coefficient.value, coefficient.low, coefficient.high, coefficient.n) == (
            1,
            None,
            None,
            4,
        )
        assert coefficient.reason == NO_WIDTH


def test_only_where_every_rater_is_constant_is_there_no_coefficient():
    constant = np.array([[1.0, 2], [1, 2], [1, 2]])
    for coefficient in (icc_agreement(constant), icc_consistency(constant)):
        assert (coefficient.value, coefficient.n) == (None, 3)
        assert len(coefficient.reason.split()) > 3
    varying = np.array([[1.0, 2], [1, 3], [1, 5]])
    assert icc_agreement(varying).value is not None
    of_one_case = np.array([[1.0, 1], [2, 2], [4, 4.5]])
    assert icc_consistency(of_one_case).value > 0.9
    steps = np.array([[1.0, 1], [2, 2], [1, 2]])  # every rater's values lie 1 apart
    assert icc_consistency(steps).value is not None


@pytest.mark.parametrize(
    ("ratings", "value"),
    [
        ([[0, 1], [0, 1], [1, 0]], -2),
        ([[0, 2], [0, 2], [1, 1]], -1 / 3),
        ([[0, 2], [1, 1], [1, 1]], -1),
        ([[0, 2], [1, 1], [2, 0]], -3),
        ([[0, 3], [0, 3], [1, 2]], -2 / 17),
        ([[0, 3], [1, 2], [2, 1]], -1.2),
    ],
)
def test_an_interval_that_cannot_be_is_none(ratings, value):
    """Of these the variances cancel, or the formula gives one that leaves out the coefficient."""
    agreement = icc_agreement(np.array(ratings, float))
    assert agreement.value == pytest.approx(value)
    assert (agreement.low, agreement.high, agreement.n) == (None, None, 3)
    assert len(agreement.reason.split()) > 3


def test_ratings_equal_but_for_rounding_are_perfectly_consistent():
    a = np.arange(6.0)
    ratings = np.stack([a, a + 1e-6 * np.array([1, -1, 1, -1, 1, -1])], 1)
    consistency = icc_consistency(ratings)
    assert (consistency.value, consistency.low, consistency.high) == (1, None, None)
    coarser = icc_consistency(np.stack([a, a + 1e-5 * np.array([1, -1, 1, -1, 1, -1])], 1))
    assert coarser.low < coarser.value < 1
