"""Scoring maps of many slices: rows, means, empty slices, units."""

import json
import time
import warnings

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.evaluation.infection import score_maps, score_slice
from lungscore.evaluation.protocols import on_released_maps
from lungscore.evaluation.results import write_result

SHAPE = (5, 6)
EMPTY, FULL = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def made_maps(count: int = 5) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Noisy but right maps: more and more rows are infected."""
    rng = np.random.default_rng(2)
    maps = []
    for index in range(count):
        truth = np.zeros((30, 30), bool)
        truth[: 4 * (index + 1)] = True
        maps.append((str(index), np.clip(truth * 0.8 + rng.random((30, 30)) * 0.1, 0, 1), truth))
    return maps


def test_maps_are_scored_slice_by_slice():
    figures = score_maps(iter(made_maps()))
    for key in ("dice", "iou", "sensitivity", "specificity", "precision", "surface_dice"):
        assert (figures[key]["mean"], figures[key]["n"]) == (1, 5), key
    assert figures["mae"]["mean"] == figures["hd95"]["mean"] == 0
    assert figures["area_correlation"] == pytest.approx(1)
    assert figures["area_agreement"]["bias"] == 0
    assert figures["pooled"]["dice"] == 1
    assert figures["toolbox_max"]["dice"] == 1
    assert [row["name"] for row in figures["slices"]] == list("01234")
    assert figures["slices"][0]["true_fraction"] == pytest.approx(4 / 30)
    for name, probability, truth in made_maps():
        row = dict(figures["slices"][int(name)])
        assert 0 < row.pop("test_loss") < 1
        assert row == score_slice(name, probability, truth).row


def test_means_do_not_depend_on_the_order_of_slices():
    forward, backward = score_maps(made_maps()), score_maps(made_maps()[::-1])
    for key, figure in forward.items():
        if isinstance(figure, dict) and "mean" in figure:
            assert figure["mean"] == pytest.approx(backward[key]["mean"]), key
    assert forward["pooled"] == backward["pooled"]


def test_pooled_figures_weigh_pixels_and_means_weigh_slices():
    half = np.arange(30).reshape(SHAPE) < 15
    small = half.copy()
    small[0, 1:] = small[1:] = False
    maps = [("large", half * 1.0, half), ("small", (~half) * 1.0, small)]
    figures = score_maps(maps)
    assert figures["dice"]["mean"] == 0.5
    assert figures["pooled"]["dice"] == pytest.approx(2 * 15 / (30 + 16))


def test_a_probability_of_one_half_counts_as_infected():
    maps = [("a", np.full(SHAPE, 0.5), FULL), ("b", np.full(SHAPE, 0.499), FULL)]
    assert [row["dice"] for row in score_maps(maps)["slices"]] == [1, 0]


def test_slices_that_are_rightly_empty_are_left_out_of_the_mean_dice():
    maps = [("clean", np.zeros(SHAPE), EMPTY), ("ill", np.ones(SHAPE), FULL)]
    figures = score_maps(maps)
    assert (figures["dice"]["mean"], figures["dice"]["n"], figures["dice"]["left_out"]) == (1, 1, 1)
    assert (figures["n"], figures["where_present"]["n"]) == (2, 1)


def test_false_alarms_count_but_not_where_the_truth_is_present():
    maps = [("alarm", np.ones(SHAPE), EMPTY), ("ill", np.ones(SHAPE), FULL)]
    figures = score_maps(maps)
    assert (figures["dice"]["mean"], figures["dice"]["n"]) == (0.5, 2)
    assert (figures["where_present"]["dice"]["mean"], figures["where_present"]["n"]) == (1, 1)
    assert (figures["hd95"]["n"], figures["hd95"]["left_out"]) == (1, 1)


def test_without_any_truth_nothing_is_said_about_present_slices():
    assert score_maps([("clean", np.zeros(SHAPE), EMPTY)])["where_present"] == {"n": 0}
    assert score_maps([])["n"] == 0


def test_without_spread_there_is_no_correlation():
    assert score_maps([("a", np.ones(SHAPE), FULL)])["area_correlation"] is None


def test_distances_are_in_millimetres_where_spacing_is_known():
    truth, moved = np.zeros((40, 40), bool), np.zeros((40, 40))
    truth[10:30, 10:30], moved[14:34, 10:30] = True, 1
    in_pixels = score_maps([("a", moved, truth)])
    in_mm = score_maps([("a", moved, truth)], {"a": (0.5, 0.5)})
    assert (in_pixels["hd95"]["mean"], in_pixels["distances"]["unit"]) == (4, "pixels of the slice")
    assert (in_mm["hd95"]["mean"], in_mm["distances"]["unit"]) == (2, "millimetres")
    assert in_mm["where_present"]["distances"] == in_mm["distances"]


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match=r"a: probabilities"):
        score_maps([("a", np.full(SHAPE, value), FULL)])


def test_a_truth_of_another_size_or_kind_is_refused():
    for truth in (FULL.T, FULL.astype(np.uint8)):
        with pytest.raises(ValueError, match="a: truth"):
            score_maps([("a", np.zeros(SHAPE), truth)])


def test_figures_can_be_written(tmp_path):
    figures = score_maps(made_maps(1))
    write_result(tmp_path / "r.json", command="c", figures=figures, card=[])
    assert json.loads((tmp_path / "r.json").read_text())["figures"]["n"] == 1


def test_a_slice_of_ordinary_size_is_scored_in_a_moment():
    truth = np.zeros((300, 400), bool)
    truth[50:250, 60:200] = True
    probability = np.clip(truth * 0.6 + np.random.default_rng(0).random(truth.shape) * 0.4, 0, 1)
    score_maps([("warm", probability, truth)])
    began = time.process_time()
    score_maps([("a", probability, truth)])
    assert time.process_time() - began < 0.5


def test_a_map_of_another_size_than_its_truth_is_named(tmp_path):
    from PIL import Image

    for folder, shape in (("maps", (4, 5)), ("truth", (5, 4))):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / folder / "3.png")
    with pytest.raises(InputError, match=r"3\.png of maps is \(4, 5\)") as caught:
        on_released_maps(tmp_path / "maps", tmp_path / "truth")
    assert caught.value.code == "label-invalid"
