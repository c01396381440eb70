"""What the severity scores are worth: comparison, painted disease, and the section on the page."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import score_performance_page
from lungscore.assessment import as_lungs, assess
from lungscore.inference import Lesions
from lungscore.labels import CONSOLIDATION, GGO, LOBE_ORDER, LOBES
from lungscore.scan.phantom import Phantom, make_phantom
from painted_lesions import GGO_RISE_HU, NET_HU, SOLID_HU, paint_lesions
from real_lobe_phantoms import SPACING_MM, LobePhantom, middle_slices, thick_slices
from score_performance import Masks, agreement, cause, compared, slice_agreement

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    """Three made-up chests, from few patches to many."""
    presets = ("few-patches", "several-patches", "many-patches")
    return [make_phantom(preset, seed=5, shape=(28, 64, 64)) for preset in presets]


def row(phantom: Phantom, lesions: np.ndarray) -> dict[str, Any]:
    """What is compared if ``lesions`` are found in a phantom, its lungs and lobes as they are."""
    truth = Masks(phantom.lungs, phantom.lobes, phantom.lesions)
    lungs = as_lungs(phantom.lungs, "lungs")
    found = assess(phantom.scan, lungs, Lesions(lesions, (), None), lobes=phantom.lobes)
    return compared(phantom.scan, truth, found)


def test_right_masks_have_the_right_scores(phantoms: list[Phantom]) -> None:
    figures = agreement([row(phantom, phantom.lesions) for phantom in phantoms])
    assert figures["regions_right"]["mean"] == 1
    assert figures["category"]["right"]["value"] == 1
    assert figures["causes"] == {"all right": 3}
    for score in figures["scores"].values():
        assert score["icc"]["value"] == pytest.approx(1)
        assert score["mean_absolute_error"]["mean"] == 0


def test_missed_infection_is_an_error_and_named_as_its_cause(phantoms: list[Phantom]) -> None:
    halves = [np.where(np.arange(64) < 32, phantom.lesions, 0) for phantom in phantoms]
    rows = [row(*pair) for pair in zip(phantoms, (h.astype(np.uint8) for h in halves), strict=True)]
    figures = agreement(rows)
    assert figures["regions_right"]["mean"] < 0.9
    assert figures["scores"]["ct_ss"]["mean_error"]["mean"] < 0
    assert figures["scores"]["po"]["icc"]["value"] < 0.95
    assert figures["causes"] == {"infection": 3}
    assert figures["regions_right_with_true"]["infection"]["mean"] == 1
    assert figures["masks"]["infection_found"]["mean"] < 1
    right = [entry["regions_right"] for entry in figures["phantoms"]]
    assert right == sorted(right)


def test_the_numbers_are_those_of_the_truth_of_the_phantom(phantoms: list[Phantom]) -> None:
    (phantom, *_) = phantoms
    entry = row(phantom, phantom.lesions)
    assert entry["true"]["po"] == pytest.approx(phantom.truth["infection_percent"])
    assert entry["true"] == entry["found"]
    assert entry["lungs_dice"] == entry["infection_found"] == entry["lobes_right"] == 1


def test_a_withheld_category_is_not_right_and_has_no_part_in_kappa(
    phantoms: list[Phantom],
) -> None:
    rows = [row(phantom, phantom.lesions) for phantom in phantoms for _ in range(2)]
    withheld = copy.deepcopy(rows)
    withheld[0]["found"]["category"] = None
    category = agreement(withheld)["category"]
    assert category["withheld"] == 1
    assert category["right"]["value"] == pytest.approx(5 / 6)
    assert category["kappa"]["n"] == 5


@pytest.mark.parametrize(
    ("right", "infection", "lobes", "both", "expected"),
    [
        (20, 20, 20, 20, None),
        (12, 19, 13, 20, "infection"),
        (12, 13, 18, 20, "lobe borders"),
        (12, 13, 13, 14, "lungs"),
        (18, 18, 17, 20, "infection and lobe borders together"),
    ],
)
def test_the_cause_is_what_would_put_most_regions_right(
    right: int, infection: int, lobes: int, both: int, expected: str | None
) -> None:
    right_with = {"infection": infection, "lobes": lobes, "both": both}
    assert cause(right, right_with) == expected


def test_equal_percents_of_slices_agree_and_others_do_not() -> None:
    true, names = np.array([0.4, 3.0, 20.0, 40.0, 60.0, 90.0]), list("abcdef")
    same, worse = slice_agreement(names, true, true), slice_agreement(names, true[::-1], true)
    assert same["icc"]["value"] == same["classes"]["equal"]["value"] == 1
    assert [entry["classes"][1] for entry in same["slices"]] == [0, 1, 1, 2, 3, 4]
    assert worse["icc"]["value"] < 0
    assert worse["classes"]["kappa"]["value"] < 0


@pytest.fixture(scope="module")
def lungs() -> LobePhantom:
    """Two blocks of lung, five lobes one above the other, in soft tissue."""
    lobes = np.zeros((64, 60, 110), np.uint8)
    for number, name in enumerate(LOBE_ORDER):
        side = slice(5, 50) if name.startswith("R") else slice(60, 105)
        lobes[4 + 12 * (number % 3) : 40, 8:52, side] = LOBES[name]
    values = np.where(lobes > 0, -880, 40).astype(np.int16)
    return LobePhantom(values, lobes, SPACING_MM)


def test_painted_masks_lie_where_the_values_changed(lungs: LobePhantom) -> None:
    values, labels = paint_lesions(lungs, 3, 0.4)
    rise = values.astype(int) - lungs.values
    assert set(np.unique(labels)) == {0, GGO, CONSOLIDATION}
    assert not labels[lungs.lobes == 0].any()
    assert not rise[lungs.lobes == 0].any()
    # A border is soft: at most half of a lesion is painted outside of its mask.
    assert rise[(lungs.lobes > 0) & (labels == 0)].max() <= 0.5 * (SOLID_HU + 880) + 60
    ggo = rise[labels == GGO]
    assert ggo.min() >= 0.5 * 0.6 * GGO_RISE_HU[0] - 1
    assert np.median(ggo) < GGO_RISE_HU[1] + NET_HU
    solid = values[labels == CONSOLIDATION]
    assert np.median(solid) > -250
    assert np.percentile(solid, 95) == pytest.approx(SOLID_HU, abs=60)


def test_disease_follows_the_seed_and_grows_with_the_extent(lungs: LobePhantom) -> None:
    again, first = paint_lesions(lungs, 3, 0.4), paint_lesions(lungs, 3, 0.4)
    assert all(np.array_equal(*pair) for pair in zip(again, first, strict=True))
    shares = [(paint_lesions(lungs, 3, extent)[1] > 0).mean() for extent in (0, 0.5, 1)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.05 < shares[2]


def test_thick_slices_and_their_masks_belong_together(lungs: LobePhantom) -> None:
    values, labels = paint_lesions(lungs, 3, 0.4)
    thick = thick_slices(replace(lungs, values=values))
    assert middle_slices(labels).shape == thick.values.shape
    assert np.array_equal(middle_slices(lungs.lobes), thick.lobes)


def test_the_page_holds_the_section_of_the_result_file() -> None:
    file = ROOT / "experiments/results/score-performance.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    section = score_performance_page.section(content)
    assert section in (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    assert f"{content['figures']['slices']['icc']['value']:.3f}" in section
