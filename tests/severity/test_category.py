"""The severity category, and when it is withheld."""

import math

import numpy as np
import pytest

from lungscore.errors import NOTICES
from lungscore.labels import LOBES, REGIONS
from lungscore.severity import CT_SS_CUTOFF, RULE, WITHHOLDING, Score, Segmentation, measure
from lungscore.severity.category import UNTRUSTED, categorise, withheld_codes

DEPTH = 20


def chest(per_mille: dict[int, int] | int):
    """20 regions of 1000 voxels, z = region; infected voxels per region."""
    shape = (DEPTH, 1, 1000)
    regions = np.broadcast_to(np.arange(1, 21, dtype=np.uint8)[:, None, None], shape)
    lobe_of = np.array([LOBES[lobe] for _, lobe in REGIONS], dtype=np.uint8)
    lobes = np.broadcast_to(lobe_of[:, None, None], shape)
    lungs = np.where(lobes >= LOBES["RUL"], 1, 2).astype(np.uint8)
    lesions = np.zeros(shape, dtype=np.uint8)
    if isinstance(per_mille, int):
        per_mille = dict.fromkeys(range(DEPTH), per_mille)
    for z, infected in per_mille.items():
        lesions[z, :, :infected] = 1
    return {"lungs": lungs, "lesions": lesions, "lobes": lobes, "regions": regions}


def measured(maps, **more):
    maps = dict(maps)
    return measure(Segmentation(maps.pop("lungs"), maps.pop("lesions"), **maps, **more))


@pytest.mark.parametrize(
    ("per_mille", "category"),
    [
        (0, "none"),
        (9, "none"),
        ({0: 199}, "none"),
        ({0: 200}, "mild"),
        (dict.fromkeys(range(9), 555), "mild"),
        (dict.fromkeys(range(9), 556), "moderate"),
        (dict.fromkeys(range(9), 1000), "moderate"),
        (dict.fromkeys(range(10), 1000), "severe"),
        (dict.fromkeys(range(19), 11), "mild"),
        (10, "severe"),
        (1000, "severe"),
    ],
)
def test_category_follows_its_rule(per_mille, category):
    severity = measured(chest(per_mille))
    assert severity.category == category
    assert severity.withheld == ()
    assert severity.infected == (category != "none")


def test_many_faint_regions_that_are_severe_by_ct_ss_are_named_as_such():
    assert "many lightly affected regions" in measured(chest(10)).basis


@pytest.mark.parametrize("per_mille", [0, 9])
def test_below_the_floor_nothing_is_called_infected(per_mille):
    severity = measured(chest(per_mille))
    assert severity.infected is False
    assert severity.ct_ss.total == 0


@pytest.mark.parametrize("litres", [0.299, 10.01])
def test_an_impossible_lung_volume_withholds_the_category(litres):
    severity = measured(chest(100), voxel_ml=litres * 1000 / (DEPTH * 1000))
    assert severity.category is None
    assert severity.withheld == ("lung-volume",)
    assert severity.infected is None
    assert {"lung-volume", "severity-withheld"} <= {notice.code for notice in severity.notices}


@pytest.mark.parametrize("litres", [0.3, 0.99])
def test_small_lungs_are_scored_with_a_warning(litres):
    severity = measured(chest(10), voxel_ml=litres / DEPTH)
    assert severity.category == "severe"
    assert [notice.code for notice in severity.notices if notice.code == "lung-volume"]


def test_a_noted_lung_volume_alone_does_not_withhold():
    severity = measured(chest(10), voxel_ml=0.8 / DEPTH, notice_codes=["lung-volume", "contrast"])
    assert severity.category == "severe"


def test_a_truncated_scan_withholds_the_category_and_the_detection():
    severity = measured(chest(100), notice_codes=["truncated-scan"])
    assert (severity.category, severity.infected) == (None, None)
    assert severity.withheld == ("truncated-scan",)
    assert severity.ct_ss.total == 20


def test_interpolated_faulty_slices_withhold_the_category():
    severity = measured(chest(100), notice_codes=["slices-replaced"])
    assert severity.category is None
    assert severity.withheld == ("slices-replaced",)


def test_one_slice_has_percents_but_no_score_of_a_volume():
    lungs = np.ones((1, 4, 4), dtype=np.uint8)
    lesions = np.zeros_like(lungs)
    lesions[0, 0] = 1
    severity = measure(Segmentation(lungs, lesions, sides_known=False, voxel_ml=0.001))
    assert severity.lungs.infection_percent == 25
    assert severity.withheld == ("single-slice", "unknown-orientation")
    totals = [severity.ct_ss, severity.tss, severity.ctsi, severity.lss, severity.zones]
    assert all(score.total is None and score.reason for score in totals)
    assert (severity.po, severity.mosmed, severity.infected) == (None, None, None)


def test_unknown_sides_leave_percents_of_both_lungs_only():
    lungs = np.ones((3, 4, 4), dtype=np.uint8)
    severity = measure(Segmentation(lungs, np.zeros_like(lungs), sides_known=False))
    assert severity.withheld == ("unknown-orientation",)
    assert (severity.right, severity.left, severity.tss.total) == (None, None, None)
    assert (severity.po, severity.mosmed, severity.infected) == (0, "CT-0", False)
    with pytest.raises(ValueError, match="sides"):
        measure(Segmentation(lungs, np.zeros_like(lungs), lobes=lungs, sides_known=False))


def test_a_missing_lobe_is_not_scored_as_clean():
    maps = chest(10)
    maps["lungs"] = np.where(maps["lobes"] == LOBES["RML"], 0, maps["lungs"]).astype(np.uint8)
    severity = measured(maps)
    assert severity.lobes["RML"].infection_percent is None
    assert severity.tss.total is None
    assert "RML" in severity.tss.reason
    assert severity.tss.parts["RUL"].score == 1
    assert severity.withheld == ("not-computable",)
    assert any("right middle lobe" in notice.message for notice in severity.notices)


def test_without_hounsfield_units_high_opacity_is_not_computed():
    severity = measured(chest(10), dense=None)
    assert (severity.pho, severity.lhos.total) == (None, None)
    assert "Hounsfield" in severity.lhos.reason
    assert severity.category == "severe"


def test_no_lungs_at_all_gives_no_number():
    empty = np.zeros((3, 4, 4), dtype=np.uint8)
    severity = measure(Segmentation(empty, empty))
    assert severity.lungs.infection_percent is None
    assert (severity.category, severity.mosmed, severity.infected) == (None, None, None)
    assert all(part.infection_percent is None for part in severity.slices)


def test_every_reason_to_withhold_is_a_known_notice():
    assert set(WITHHOLDING) <= set(NOTICES)


@pytest.mark.parametrize("code", UNTRUSTED)
def test_none_is_said_of_trusted_and_whole_lungs_alone(code):
    nothing = measured(chest(0), notice_codes=[code, "contrast"])
    assert nothing.category is None
    assert nothing.withheld == (code,)
    assert nothing.infected is None
    assert UNTRUSTED[code] in nothing.basis
    assert any(UNTRUSTED[code] in notice.message for notice in nothing.notices)
    assert measured(chest({0: 200}), notice_codes=[code]).category == "mild"


def test_several_reasons_to_withhold_none_stand_apart():
    nothing = measured(chest(0), notice_codes=["lungs-uneven", "one-lung"])
    assert nothing.withheld == ("one-lung", "lungs-uneven")
    reasons = f"{UNTRUSTED['one-lung']}; {UNTRUSTED['lungs-uneven']}"
    assert nothing.basis.endswith(f" in what was found, but {reasons}")


def test_doubtful_lungs_withhold_every_category():
    for infected in (0, 500):
        severity = measured(chest(infected), notice_codes=["lungs-doubtful"])
        assert severity.withheld == ("lungs-doubtful",)
        assert severity.infected is None


def test_reasons_to_withhold_none_are_known_notices():
    assert set(UNTRUSTED) <= set(NOTICES)
    assert not set(UNTRUSTED) & set(WITHHOLDING)


# The rule itself, at its edges


def score(total):
    return Score(total, 40, CT_SS_CUTOFF)


@pytest.mark.parametrize(
    ("percent", "total", "category", "said"),
    [
        (math.nextafter(1, 0), 40, "none", "opacity of 1.0 % of the lungs is below"),
        (1, 0, "mild", "opacity of 1.0 % of the lungs is at most 25 %"),
        (25, 19, "mild", "opacity of 25.0 % of the lungs is at most 25 %"),
        (math.nextafter(25, 26), 19, "moderate", "opacity of 25.0 % of the lungs is above 25 %"),
        (50, 19, "moderate", "opacity of 50.0 % of the lungs is above 25 %"),
        (math.nextafter(50, 51), 0, "severe", "opacity of 50.0 % of the lungs is above 50 %"),
        (51, 40, "severe", "above 50 %"),
        (50, 20, "severe", "CT-SS 20 is above"),
        (25, 20, "severe", "lightly affected regions: opacity of 25.0 % of the lungs"),
        (1, 20, "severe", "lightly affected regions: opacity of 1.0 % of the lungs"),
    ],
)
def test_each_category_begins_where_its_cut_off_says(percent, total, category, said):
    named, reason = categorise(percent, score(total))
    assert named == category
    assert said in reason
    assert ("lightly" in reason) == ("lightly" in said)


def test_a_category_needs_a_ct_ss():
    with pytest.raises(ValueError, match="CT-SS"):
        categorise(10, score(None))


def codes(**given):
    usual = {"lungs_ml": 4000.0, "depth": 40, "sides_known": True, "notice_codes": ()}
    return withheld_codes(**(usual | given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ()),
        ({"lungs_ml": None}, ()),
        ({"lungs_ml": 300.0}, ()),
        ({"lungs_ml": 299.9}, ("lung-volume",)),
        ({"lungs_ml": 10_000.0}, ()),
        ({"lungs_ml": 10_001.0}, ("lung-volume",)),
        ({"lungs_ml": 10_001.0, "depth": 2}, ("lung-volume",)),
        ({"lungs_ml": 10.0, "depth": 1}, ("single-slice",)),
        ({"depth": 2}, ()),
        ({"sides_known": False}, ("unknown-orientation",)),
        ({"in_lobes_percent": 60.0}, ()),
        ({"in_lobes_percent": math.nextafter(60, 0)}, ("lobes-incomplete",)),
        ({"notice_codes": ["lung-volume", "contrast", "lobes-incomplete"]}, ()),
        *(
            ({"notice_codes": ["contrast", code]}, (code,))
            for code in (
                "truncated-scan",
                "coarse-pixels",
                "unlike-training",
                "single-slice",
                "unknown-orientation",
            )
        ),
        (
            {"notice_codes": ["unlike-training", "truncated-scan"], "lungs_ml": 1.0},
            ("lung-volume", "truncated-scan", "unlike-training"),
        ),
    ],
)
def test_each_reason_withholds_at_its_edge(given, expected):
    assert codes(**given) == expected


@pytest.mark.parametrize(
    "code", ["truncated-scan", "coarse-pixels", "unlike-training", "single-slice"]
)
def test_of_an_unsuitable_scan_not_even_infected_is_said(code):
    severity = measured(chest(100), notice_codes=[code])
    assert (severity.withheld, severity.infected) == ((code,), None)


@pytest.mark.parametrize("code", ["unknown-orientation"])
def test_of_other_scans_infected_is_said_without_a_category(code):
    severity = measured(chest(100), notice_codes=[code])
    assert (severity.withheld, severity.infected) == ((code,), True)


def test_every_reason_is_a_sentence_and_is_told_twice():
    for code, sentence in WITHHOLDING.items():
        assert len(sentence.split()) > 3
        if code in ("not-computable", "uncertain-infection", "lung-volume", "lobes-incomplete"):
            continue  # these are not noted of a scan: see their own tests
        severity = measured(chest(100), notice_codes=[code])
        assert severity.basis == f"withheld: {sentence}"
        told = [n.message for n in severity.notices if n.code == "severity-withheld"]
        assert told == [f"No severity category is given: {sentence}."]


def test_several_reasons_are_all_told():
    severity = measured(chest(100), notice_codes=["unlike-training", "truncated-scan"])
    both = "; ".join(WITHHOLDING[code] for code in ("truncated-scan", "unlike-training"))
    assert severity.basis == f"withheld: {both}"
    assert severity.notices[-1].message == f"No severity category is given: {both}."


@pytest.mark.parametrize(("litres", "noticed"), [(0.9999, True), (1.0, False), (1.05, False)])
def test_lungs_of_a_litre_are_not_small(litres, noticed):
    severity = measured(chest(10), voxel_ml=litres / DEPTH)
    assert ("lung-volume" in {notice.code for notice in severity.notices}) == noticed


def test_the_rule_names_its_cut_offs():
    for number in ("1 %", "25 %", "50 %", "19.5"):
        assert number in RULE
