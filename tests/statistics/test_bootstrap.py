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
    found = area_under_curve_of(score, truth)(often)
    expected = [roc_auc_score(truth, score, sample_weight=w) for w in often]
    assert found == pytest.approx(expected)


def test_without_a_class_there_is_no_area():
    found = estimate(area_under_curve_of([1, 2, 3], np.array([True] * 3)), range(3), reason="none")
    assert (found.value, found.low, found.reason, found.n) == (None, None, "none", 3)


def test_nobody_has_no_figure():
    assert estimate(share_of([]), []).value is None
    assert rate(np.array([], bool), []).value is None


def test_draws_without_a_class_are_passed_over():
    score, truth = np.arange(30), np.arange(30) == 12
    found = estimate(area_under_curve_of(score, truth), range(30))
    assert found.value == pytest.approx(12 / 29)
    assert found.low <= found.value <= found.high


def test_the_interval_of_one_case_a_patient_is_about_the_normal_one():
    hit = np.arange(400) % 4 == 0
    found = estimate(share_of(hit), range(400))
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.005)


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
    found = rate(np.arange(n) < hits, range(n))
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_rate_counts_patients_and_not_their_cases():
    found = rate(np.repeat([True, True, False, False], 25), np.repeat(list("abcd"), 25))
    expected = binomtest(2, 4).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    # One patient with nearly all cases is worth little more than one.
    uneven = rate(np.arange(100) < 99, ["a"] * 99 + ["b"])
    assert uneven.low < 0.3


def test_statistics_of_weights_are_those_of_repeated_cases():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, 11)).round(1)
    often = rng.integers(0, 4, (50, 11))
    often[:, 0] += 1
    drawn = [np.repeat(np.arange(11), times) for times in often]
    weights = often.astype(float)
    medians = [np.median(one[index]) for index in drawn]
    assert bootstrap.median_of(one)(weights) == pytest.approx(medians)
    assert bootstrap.mean_of(one)(weights) == pytest.approx([one[index].mean() for index in drawn])
    spread = [index for index, times in enumerate(often) if (times > 0).sum() > 2]
    pearson = [pearsonr(one[drawn[i]], other[drawn[i]]).statistic for i in spread]
    assert bootstrap.correlation_of(one, other)(weights)[spread] == pytest.approx(pearson)
    assert np.isnan(bootstrap.correlation_of(np.ones(4), np.arange(4))(np.ones((1, 4)))).all()


def test_groups_of_equal_cases_are_drawn_as_the_cases_are():
    values, times = np.array([0.0, 1.0, 3.0]), np.array([5, 20, 15])
    every = np.repeat(values, times)
    apart = bootstrap.interval(bootstrap.mean_of(every), len(every))
    grouped = bootstrap.interval(bootstrap.mean_of(values), len(values), weights=times)
    assert grouped == pytest.approx(apart, abs=0.03)
    scipys = scipy_bootstrap((every,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert apart == pytest.approx(tuple(scipys.confidence_interval), abs=0.05)
