"""Scoring classes of lesions: one figure a class, over the slices that hold it."""

import warnings

import numpy as np
import pytest

from lungscore.evaluation.infection import score_maps
from lungscore.evaluation.lesions import score_lesions
from lungscore.labels import CONSOLIDATION, GGO, PLEURAL_EFFUSION

SHAPE = (20, 24)


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def classes(ggo: slice, consolidation: slice) -> np.ndarray:
    """(H, W) classes: rows of ground glass and rows of consolidation."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[ggo, 4:20], labels[consolidation, 4:20] = GGO, CONSOLIDATION
    return labels


NONE = slice(0, 0)
MAPS = [
    ("both", classes(slice(2, 8), slice(8, 12)), classes(slice(2, 10), slice(10, 12))),
    ("ggo", classes(slice(2, 8), slice(9, 10)), classes(slice(2, 8), NONE)),
    ("clean ggo", classes(slice(2, 8), NONE), classes(slice(2, 8), NONE)),
]


def test_each_class_is_scored_over_the_slices_that_hold_it():
    figures = score_lesions(iter(MAPS))
    assert (figures["ggo"]["n"], figures["consolidation"]["n"]) == (3, 1)
    assert figures["ggo"]["dice"]["mean"] == pytest.approx((2 * 6 / 14 + 1 + 1) / 3)
    assert figures["consolidation"]["dice"]["mean"] == pytest.approx(2 * 2 / 6)
    assert [row["name"] for row in figures["consolidation"]["slices"]] == ["both"]
    assert "test_loss" not in figures


def test_a_class_found_on_slices_without_it_is_counted_apart():
    absent = score_lesions(MAPS)["consolidation"]["absent"]
    assert (absent["n"], absent["false_alarms"]) == (2, 1)
    assert absent["found_fraction"]["mean"] == pytest.approx(16 / (20 * 24) / 2)


def test_figures_are_those_of_the_class_as_a_map_of_its_own():
    figures = score_lesions(MAPS)
    for key, value in (("ggo", GGO), ("consolidation", CONSOLIDATION)):
        alone = score_maps((name, (f == value) * 1.0, t == value) for name, f, t in MAPS)
        for metric in ("dice", "iou", "toolbox_dice", "toolbox_s_measure", "hd95"):
            expected = alone["where_present"][metric]
            assert figures[key][metric] == pytest.approx(expected, nan_ok=True), metric


def probabilities(labels: np.ndarray, certainty: float) -> np.ndarray:
    """(3, H, W): ``certainty`` for the class of a pixel, the rest for the others."""
    chosen = labels[None] == np.arange(3)[:, None, None]
    return np.where(chosen, certainty, (1 - certainty) / 2)


def test_probabilities_give_their_largest_class_and_a_test_loss():
    sure = score_lesions((name, probabilities(f, 0.8), t) for name, f, t in MAPS)
    assert sure["ggo"]["slices"] == score_lesions(MAPS)["ggo"]["slices"]
    assert sure["test_losses"]["clean ggo"] == pytest.approx(-np.log(0.8))
    wrong = 2 * 16 / (20 * 24)
    expected = -(1 - wrong) * np.log(0.8) - wrong * np.log(0.1)
    assert sure["test_losses"]["both"] == pytest.approx(expected)
    assert sure["test_loss"]["n"] == 3


def test_pleural_effusion_is_background():
    labels = classes(slice(2, 8), NONE)
    truth = labels.copy()
    truth[15:18] = PLEURAL_EFFUSION
    figures = score_lesions([("a", probabilities(labels, 0.9), truth)])
    assert figures["ggo"]["dice"]["mean"] == 1
    assert figures["test_losses"]["a"] == pytest.approx(-np.log(0.9))


def test_a_class_that_no_slice_holds_has_no_figures():
    consolidation = score_lesions(MAPS[1:])["consolidation"]
    assert consolidation["n"] == 0
    assert "dice" not in consolidation
    assert (consolidation["absent"]["n"], consolidation["slices"]) == (2, [])


def test_distances_are_in_millimetres_where_spacing_is_known():
    spacings = {name: (0.5, 0.5) for name, _, _ in MAPS}
    in_pixels, in_mm = score_lesions(MAPS)["ggo"], score_lesions(MAPS, spacings)["ggo"]
    assert in_mm["distances"]["unit"] == "millimetres"
    assert in_mm["hd95"]["mean"] == pytest.approx(in_pixels["hd95"]["mean"] / 2)
