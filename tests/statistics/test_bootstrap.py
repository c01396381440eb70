"""Figures over patients: areas under curves and shares, against independent oracles."""

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr
from scipy.stats import bootstrap as scipy_bootstrap
from sklearn.metrics import roc_auc_score

from lungscore.statistics import bootstrap
from lungscore.statistics.bootstrap import area_under_curve_of, estimate, rate, share_of


def test_the_area_is_that_of_scikit_learn_with_ties_and_weights():
    rng = np.random.default_rng(0)
    score, truth = rng.integers(0, 12, 200), rng.random(200) < 0.4
    often = rng.integers(0, 3, (5, 200)).astype(float)
    areas = area_under_curve_of(score, truth)(often)
    expected = [roc_auc_score(truth, score, sample_weight=w) for w in often]
    assert areas == pytest.approx(expected)


def test_without_a_class_there_is_no_area():
    area = estimate(area_under_curve_of([1, 2, 3], np.array([True] * 3)), range(3), reason="none")
    assert (area.value, area.low, area.reason, area.n) == (None, None, "none", 3)


def test_nobody_has_no_figure():
    assert estimate(share_of([]), []).value is None
    assert rate(np.array([], bool), []).value is None


def test_draws_without_a_class_are_passed_over():
    score, truth = np.arange(30), np.arange(30) == 12
    area = estimate(area_under_curve_of(score, truth), range(30))
    assert area.value == pytest.approx(12 / 29)
    assert area.low <= area.value <= area.high


@pytest.mark.filterwarnings("error")
def test_where_no_draw_has_a_figure_the_interval_has_no_ends():
    ends = bootstrap.interval(area_under_curve_of([1, 2, 3], np.array([True] * 3)), 3, draws=20)
    assert np.isnan(ends).all()


def test_the_interval_of_one_case_a_patient_is_about_the_normal_one():
    hit = np.arange(400) % 4 == 0
    share = estimate(share_of(hit), range(400))
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (share.low, share.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.005)


def test_cases_of_one_patient_widen_the_interval():
    hit = np.repeat(np.arange(40) % 4 == 0, 10)
    of_patients = estimate(share_of(hit), np.repeat(np.arange(40), 10))
    as_if_alone = estimate(share_of(hit), range(400))
    width = of_patients.high - of_patients.low
    assert width / (as_if_alone.high - as_if_alone.low) == pytest.approx(np.sqrt(10), rel=0.15)


def test_many_cases_are_drawn_in_parts(monkeypatch):
    hit, patients = np.arange(90) % 3 == 0, np.arange(90) // 2
    monkeypatch.setattr(bootstrap, "DRAWS", 50)
    whole = estimate(share_of(hit), patients)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 200)
    assert estimate(share_of(hit), patients) == whole


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (7, 20), (20, 20)])
def test_a_rate_of_single_cases_has_wilsons_interval(hits, n):
    interval = rate(np.arange(n) < hits, range(n))
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_rate_counts_patients_and_not_their_cases():
    interval = rate(np.repeat([True, True, False, False], 25), np.repeat(list("abcd"), 25))
    expected = binomtest(2, 4).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    # One patient with nearly all cases is worth little more than one.
    uneven = rate(np.arange(100) < 99, ["a"] * 99 + ["b"])
    assert uneven.low < 0.3


def test_statistics_of_weights_are_those_of_repeated_cases():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 11)).round(1)
    often = rng.integers(0, 4, (50, 11))
    often[:, 0] += 1
    drawn = [np.repeat(np.arange(11), times) for times in often]
    weights = often.astype(float)
    medians = [np.median(first[index]) for index in drawn]
    assert bootstrap.median_of(first)(weights) == pytest.approx(medians)
    assert bootstrap.mean_of(first)(weights) == pytest.approx(
        [first[index].mean() for index in drawn]
    )
    spread = [index for index, times in enumerate(often) if (times > 0).sum() > 2]
    pearson = [pearsonr(first[drawn[i]], second[drawn[i]]).statistic for i in spread]
    assert bootstrap.correlation_of(first, second)(weights)[spread] == pytest.approx(pearson)
    assert np.isnan(bootstrap.correlation_of(np.ones(4), np.arange(4))(np.ones((1, 4)))).all()


def test_groups_of_equal_cases_are_drawn_as_the_cases_are():
    values, times = np.array([0.0, 1.0, 3.0]), np.array([5, 20, 15])
    every = np.repeat(values, times)
    apart = bootstrap.interval(bootstrap.mean_of(every), len(every))
    grouped = bootstrap.interval(bootstrap.mean_of(values), len(values), weights=times)
    assert grouped == pytest.approx(apart, abs=0.03)
    scipys = scipy_bootstrap((every,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert apart == pytest.approx(tuple(scipys.confidence_interval), abs=0.05)


def test_draws_are_as_many_and_seeded_as_documented():
    assert (bootstrap.RESAMPLES, bootstrap.SEED, bootstrap.DRAWS) == (10_000, 20200414, 2_000)
    assert bootstrap._AT_ONCE * 8 == 32 * 2**20  # bytes of weights that are held at once


@pytest.mark.parametrize("draws", [None, 37])
def test_the_interval_is_that_of_cases_drawn_one_by_one(draws):
    values = np.array([0.0, 1.0, 4.0, 9.0, 2.5])
    drawn = np.random.default_rng(bootstrap.SEED).integers(0, 5, (draws or 10_000, 5))
    expected = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    interval = bootstrap.interval(bootstrap.mean_of(values), 5, draws=draws)
    assert interval == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("at_once", "rows"), [(10**6, [7]), (12, [2, 2, 2, 1]), (6, [1] * 7), (2, [1] * 7)]
)
def test_no_part_of_the_draws_is_larger_than_what_is_held_at_once(monkeypatch, at_once, rows):
    of_two_clusters = bootstrap._of_clusters(6, list("aabbbb"), 7)
    of_groups = bootstrap._of_groups(np.array([3, 1, 2, 4, 1, 1]), 7)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", at_once)
    assert [chunk.shape for chunk in of_two_clusters] == [(some, 6) for some in rows]
    parts = list(of_groups)
    assert [chunk.shape for chunk in parts] == [(some, 6) for some in rows]
    assert (np.concatenate(parts).sum(axis=1) == 12).all()


def test_no_case_is_no_figure_and_says_so():
    figure = estimate(lambda weights: pytest.fail("of no case"), [])
    assert (figure.value, figure.n) == (None, 0)
    assert len(figure.reason.split()) > 3
    nobody = rate(np.array([], bool), [])
    assert (nobody.value, nobody.n) == (None, 0)
    assert len(nobody.reason.split()) > 3


def test_a_share_lies_in_0_to_1_however_it_is_rounded():
    ends = np.array([(*bootstrap.wilson(0.0, n), *bootstrap.wilson(1.0, n)) for n in range(1, 400)])
    assert (ends >= 0).all()
    assert (ends <= 1).all()


@pytest.mark.parametrize(("first", "second"), [(1e8, 0.0), (0.0, 1e8)])
def test_a_correlation_far_from_zero_keeps_its_digits(first, second):
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 9, (2, 30)).astype(float)
    correlation = bootstrap.correlation_of(x + first, y + second)(np.ones((1, 30)))
    assert correlation == pytest.approx([pearsonr(x, y).statistic], abs=1e-9)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1e-9, 1e13), (1e13, 1e-9)])
def test_a_correlation_knows_equal_values_from_small_ones(scales):
    """Equal values leave only rounding, of whatever unit they are: there is no correlation."""
    rng = np.random.default_rng(6)
    x = np.array([0.1] * 6 + [0.7, 0.3, 5.3, 0.2, 0.6, 0.9])
    y = rng.exponential(size=12)
    weights = rng.integers(1, 5, (40, 12)).astype(float)
    equal = weights * (np.arange(12) < 6)
    for pair in ((x * scales[0], y * scales[1]), (y * scales[0], x * scales[1])):
        statistic = bootstrap.correlation_of(*pair)
        assert np.isnan(statistic(equal)).all()
        expected = bootstrap.correlation_of(x, y)(weights)
        assert statistic(weights) == pytest.approx(expected, abs=1e-9)


def test_the_area_of_four_cases_by_hand():
    truth = np.array([False, False, True, True])
    assert bootstrap.area_under_curve(np.array([1, 2, 2, 3]), truth) == 3.5 / 4
