"""Metrics against naive loops over pixels, thresholds and pairs."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lungscore.errors import InputError
from lungscore.evaluation.infection import score_maps
from lungscore.evaluation.metrics import dice, stretched, toolbox_dice, toolbox_mae
from lungscore.evaluation.protocols import on_released_maps
from lungscore.evaluation.results import with_interval, write_result
from lungscore.evaluation.statistics import (
    area_under_curve,
    area_under_curve_with_interval,
    mean_with_interval,
)

SHAPE = (5, 6)
masks = arrays.arrays(bool, SHAPE)
greys = arrays.arrays(np.uint8, SHAPE)


@pytest.fixture(autouse=True)
def no_warnings():
    """A division by zero is a bug, not a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@given(masks, masks)
def test_dice_is_twice_the_overlap_over_the_sum(predicted, truth):
    pairs = list(zip(predicted.ravel(), truth.ravel(), strict=True))
    both, total = sum(p and t for p, t in pairs), sum(int(p) + int(t) for p, t in pairs)
    found = dice(predicted, truth)
    assert np.isnan(found) if total == 0 else found == pytest.approx(2 * both / total)


def test_dice_of_nothing_and_something_is_zero():
    nothing, something = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    assert dice(nothing, something) == dice(something, nothing) == 0
    assert np.isnan(dice(nothing, nothing))


@settings(max_examples=25, deadline=None)
@given(greys, masks)
def test_toolbox_dice_is_the_mean_over_256_thresholds(grey, truth):
    probability = grey / 255
    low, high = int(grey.min()), int(grey.max())
    scores = []
    for threshold in range(255, -1, -1):
        # Whole numbers, so that ties at a grey level are ties: (g - low) / (high - low) ≥ t / 255.
        if low == high:
            predicted = grey >= threshold
        else:
            predicted = (grey.astype(int) - low) * 255 >= threshold * (high - low)
        total = predicted.sum() + truth.sum()
        scores.append(2 * (predicted & truth).sum() / total if total else 0)
    assert toolbox_dice(probability, truth) == pytest.approx(np.mean(scores), abs=1e-9)


def test_toolbox_dice_of_a_perfect_map_is_nearly_one_and_of_an_empty_one_nearly_zero():
    truth = np.zeros((20, 20), bool)
    truth[:5] = True
    # Only threshold 0, where everything counts as infected, keeps it from 1.
    assert toolbox_dice(truth.astype(float), truth) == pytest.approx((255 + 0.4) / 256)
    assert toolbox_dice(np.zeros((20, 20)), truth) == pytest.approx(0.4 / 256)
    assert toolbox_dice(np.zeros((20, 20)), ~truth & truth) == 0


@given(greys, masks)
def test_toolbox_mae_is_the_mean_distance_of_the_stretched_map(grey, truth):
    low, high = float(grey.min()), float(grey.max())
    total = 0.0
    for value, true in zip(grey.ravel(), truth.ravel(), strict=True):
        shown = (value - low) / (high - low) if high > low else value / 255
        total += abs(shown - true)
    assert toolbox_mae(grey / 255, truth) == pytest.approx(total / grey.size, abs=1e-9)


def test_a_constant_map_is_not_stretched():
    np.testing.assert_array_equal(stretched(np.full(SHAPE, 0.25)), np.full(SHAPE, 0.25))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_area_under_the_curve_counts_pairs_and_ties_half(rows):
    score, positive = np.array([s for s, _ in rows]), np.array([p for _, p in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    found = area_under_curve(score, positive)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


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
    figure = mean_with_interval(np.array([0.5, np.nan, 0.7]))
    assert (figure["mean"], figure["n"], figure["left_out"]) == (pytest.approx(0.6), 2, 1)
    nothing = mean_with_interval(np.array([np.nan]))
    assert (nothing["n"], nothing["left_out"]) == (0, 1)
    assert np.isnan(nothing["mean"])


def test_the_interval_of_an_area_holds_it():
    rng = np.random.default_rng(1)
    positive = np.arange(60) % 3 == 0
    score = rng.normal(0, 1, 60) + 1.5 * positive
    figure = area_under_curve_with_interval(score, positive)
    assert figure["low"] < figure["auc"] < figure["high"] < 1
    assert (figure["n"], figure["positive"]) == (60, 20)
    perfect = area_under_curve_with_interval(positive.astype(float), positive)
    assert (perfect["low"], perfect["auc"], perfect["high"]) == (1, 1, 1)


def test_maps_are_scored_slice_by_slice():
    rng = np.random.default_rng(2)
    maps = []
    for index in range(5):
        truth = np.zeros((30, 30), bool)
        truth[: 4 * (index + 1)] = True
        maps.append((str(index), np.clip(truth * 0.8 + rng.random((30, 30)) * 0.1, 0, 1), truth))
    figures = score_maps(iter(maps))
    assert figures["dice"]["mean"] == 1
    assert figures["dice"]["n"] == 5
    assert figures["area_correlation"] == pytest.approx(1)
    assert [row["name"] for row in figures["slices"]] == list("01234")
    assert figures["slices"][0]["true_fraction"] == pytest.approx(4 / 30)
    for name, probability, truth in maps:
        row = figures["slices"][int(name)]
        assert row["toolbox_dice"] == toolbox_dice(probability, truth)
        assert row["toolbox_mae"] == toolbox_mae(probability, truth)


def test_a_probability_of_one_half_counts_as_infected():
    truth = np.ones(SHAPE, bool)
    figures = score_maps([("a", np.full(SHAPE, 0.5), truth), ("b", np.full(SHAPE, 0.499), truth)])
    assert [row["dice"] for row in figures["slices"]] == [1, 0]


def test_slices_that_are_rightly_empty_are_left_out_of_the_mean_dice():
    empty, full = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    figures = score_maps([("clean", np.zeros(SHAPE), empty), ("ill", np.ones(SHAPE), full)])
    assert (figures["dice"]["mean"], figures["dice"]["n"], figures["dice"]["left_out"]) == (1, 1, 1)


def test_without_spread_there_is_no_correlation():
    full = np.ones(SHAPE, bool)
    assert score_maps([("a", np.ones(SHAPE), full)])["area_correlation"] is None


def test_a_map_of_another_size_than_its_truth_is_named(tmp_path):
    from PIL import Image

    for folder, shape in (("maps", (4, 5)), ("truth", (5, 4))):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / folder / "3.png")
    with pytest.raises(InputError, match=r"3\.png of maps is \(4, 5\)") as caught:
        on_released_maps(tmp_path / "maps", tmp_path / "truth")
    assert caught.value.code == "label-invalid"


def test_result_files_are_plain_json_with_command_and_interval(tmp_path):
    figures = {"a": float("nan"), "b": (1, np.float64(0.12345678)), "c": {"low": float("inf")}}
    write_result(tmp_path / "r.json", command="lungscore evaluate x", figures=figures, card=[])
    text = (tmp_path / "r.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["figures"] == {"a": None, "b": [1, 0.123457], "c": {"low": None}}
    assert found["command"] == "lungscore evaluate x"
    assert found["bootstrap"]["resamples"] == 10_000


def test_a_figure_is_told_with_its_interval_and_its_count():
    figure = {"mean": 0.75, "low": 0.7, "high": 0.791, "n": 24}
    assert with_interval(figure) == "0.750 [0.700, 0.791], n = 24"
