"""Ranges over alternatives: against measuring each of them whole, and what they withhold."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.errors import NOTICES
from lungscore.labels import LOBE_ORDER, LOBES, REGIONS
from lungscore.severity import WITHHOLDING, Segmentation, measure
from lungscore.severity.category import CATEGORIES
from lungscore.severity.ranges import too_uncertain, with_unsure_lung
from lungscore.severity.severity import Burden, Ranges


@dataclass
class Others:
    """Whole label arrays as alternatives."""

    arrays: list

    @property
    def voxels(self):
        return np.flatnonzero(np.any(self.arrays, axis=0))

    def lesions(self):
        return (mask.ravel()[self.voxels] for mask in self.arrays)


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
    ranges = measure(Segmentation(lungs, arrays[1], alternatives=Others(arrays), **more)).ranges
    severities = [measure(Segmentation(lungs, lesions, **more)) for lesions in arrays]

    def span(numbers):
        numbers = list(numbers)
        return None if None in numbers else (min(numbers), max(numbers))

    assert ranges.alternatives == 4
    for name in (*PERCENTS, "infection_ml"):
        assert ranges.burden[name] == span(getattr(severity.lungs, name) for severity in severities)
    for side in ("left", "right"):
        expected = (
            span(getattr(severity, side).infection_percent for severity in severities)
            if sides
            else None
        )
        assert ranges.burden[f"{side}_percent"] == expected
    for name in ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones"):
        scores = [getattr(severity, name) for severity in severities]
        totals = [score.total for score in scores] + [score.total_cleared for score in scores]
        assert ranges.scores[name] == span(totals)
    assert ranges.scores["po"] == span(severity.po for severity in severities)
    assert ranges.scores["pho"] == span(severity.pho for severity in severities)
    assert ranges.mosmed == span(severity.mosmed for severity in severities)
    for lobe in LOBE_ORDER:
        for name in PERCENTS:
            expected = (
                span(getattr(severity.lobes[lobe], name) for severity in severities)
                if sides
                else None
            )
            assert ranges.lobes[lobe][name] == expected
    for name in severities[0].ct_ss.parts:
        percents = [severity.ct_ss.parts[name].percent for severity in severities]
        assert ranges.regions[name] == (span(percents) if sides else None)
    for name in severities[0].zones.parts:
        assert ranges.zones[name] == span(
            severity.zones.parts[name].percent for severity in severities
        )
    reached = {severity.category for severity in severities} - {None}
    assert set(ranges.categories) in (reached, set())


def measured(*alternatives, **more):
    """The first of the alternatives, with ranges over all of them."""
    maps = chest()
    arrays = [infected(maps, counts) for counts in alternatives]
    return measure(
        Segmentation(maps.pop("lungs"), arrays[0], alternatives=Others(arrays), **maps, **more)
    )


NONE, MILD, MODERATE = [0] * 20, [20] * 10 + [0] * 10, [60] * 9 + [0] * 11
SEVERE, FAINT = [80] * 20, [2] * 20


def test_two_categories_that_touch_are_shown():
    severity = measured(MILD, NONE)
    assert (severity.category, severity.withheld) == ("mild", ())
    assert severity.ranges.categories == ("none", "mild")
    assert severity.ranges.burden["infection_percent"] == (0, 10)
    # At the cut-off of CT-SS, mild and severe touch.
    assert measured(MILD, FAINT).ranges.categories == ("mild", "severe")


@pytest.mark.parametrize(
    ("alternatives", "message"),
    [
        ((MILD, FAINT), "The category is mild, or severe by CT-SS."),
        ((FAINT, MILD), "The category is severe, or mild by CT-SS."),
        (
            ([1] * 20, MILD),
            "The category is severe, or mild by CT-SS: "
            "20 regions with 0.5 to 2 % of opacity tip it.",
        ),
    ],
)
def test_the_notice_of_two_categories_says_what_tips_them(alternatives, message):
    (notice,) = (
        notice for notice in measured(*alternatives).notices if notice.code == "borderline-category"
    )
    assert notice.message == message


def test_the_category_without_faint_parts_is_reached_too():
    """CT-SS 20 of regions with 1 % each, or 0 of none."""
    ranges = measured([1] * 20).ranges
    assert (ranges.scores["ct_ss"], ranges.categories) == ((0, 20), ("mild", "severe"))
    assert measured(FAINT).ranges.categories == ("severe",)
    withheld = measured([1] * 20, notice_codes=["truncated-scan"]).ranges
    assert (withheld.scores["ct_ss"], withheld.categories) == ((0, 20), ())


def test_beside_a_withheld_category_others_are_not_named():
    """None is withheld of one lung; the other readings give a category each."""
    severity = measured(NONE, MILD, FAINT, notice_codes=["one-lung"])
    assert severity.withheld == ("one-lung",)
    assert severity.ranges.categories == ("mild", "severe")
    assert "borderline-category" not in {notice.code for notice in severity.notices}


@pytest.mark.parametrize("alternatives", [(MILD, NONE, MODERATE), (MODERATE, MILD, NONE)])
def test_three_categories_withhold_it(alternatives):
    severity = measured(*alternatives)
    assert severity.category is None
    assert severity.withheld == ("uncertain-infection",)
    assert severity.infected is None
    assert severity.ranges.categories == ()
    assert severity.basis.startswith("withheld: the network is too uncertain")
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
    assert measure(Segmentation(lungs, infected(chest(), MILD), **maps)).ranges is None


def test_images_unlike_the_training_data_withhold_category_and_detection():
    severity = measured(MILD, notice_codes=["unlike-training"])
    assert (severity.category, severity.infected) == (None, None)
    assert severity.withheld == ("unlike-training",)
    assert severity.ct_ss.total == 10


def test_every_reason_is_a_notice():
    assert set(WITHHOLDING) <= set(NOTICES)


def test_dense_tissue_that_may_be_lung_widens_the_range_both_ways():
    """2000 voxels of 1 ml, 100 of them infected: 5 %."""
    maps = chest()
    lesions = infected(maps, [5] * 20)
    alternatives = Others([lesions])
    more = {"voxel_ml": 1.0, "alternatives": alternatives, **maps}
    lungs = more.pop("lungs")

    def span(unsure_ml):
        ranges = measure(Segmentation(lungs, lesions, unsure_ml=unsure_ml, **more)).ranges
        return ranges.burden["infection_percent"], ranges.burden["infection_ml"]

    assert span((0.0, 0.0)) == ((5.0, 5.0), (100.0, 100.0))
    # 500 ml beside the lungs: healthy lung (100 of 2500) or infected lung (600 of 2500).
    assert span((0.0, 500.0)) == ((4.0, 24.0), (100.0, 600.0))
    # 60 ml of the lungs that may be none, all of it infected: 40 of 1940.
    low, high = span((60.0, 0.0))[0]
    assert low == pytest.approx(100 * 40 / 1940)
    assert high == 5.0
    # All that is infected may be none.
    assert span((200.0, 0.0)) == ((0.0, 5.0), (0.0, 100.0))


NO_RANGES = Ranges(9, {}, {}, None, (), {})


def test_what_may_be_no_lung_is_dense_and_nothing_else_changes():
    """Of 1000 ml, 10 to 20 % are infected, 8 to 12 % of it consolidation."""
    burden = {
        "infection_percent": (10.0, 20.0),
        "infection_ml": (100.0, 200.0),
        "ggo_percent": (2.0, 8.0),
        "consolidation_percent": (8.0, 12.0),
        "left_percent": None,
    }
    scores = {"ct_ss": (3.0, 4.0), "po": (10.0, 20.0), "pho": (7.0, 9.0)}
    ranges = replace(NO_RANGES, burden=burden, scores=scores)
    whole = Burden(1000.0, 150.0, 15.0, 5.0, 10.0, None)
    wider = with_unsure_lung(ranges, whole, 50.0, 0.0)
    assert wider.burden == burden | {
        "infection_percent": (pytest.approx(100 * 50 / 950), 20.0),
        "infection_ml": (50.0, 200.0),
        "consolidation_percent": (pytest.approx(100 * 30 / 950), 12.0),
    }
    assert wider.scores == scores | {
        "po": (pytest.approx(100 * 50 / 950), 20.0),
        "pho": (pytest.approx(100 * 20 / 950), 9.0),
    }
    wider = with_unsure_lung(ranges, whole, 0.0, 250.0)
    assert wider.burden["consolidation_percent"] == (pytest.approx(6.4), pytest.approx(29.6))
    assert wider.burden["infection_ml"] == (100.0, 450.0)
    # Where all of the lungs may be none, nothing is known but what they are if they are lungs.
    assert with_unsure_lung(ranges, whole, 1000.0, 0.0).burden["infection_percent"] == (10.0, 20.0)


@pytest.mark.parametrize(
    ("ml", "volume", "doubtful", "perhaps"),
    [(None, 1000.0, 5.0, 5.0), ((1.0, 2.0), None, 5.0, 5.0), ((1.0, 2.0), 1000.0, 0.0, 0.0)],
)
def test_without_millilitres_or_doubts_ranges_stay(ml, volume, doubtful, perhaps):
    burden = {"infection_percent": (10.0, 20.0), "infection_ml": ml}
    ranges = replace(NO_RANGES, burden=burden, scores={"po": None})
    whole = Burden(volume, None, None, None, None, None)
    assert with_unsure_lung(ranges, whole, doubtful, perhaps) is ranges


ONE_PERCENT = [1] * 20


def test_infected_in_every_reading_begins_at_one_percent():
    """One voxel in a hundred of each region is 1 % of the lungs, and CT-SS 20: severe."""
    severity = measured(ONE_PERCENT, MILD, MODERATE)
    assert severity.ranges.burden["infection_percent"] == (1, 27)
    assert severity.withheld == ("uncertain-infection",)
    assert severity.infected is True


def test_infected_in_no_surer_a_way_than_at_one_percent_is_not_said():
    severity = measured(ONE_PERCENT, NONE)
    assert severity.ranges.burden["infection_percent"] == (0, 1)
    assert severity.withheld == ("uncertain-infection",)
    assert severity.infected is None


def test_both_notices_of_an_uncertain_category_tell_from_what_to_what():
    severity = measured(MILD, NONE, MODERATE)
    *_, uncertain, withheld = severity.notices
    for message in (uncertain.message, withheld.message, severity.basis):
        assert WITHHOLDING["uncertain-infection"] in message
        assert "none to moderate" in message
    assert severity.ranges.alternatives == 3


def test_ranges_of_a_known_chest_by_hand():
    ranges = measured(MILD, MODERATE).ranges
    assert ranges.mosmed == ("CT-1", "CT-2")
    assert ranges.scores["ct_ss"] == (10, 18)
    assert ranges.burden["ggo_percent"] == (10, 27)
    assert ranges.burden["consolidation_percent"] == (0, 0)
    assert ranges.burden["infection_ml"] is None
    assert ranges.categories == ("mild", "moderate")
    assert ranges.regions[REGIONS[0][0]] == (20, 60)
    assert ranges.zones.keys() == {
        f"{side} {height}" for side in ("right", "left") for height in ("upper", "middle", "lower")
    }
    assert ranges.lobes.keys() == set(LOBE_ORDER)
    assert ranges.lobes["RUL"].keys() == set(PERCENTS)


def test_ranges_without_sides_or_category_are_none_where_the_number_is():
    lungs = np.ones((4, 4, 4), np.uint8)
    arrays = [np.zeros_like(lungs), lungs]
    ranges = measure(
        Segmentation(lungs, arrays[0], sides_known=False, alternatives=Others(arrays))
    ).ranges
    assert ranges.burden["left_percent"] is ranges.burden["right_percent"] is None
    assert ranges.categories == ()
    assert ranges.burden["infection_percent"] == (0, 100)
    flat = measure(
        Segmentation(lungs[:1], arrays[0][:1], alternatives=Others([a[:1] for a in arrays]))
    ).ranges
    assert flat.mosmed is None
    assert flat.scores["po"] is None


def test_ranges_of_each_side_and_of_high_opacity():
    maps = chest()
    dense = np.zeros(maps["lungs"].shape, bool)
    dense[..., ::2] = True
    ranges = measured(MILD, MODERATE, dense=dense).ranges
    severities = [measured(counts, dense=dense) for counts in (MILD, MODERATE)]
    for side in ("left", "right"):
        percents = [getattr(severity, side).infection_percent for severity in severities]
        assert ranges.burden[f"{side}_percent"] == (min(percents), max(percents))
    assert ranges.scores["pho"] == (severities[0].pho, severities[1].pho)
    assert ranges.scores["po"] == (10, 27)
