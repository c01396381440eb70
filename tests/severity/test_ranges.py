"""Ranges over alternatives: against measuring each of them whole, and what they withhold."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.errors import NOTICES
from lungscore.labels import LOBE_ORDER, LOBES, REGIONS
from lungscore.severity import WITHHOLDING, measure
from lungscore.severity.category import CATEGORIES
from lungscore.severity.ranges import too_uncertain
from lungscore.severity.severity import Ranges


@dataclass
class Others:
    """Whole label arrays as alternatives."""

    arrays: list

    @property
    def voxels(self):
        return np.flatnonzero(np.any(self.arrays, axis=0))

    def lesions(self):
        return (each.ravel()[self.voxels] for each in self.arrays)


def chest(depth=20, width=100):
    """20 regions, one a slice, of ``width`` voxels each; the last five columns are no lung."""
    shape = (depth, 1, width + 5)
    regions = np.broadcast_to(np.arange(1, 21, dtype=np.uint8)[:, None, None], shape).copy()
    lobe_of = np.array([LOBES[lobe] for _, lobe in REGIONS], dtype=np.uint8)
    lobes = np.broadcast_to(lobe_of[:, None, None], shape).copy()
    lungs = np.where(lobes >= LOBES["RUL"], 1, 2).astype(np.uint8)
    for labels in (regions, lobes, lungs):
        labels[..., width:] = 0
    return {"lungs": lungs, "lobes": lobes, "regions": regions}


def infected(maps, counts):
    """Lesions with ``counts`` infected voxels in each region."""
    lesions = np.zeros_like(maps["lungs"])
    for z, count in enumerate(counts):
        lesions[z, :, :count] = 1
    return lesions


PERCENTS = ("infection_percent", "ggo_percent", "consolidation_percent")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_ranges_are_those_of_measuring_every_alternative_whole(seed, sides, density):
    rng = np.random.default_rng(seed)
    maps = chest(width=20)
    lungs = maps["lungs"]
    more = {"voxel_ml": 5.0, "sides_known": sides}
    if sides:
        more |= {"lobes": maps["lobes"], "regions": maps["regions"]}
    else:
        lungs = (lungs > 0).astype(np.uint8)
    if density:
        more["dense"] = rng.random(lungs.shape) < 0.4
    chance = rng.random() ** 2
    arrays = [
        (rng.integers(1, 3, lungs.shape) * (rng.random(lungs.shape) < chance)).astype(np.uint8)
        for _ in range(4)
    ]
    found = measure(lungs, arrays[1], alternatives=Others(arrays), **more).ranges
    each = [measure(lungs, lesions, **more) for lesions in arrays]

    def span(numbers):
        numbers = list(numbers)
        return None if None in numbers else (min(numbers), max(numbers))

    assert found.alternatives == 4
    for name in (*PERCENTS, "infection_ml"):
        assert found.burden[name] == span(getattr(one.lungs, name) for one in each)
    for side in ("left", "right"):
        expected = span(getattr(one, side).infection_percent for one in each) if sides else None
        assert found.burden[f"{side}_percent"] == expected
    for name in ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones"):
        assert found.scores[name] == span(getattr(one, name).total for one in each)
    assert found.scores["po"] == span(one.po for one in each)
    assert found.scores["pho"] == span(one.pho for one in each)
    assert found.mosmed == span(one.mosmed for one in each)
    for lobe in LOBE_ORDER:
        for name in PERCENTS:
            expected = span(getattr(one.lobes[lobe], name) for one in each) if sides else None
            assert found.lobes[lobe][name] == expected
    for name in each[0].ct_ss.parts:
        percents = [one.ct_ss.parts[name].percent for one in each]
        assert found.regions[name] == (span(percents) if sides else None)
    for name in each[0].zones.parts:
        assert found.zones[name] == span(one.zones.parts[name].percent for one in each)
    reached = {one.category for one in each} - {None}
    assert set(found.categories) in (reached, set())


def measured(*alternatives, **more):
    """The first of the alternatives, with ranges over all of them."""
    maps = chest()
    arrays = [infected(maps, counts) for counts in alternatives]
    return measure(maps.pop("lungs"), arrays[0], alternatives=Others(arrays), **maps, **more)


NONE, MILD, MODERATE = [0] * 20, [20] * 10 + [0] * 10, [60] * 9 + [0] * 11
SEVERE, FAINT = [80] * 20, [2] * 20


def test_two_categories_that_touch_are_shown():
    severity = measured(MILD, NONE)
    assert (severity.category, severity.withheld) == ("mild", ())
    assert severity.ranges.categories == ("none", "mild")
    assert severity.ranges.burden["infection_percent"] == (0, 10)
    # At the cut-off of CT-SS, mild and severe touch.
    assert measured(MILD, FAINT).ranges.categories == ("mild", "severe")


@pytest.mark.parametrize("alternatives", [(MILD, NONE, MODERATE), (MODERATE, MILD, NONE)])
def test_three_categories_withhold_it(alternatives):
    severity = measured(*alternatives)
    assert severity.category is None
    assert severity.withheld == ("uncertain-infection",)
    assert severity.infected is None
    assert severity.ranges.categories == ()
    assert severity.basis.startswith("withheld: the network is too unsure")
    assert "none to moderate" in severity.basis
    codes = [notice.code for notice in severity.notices]
    assert codes[-2:] == ["uncertain-infection", "severity-withheld"]
    assert severity.ct_ss.total is not None


def test_surely_infected_stays_infected_when_the_category_is_withheld():
    severity = measured(MILD, MODERATE, SEVERE)
    assert severity.withheld == ("uncertain-infection",)
    assert severity.infected is True


def test_what_withholds_it_anyway_stays_the_reason():
    severity = measured(MILD, NONE, MODERATE, notice_codes=["truncated-scan"])
    assert severity.withheld == ("truncated-scan",)
    assert severity.ranges.categories == ()
    assert severity.ranges.burden["infection_percent"] is not None


@pytest.mark.parametrize(
    ("categories", "expected"),
    [
        ((), False),
        (("none",), False),
        (("none", "mild"), False),
        (("mild", "moderate"), False),
        (("mild", "severe"), False),
        (("moderate", "severe"), False),
        (("none", "moderate"), True),
        (("none", "severe"), True),
        (("none", "mild", "severe"), True),
        (("mild", "moderate", "severe"), True),
        (CATEGORIES, True),
    ],
)
def test_categories_too_many_or_too_far_apart_are_too_uncertain(categories, expected):
    assert too_uncertain(Ranges(9, {}, {}, None, categories, {})) is expected


def test_without_alternatives_there_are_no_ranges():
    maps = chest()
    lungs = maps.pop("lungs")
    assert measure(lungs, infected(chest(), MILD), **maps).ranges is None


def test_images_unlike_the_training_data_withhold_category_and_detection():
    severity = measured(MILD, notice_codes=["unlike-training"])
    assert (severity.category, severity.infected) == (None, None)
    assert severity.withheld == ("unlike-training",)
    assert severity.ct_ss.total == 10


def test_every_reason_is_a_notice():
    assert set(WITHHOLDING) <= set(NOTICES)
