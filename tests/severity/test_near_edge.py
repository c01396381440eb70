"""Scores near the floor: what is marked, and that the ranges hold what clearing by hand gives."""

import numpy as np
import pytest

from lungscore.anatomy import divide_regions
from lungscore.labels import LEFT_LUNG
from lungscore.severity import Segmentation, ct_ss, measure
from lungscore.severity.category import outcomes_text
from lungscore.severity.edges import near_floor
from tests.severity.test_ranges import FAINT, MILD, Others, chest, infected, measured

TOTALS = ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones")


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (None, False),
        (0.0, False),
        (0.499, False),
        (0.5, True),
        (0.999, True),
        (1.0, True),
        (1.999, True),
        (2.0, False),
        (50.0, False),
    ],
)
def test_near_the_floor_is_from_half_a_percent_to_below_two(percent, expected):
    assert near_floor(percent) is expected


def test_the_cleared_total_leaves_out_what_is_near_the_floor():
    names = list(ct_ss({}).parts)
    percents = dict.fromkeys(names, 0.0) | {names[0]: 1.5, names[1]: 0.7, names[2]: 60.0}
    score = ct_ss(percents)
    assert score.near_edge == (names[0], names[1])
    assert (score.total, score.total_cleared) == (3, 2)
    assert ct_ss({}).total_cleared is None


@pytest.mark.parametrize("preset", ["several-patches", "moderate"])
def test_totals_after_clearing_false_positives_by_hand_lie_in_the_ranges_stated_before(
    small_phantom, preset
):
    """Noise of about 1.5 % of each left region, which a reader then takes away."""
    phantom = small_phantom(preset)
    lungs, lobes = phantom.lungs, phantom.lobes
    regions = divide_regions(lobes, phantom.scan.spacing_mm)
    cleared = np.where(lungs == LEFT_LUNG, 0, phantom.lesions).astype(np.uint8)
    planted = cleared.copy()
    for region in np.unique(regions[lungs == LEFT_LUNG]):
        voxels = np.flatnonzero((regions == region) & (lungs == LEFT_LUNG))
        count = int(np.ceil(0.015 * voxels.size))
        planted.ravel()[voxels[:: voxels.size // count][:count]] = 1
    more = {"lobes": lobes, "regions": regions, "voxel_ml": phantom.scan.voxel_ml}
    more["dense"] = np.ones(lungs.shape, bool)
    before = measure(Segmentation(lungs, planted, alternatives=Others([planted]), **more))
    after = measure(Segmentation(lungs, cleared, **more))
    assert after.ct_ss.total < before.ct_ss.total
    for name in TOTALS:
        low, high = before.ranges.scores[name]
        assert low <= getattr(after, name).total <= high, name
        assert high == getattr(before, name).total
    assert after.category in before.ranges.categories


def test_a_category_that_faint_regions_tip_says_so():
    """Twenty regions of 1 %, one voxel in a hundred each, and a CT-SS of 20."""
    severity = measured([1] * 20)
    assert (severity.category, severity.ranges.categories) == ("severe", ("mild", "severe"))
    (notice,) = [n for n in severity.notices if n.code == "borderline-category"]
    assert "severe, or mild by CT-SS: 20 regions with 0.5 to 2 % of opacity" in notice.message
    assert severity.ranges.scores["ct_ss"] == (0, 20)
    # Two percent is no longer near the floor.
    assert measured(FAINT).ranges.categories == ("severe",)


def test_a_category_that_other_readings_tip_says_so_and_a_sure_one_does_not():
    notices = measured(MILD, FAINT).notices
    assert [n.message for n in notices if n.code == "borderline-category"] == [
        "The category is mild, or severe by CT-SS."
    ]
    assert "borderline-category" not in {n.code for n in measured(MILD, MILD).notices}


def test_without_alternatives_the_parts_are_marked_all_the_same():
    maps = chest()
    severity = measure(Segmentation(maps.pop("lungs"), infected(chest(), [1] * 20), **maps))
    assert severity.ranges is None
    assert len(severity.ct_ss.near_edge) == 20


@pytest.mark.parametrize(
    ("category", "categories", "percents", "text"),
    [
        ("mild", ("mild",), (5, 9), "mild"),
        ("mild", ("none", "mild"), (0.5, 9), "mild, or none by extent"),
        ("mild", ("mild", "severe"), (5, 9), "mild, or severe by CT-SS"),
        ("mild", ("mild", "severe"), (5, 50), "mild, or severe by CT-SS"),
        ("mild", ("mild", "severe"), (5, 50.1), "mild, or severe by extent"),
        ("severe", ("mild", "severe"), (5, 9), "severe, or mild by CT-SS"),
        ("severe", ("moderate", "severe"), (30, 60), "severe, or moderate by extent"),
        ("mild", ("mild", "moderate"), (20, 30), "mild, or moderate by extent"),
        ("mild", ("mild", "severe"), None, "mild, or severe by extent"),
    ],
)
def test_the_category_with_its_range_says_the_outcomes_and_what_tips_them(
    category, categories, percents, text
):
    assert outcomes_text(category, categories, percents) == text


def test_what_is_near_the_floor_is_cleared_under_every_reading():
    """Three percent in one region are not near it, but are one percent under another reading."""
    severity = measured([3] + [0] * 19, [1] + [0] * 19)
    assert (severity.ct_ss.total, severity.ct_ss.near_edge) == (1, ())
    assert severity.ranges.scores["ct_ss"] == (0, 1)
