"""What a score says beside its total."""

import pytest

from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.severity import CT_SS_CUTOFF, PartScore, Score, ct_ss, ctsi, lhos, lss, tss
from lungscore.severity.scores import ZONES, mosmed_class, zone_score

REGION_NAMES = [name for name, _ in REGIONS]


@pytest.mark.parametrize(("total", "above"), [(0, False), (19, False), (20, True), (40, True)])
def test_ct_ss_is_above_its_cut_off_from_20_points(total, above):
    percents = dict.fromkeys(REGION_NAMES, 0.0) | dict.fromkeys(REGION_NAMES[: total // 2], 60.0)
    if total % 2:
        percents[REGION_NAMES[-1]] = 10.0
    score = ct_ss(percents)
    assert (score.total, score.above_cutoff) == (total, above)


def test_a_total_on_the_cut_off_is_not_above_it():
    assert Score(20, 40, cutoff=20.0).above_cutoff is False
    assert Score(21, 40, cutoff=20.0).above_cutoff is True


def test_without_a_total_or_a_cut_off_nothing_is_above():
    assert Score(None, 40, cutoff=19.5).above_cutoff is None
    assert Score(20, 40).above_cutoff is None
    assert Score(None, 40).above_cutoff is None


@pytest.mark.parametrize(
    ("function", "names", "maximum", "cutoff"),
    [
        (ct_ss, REGION_NAMES, 40, CT_SS_CUTOFF),
        (tss, LOBE_ORDER, 20, None),
        (ctsi, LOBE_ORDER, 25, None),
        (lss, LOBE_ORDER, 20, None),
        (lhos, LOBE_ORDER, 20, None),
        (zone_score, ZONES, 24, None),
    ],
)
def test_a_missing_part_leaves_no_total_and_is_named(function, names, maximum, cutoff):
    percents = dict.fromkeys(names, 30.0)
    whole = function(percents)
    assert whole.reason is None
    assert whole.maximum == maximum
    assert (whole.cutoff, list(whole.parts)) == (cutoff, list(names))
    percents[names[1]] = None
    del percents[names[3]]
    score = function(percents)
    assert (score.total, score.maximum, score.cutoff) == (None, maximum, cutoff)
    assert score.parts[names[1]] == score.parts[names[3]] == PartScore(None, None)
    assert score.parts[names[0]].percent == 30
    assert score.reason.endswith(f"of {names[1]}, {names[3]}")


def test_zones_are_named_by_side_and_height():
    assert ZONES == (
        "right upper",
        "right middle",
        "right lower",
        "left upper",
        "left middle",
        "left lower",
    )


def test_no_percent_has_no_class():
    assert mosmed_class(None) is None
    assert mosmed_class(0) == "CT-0"
