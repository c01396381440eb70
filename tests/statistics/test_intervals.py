"""Statistics against naive loops, exact enumeration and what theory expects."""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.statistics.intervals import (
    area_agreement,
    area_under_curve,
    area_under_curve_with_interval,
    holm,
    mean_over_seeds,
    mean_with_interval,
    non_inferior,
    paired_difference,
    sd_between_seeds,
    superior,
)

NAN = float("nan")
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_area_under_the_curve_counts_pairs_and_ties_half(rows):
    score, positive = np.array([s for s, _ in rows]), np.array([p for _, p in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    area = area_under_curve(score, positive)
    assert np.isnan(area) if not pairs else area == pytest.approx(np.mean(pairs))


def test_the_interval_of_an_area_holds_it():
    rng = np.random.default_rng(1)
    positive = np.arange(60) % 3 == 0
    score = rng.normal(0, 1, 60) + 1.5 * positive
    figure = area_under_curve_with_interval(score, positive)
    assert figure["low"] < figure["auc"] < figure["high"] < 1
    assert (figure["n"], figure["positive"]) == (60, 20)
    perfect = area_under_curve_with_interval(positive.astype(float), positive)
    assert (perfect["low"], perfect["auc"], perfect["high"]) == (1, 1, 1)


def test_intervals_hold_the_mean_and_shrink_with_the_count():
    rng = np.random.default_rng(0)
    few, many = (mean_with_interval(rng.normal(0.7, 0.1, count)) for count in (10, 1000))
    for figure in (few, many):
        assert figure["low"] < figure["mean"] < figure["high"]
    # 95 % of a mean lie within 1.96 standard errors.
    assert many["high"] - many["low"] == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(1000), rel=0.1)
    assert few["high"] - few["low"] > 5 * (many["high"] - many["low"])
    assert few == mean_with_interval(np.random.default_rng(0).normal(0.7, 0.1, 10))


def test_values_that_are_not_numbers_are_left_out_and_counted():
    figure = mean_with_interval(np.array([0.5, NAN, 0.7, 0.9]))
    assert (figure["mean"], figure["median"]) == (pytest.approx(0.7), 0.7)
    assert (figure["sd"], figure["n"], figure["left_out"]) == (pytest.approx(0.2), 3, 1)
    nothing = mean_with_interval(np.array([NAN]))
    assert (nothing["n"], nothing["left_out"]) == (0, 1)
    assert np.isnan(nothing["mean"])
    assert nothing.keys() == figure.keys()


# Paired differences


def exact_wilcoxon(difference: list[float]) -> float:
    """The share of all signs whose rank sum is as far from its middle (no ties, no zeros)."""
    ranks = np.argsort(np.argsort(np.abs(difference))) + 1
    middle = ranks.sum() / 2
    deviation = abs(ranks[np.array(difference) > 0].sum() - middle)
    signs = np.array(list(itertools.product((0, 1), repeat=len(ranks))))
    return float(np.mean(np.abs(signs @ ranks - middle) >= deviation))


@pytest.mark.parametrize(
    "difference", [[0.1, 0.2, -0.3, 0.4, 0.5, 0.6], [1.0, 2.0, 3.0, 4.0, 5.0], [-0.2, 0.1]]
)
def test_the_signed_rank_test_counts_all_signs(difference):
    figure = paired_difference(np.array(difference), np.zeros(len(difference)))
    assert figure["p"] == pytest.approx(exact_wilcoxon(difference))


def test_a_paired_difference_is_narrower_than_the_slices_spread():
    rng = np.random.default_rng(3)
    slices = rng.normal(0.7, 0.15, 50)
    better = slices + rng.normal(0.03, 0.02, 50)
    figure = paired_difference(better, slices)
    assert figure["mean"] == pytest.approx(np.mean(better) - np.mean(slices))
    assert figure["high"] - figure["low"] == pytest.approx(2 * 1.96 * 0.02 / np.sqrt(50), rel=0.3)
    assert figure["wins"] == np.sum(better > slices)
    assert figure["p"] < 1e-6
    opposite = paired_difference(slices, better)
    assert opposite["mean"] == -figure["mean"]
    assert (opposite["low"], opposite["high"]) == pytest.approx((-figure["high"], -figure["low"]))
    assert opposite["p"] == pytest.approx(figure["p"])


def test_slices_without_a_figure_form_no_pair():
    figure = paired_difference(np.array([0.5, NAN, 0.7, 0.8]), np.array([0.4, 0.5, NAN, 0.9]))
    assert (figure["n"], figure["left_out"], figure["wins"]) == (2, 2, 1)
    nothing = paired_difference(np.array([NAN]), np.array([1.0]))
    assert nothing["n"] == nothing["wins"] == 0
    assert np.isnan(nothing["p"])
    assert not superior(nothing)
    assert not non_inferior(nothing, 0.03)


def test_the_same_figures_do_not_differ():
    same = paired_difference(np.array([0.5, 0.6]), np.array([0.5, 0.6]))
    assert (same["mean"], same["low"], same["high"]) == (0, 0, 0)
    assert (same["p"], same["wins"]) == (1, 0)


def test_pairs_of_different_slices_are_refused():
    with pytest.raises(ValueError, match="one length"):
        paired_difference(np.zeros(3), np.zeros(4))


def test_verdicts_read_the_lower_end_of_the_interval():
    for low, better, close in (
        (0.01, True, True),
        (0.0, False, True),
        (-0.02, False, True),
        (-0.03, False, False),
        (-0.1, False, False),
    ):
        difference = {"mean": 0.05, "low": low, "high": 0.1}
        assert superior(difference) is better
        assert non_inferior(difference, 0.03) is close


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(ValueError, match="margin"):
        non_inferior({"low": 0.1}, 0)


# Many tests


def test_holm_multiplies_by_the_tests_that_are_left():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1, 1]
    assert holm([]) == []


@given(p_values, st.floats(0.001, 0.5))
def test_holm_rejects_step_by_step(p, level):
    rejected = set()
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if (len(p) - rank) * p[index] > level:
            break
        rejected.add(index)
    assert {i for i, adjusted in enumerate(holm(p)) if adjusted <= level} == rejected


@given(p_values, st.randoms())
@pytest.mark.slow
def test_holm_does_not_mind_the_order_and_lies_between_p_and_bonferroni(p, random):
    order = random.sample(range(len(p)), len(p))
    adjusted = holm(p)
    assert holm([p[i] for i in order]) == [adjusted[i] for i in order]
    for raw, corrected in zip(p, adjusted, strict=True):
        assert raw <= corrected <= 1
        assert corrected >= min(1, min(p) * len(p))
        assert corrected <= min(1, max(p) * len(p))


def test_tests_that_could_not_be_done_do_not_count():
    adjusted = holm([0.01, NAN, 0.04])
    assert adjusted[0] == pytest.approx(0.02)
    assert np.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04)


# Seeds


def test_seeds_are_averaged_before_slices_are_paired():
    values = np.array([[0.5, 0.7, NAN, NAN], [0.7, 0.9, 0.4, NAN]])
    np.testing.assert_allclose(mean_over_seeds(values), [0.6, 0.8, 0.4, NAN])
    assert sd_between_seeds(values) == pytest.approx(0.2 / np.sqrt(2))
    # The interval is that of four slices, however many seeds there are.
    many = np.repeat(values[:1, :2], 100, axis=0)
    once, often = (mean_with_interval(mean_over_seeds(figures)) for figures in (many[:1], many))
    assert often == pytest.approx(once)
    assert sd_between_seeds(many) == pytest.approx(0, abs=1e-12)


def test_one_seed_has_no_spread():
    assert np.isnan(sd_between_seeds(np.array([[0.5, 0.6]])))
    assert np.isnan(sd_between_seeds(np.array([[0.5, NAN], [NAN, 0.5]])))


# Areas


def test_areas_agree_as_bland_and_altman_say():
    true = np.array([0.1, 0.2, 0.3, 0.4])
    figure = area_agreement(true + np.array([0.01, 0.03, 0.01, 0.03]), true)
    assert figure["bias"] == pytest.approx(0.02)
    spread = np.sqrt(4 * 0.01**2 / 3)
    assert figure["upper_limit"] == pytest.approx(0.02 + 1.96 * spread)
    assert figure["lower_limit"] == pytest.approx(0.02 - 1.96 * spread)
    assert figure["mean_absolute_error"]["mean"] == pytest.approx(0.02)


def test_the_correlation_is_pearsons():
    rng = np.random.default_rng(4)
    true = rng.random(40)
    measured = true + rng.normal(0, 0.1, 40)
    figure = area_agreement(measured, true)["correlation"]
    assert figure["r"] == pytest.approx(np.corrcoef(measured, true)[0, 1])
    assert figure["low"] < figure["r"] < figure["high"] < 1
    assert area_agreement(2 * true + 1, true)["correlation"]["r"] == pytest.approx(1)


def test_without_spread_there_is_no_correlation():
    figure = area_agreement(np.array([0.5]), np.array([0.4]))
    assert figure["correlation"] == {"r": None, "low": None, "high": None, "n": 1}
    assert np.isnan(figure["upper_limit"])
    # Of three equal fractions NumPy's standard deviation is a rounding error above 0.
    equal = area_agreement(np.full(3, 0.2), np.array([0.2, 0.3, 0.4]))
    assert equal["correlation"] == {"r": None, "low": None, "high": None, "n": 3}


def test_one_slice_that_does_not_differ_leaves_the_others():
    a = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert paired_difference(a, np.zeros(7))["p"] == pytest.approx(2 / 2**6, abs=0.01)


def test_a_correlation_tells_its_number_of_slices():
    figure = area_agreement(np.array([0.1, 0.4, 0.2, 0.6]), np.array([0.2, 0.3, 0.2, 0.5]))
    assert figure["correlation"].keys() == {"r", "low", "high", "n"}
    assert figure["correlation"]["n"] == 4
