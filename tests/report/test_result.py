"""result.json: the contract, null rules and stable bytes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lungscore.anatomy.moved_lobes import LobeConfidence
from lungscore.inference.readings import THRESHOLDS
from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.report.page import render_page
from lungscore.report.text import text_table
from lungscore.result import Detected, Result, json_schema, to_result
from lungscore.result.ranges import BASIS

KEYS = {
    "schema",
    "case",
    "input",
    "lungs",
    "burden",
    "scores",
    "severity",
    "aeration",
    "lesions",
    "distribution",
    "lobes",
    "slices",
    "detection",
    "reliability",
    "warnings",
    "models",
    "engine",
    "ranges",
}
PATTERNS = ("aeration", "lesions", "distribution")
CASES = {
    "hu": {},
    "grey": {"units": "grey", "spacing": False},
    "one slice": {"units": "grey", "spacing": False, "sides": False, "depth": 1},
    "unknown sides": {"sides": False},
    "masks only": {"masks_only": True},
    "healthy": {"infected": False},
    "ranges": {"ranges": True},
    "ranges of one slice": {"ranges": True, "depth": 1, "sides": False},
}


def keys(content):
    """All keys at every depth, without the values."""
    if isinstance(content, dict):
        return {key: keys(value) for key, value in content.items()}
    return None


@pytest.mark.parametrize("case", CASES)
def test_every_case_is_a_valid_result_with_all_keys(make_analysis, case):
    analysis = make_analysis(**CASES[case])
    content = json.loads(to_result(analysis).to_json())
    assert set(content) == KEYS
    assert content["schema"] == "lungscore.result/1"
    Result.model_validate(content)
    full = json.loads(to_result(make_analysis()).to_json())
    for section in ("input", "lungs", "burden", "severity", *PATTERNS, "detection", "lobes"):
        assert keys(content[section]) == keys(full[section])
    assert set(content["scores"]) == set(full["scores"])
    assert list(content["scores"]["ct_ss"]["regions"]) == [name for name, _ in REGIONS]
    assert list(content["lobes"]) == list(LOBE_ORDER)
    assert len(content["slices"]) == analysis.scan.shape[0]


def test_equal_analyses_give_equal_bytes(make_analysis):
    first, second = make_analysis(), make_analysis()
    object.__setattr__(second, "times", {"read": 99.0})
    assert to_result(first).to_json() == to_result(second).to_json()


NAMES = {
    "burden": {
        "infection_percent",
        "ggo_percent",
        "consolidation_percent",
        "infection_ml",
        "left_percent",
        "right_percent",
    },
    "scores": {"ct_ss", "tss", "ctsi", "po", "pho", "lss", "lhos", "mosmed", "zones"},
    "severity": {"category"},
    "lobes": set(LOBE_ORDER),
}


@pytest.mark.parametrize("case", [{}, {"depth": 1, "sides": False}, {"units": "grey"}])
def test_every_number_lies_in_its_range_and_is_null_with_it(make_analysis, case):
    content = json.loads(to_result(make_analysis(ranges=True, **case)).to_json())
    ranges = content["ranges"]
    assert ranges["alternatives"] == 9
    assert {section: set(ranges[section]) for section in NAMES} == NAMES
    order = ["none", "mild", "moderate", "severe"]
    pairs = [
        (content["burden"], ranges["burden"]),
        (content["severity"], ranges["severity"]),
        (content["scores"], ranges["scores"]),
        *((content["lobes"][name], ranges["lobes"][name]) for name in LOBE_ORDER),
    ]
    for numbers, spans in pairs:
        for name, span in spans.items():
            number = numbers[name]["total"] if isinstance(numbers[name], dict) else numbers[name]
            assert (number is None) == (span is None), name
            if span is not None:
                low, high, value = (
                    order.index(bound) if bound in order else bound for bound in (*span, number)
                )
                assert low <= value <= high, name


def test_ranges_of_a_known_case(make_analysis):
    ranges = json.loads(to_result(make_analysis(ranges=True)).to_json())["ranges"]
    lungs = 2 * 12 * 30 * 20
    # Of six slices of 10 × 10 a column less, or one more and a voxel in the right lung.
    assert ranges["burden"]["infection_percent"] == [
        round(100 * 540 / lungs, 4),
        round(100 * 661 / lungs, 4),
    ]
    assert ranges["burden"]["right_percent"] == [0, round(100 / (lungs / 2), 4)]
    assert ranges["burden"]["infection_ml"] == [540 * 0.25, 661 * 0.25]
    assert ranges["lobes"]["RUL"]["infection_percent"] == [0, 0]
    assert ranges["scores"]["mosmed"] == ["CT-1", "CT-1"]
    assert ranges["severity"]["category"] == ["mild", "mild"]


def test_what_hangs_on_a_border_is_marked_and_lobes_say_how_certain_they_are(make_analysis):
    analysis = make_analysis(ranges=True)
    ranges = replace(
        analysis.severity.ranges, moves=26, border_regions=("RUL apical",), border_lobes=("RML",)
    )
    marked = replace(
        analysis,
        severity=replace(analysis.severity, ranges=ranges),
        lobe_confidence={"RML": LobeConfidence(0.812, 0.496, 1.0)},
    )
    content = json.loads(to_result(marked).to_json())
    lobes = content["lobes"]
    assert content["ranges"]["border_dependent"] == {"regions": ["RUL apical"], "lobes": ["RML"]}
    assert lobes["RML"]["confidence"] == {"expected_dice": 0.81, "low_dice": 0.5}
    assert lobes["LUL"]["confidence"] is None
    assert content["ranges"]["moves"] == 26
    # Once in the table of regions, once in that of lobes.
    before, after = (
        render_page(each, slices=[], overview=[]).count(">border<") for each in (analysis, marked)
    )
    assert (before, after) == (0, 2)


def test_given_masks_have_no_ranges(make_analysis):
    assert json.loads(to_result(make_analysis()).to_json())["ranges"] is None


@pytest.mark.parametrize(("gaps", "said"), [(1, True), (0, False), (None, False)])
def test_the_result_and_the_page_say_which_gaps_were_filled(make_analysis, gaps, said):
    analysis = make_analysis()
    analysis = replace(analysis, lesions=replace(analysis.lesions, filled_gaps=gaps))
    assert json.loads(to_result(analysis).to_json())["burden"]["filled_gaps"] == gaps
    page = render_page(analysis, slices=[], overview=[])
    assert ("missing in one slice" in page) is said


def test_the_basis_of_the_ranges_names_the_thresholds():
    for threshold in THRESHOLDS:
        assert str(threshold) in BASIS


def test_the_stored_schema_is_the_schema_of_the_models():
    stored = Path(__file__).parents[2] / "docs" / "result.schema.json"
    assert stored.read_text("utf-8") == json_schema(), "write docs/result.schema.json anew"


def test_numbers_of_a_known_case(make_analysis):
    content = json.loads(to_result(make_analysis()).to_json())
    voxel_ml = 10 * 5 * 5 / 1000
    lung = 12 * 30 * 20
    assert content["lungs"]["left_ml"] == lung * voxel_ml
    assert content["burden"]["infection_percent"] == round(100 * 600 / (2 * lung), 4)
    assert content["burden"]["consolidation_percent"] == round(100 * 54 / (2 * lung), 4)
    assert content["burden"]["right_percent"] == 0
    assert content["burden"]["infection_ml"] == 600 * voxel_ml
    assert content["lobes"]["LLL"]["infection_percent"] == round(100 * 600 / (lung / 2), 4)
    assert content["lobes"]["LLL"]["scores"] == {"tss": 1, "ctsi": 2, "lss": 1, "lhos": 1}
    assert content["scores"]["tss"] == {"total": 1, "max": 20, "reason": None}
    assert content["scores"]["pho"] == round(100 * 54 / (2 * lung), 4)
    assert content["detection"] == {
        "infected": True,
        "probability": None,
        "infected_slices": 6,
        "peak_slice": 6,
        "detector": None,
    }


def test_patterns_of_a_known_case(make_analysis):
    """Two boxes of lung, 7200 voxels of 0.25 ml each; 600 infected in one block of the left one."""
    content = json.loads(to_result(make_analysis()).to_json())
    lung, voxel_ml = 2 * 12 * 30 * 20, 0.25
    bands = content["aeration"]["bands"]
    assert bands["over_inflated"] == {"from_hu": None, "to_hu": -900, "ml": 0, "percent": 0}
    well = lung - 600
    assert bands["well_aerated"] == {
        "from_hu": -900,
        "to_hu": -500,
        "ml": well * voxel_ml,
        "percent": round(100 * well / lung, 4),
    }
    # Ground glass was painted with −500 HU, consolidation with 0.
    assert bands["poorly_aerated"]["ml"] == 546 * voxel_ml
    assert bands["not_aerated"]["ml"] == 54 * voxel_ml
    assert bands["denser"] == {"from_hu": 100, "to_hu": None, "ml": 0, "percent": 0}
    assert content["aeration"]["reason"] is None
    assert content["lobes"]["LLL"]["well_aerated_percent"] == round(100 * 3000 / 3600, 4)
    assert content["lesions"] == {
        "count": 1,
        "largest_ml": 150,
        "median_ml": 150,
        "by_lobe": {"RUL": 0, "RML": 0, "RLL": 0, "LUL": 0, "LLL": 1},
        "specks": 0,
        "specks_ml": 0,
        "speck_below_ml": 0.1,
        "reason": None,
    }
    where = content["distribution"]
    assert where["posterior"] == {"infection_percent": 100, "lung_percent": 50}
    assert where["lower"] == {
        "infection_percent": round(100 * 4 / 6, 4),
        "lung_percent": round(100 / 3, 4),
    }
    # The greatest depth is 15 rows; the five outermost rows and columns are its third.
    assert where["peripheral"] == {"infection_percent": 0, "lung_percent": 50}
    assert (where["bilateral"], where["lobes_affected"], where["reason"]) == (False, 1, None)


def test_every_part_without_numbers_has_a_reason_and_a_warning(make_analysis):
    for case in CASES.values():
        content = json.loads(to_result(make_analysis(**case)).to_json())
        messages = " ".join(warning["message"] for warning in content["warnings"])
        numbers = {
            "aeration": content["aeration"]["bands"]["well_aerated"]["percent"],
            "lesions": content["lesions"]["count"],
            "distribution": content["distribution"]["posterior"]["lung_percent"],
        }
        for name, number in numbers.items():
            reason = content[name]["reason"]
            assert (number is None) == (reason is not None)
            assert reason is None or reason in messages


def test_what_a_detector_said_stands_in_the_result_and_the_report(make_analysis):
    said = Detected("mine", "ab" * 32, 1234, 0.98765)
    analysis = replace(make_analysis(), detected=said)
    detection = json.loads(to_result(analysis).to_json())["detection"]
    assert detection["probability"] == 0.9877
    assert detection["detector"] == {"name": "mine", "sha256": "ab" * 32, "patients": 1234}
    text = "yes, in 6 of 12 slices; probability 0.99 (detector mine, trained on 1 234 patients)"
    assert re.search(rf"infection pattern +{re.escape(text)}", text_table(analysis))
    page = render_page(analysis, slices=[], overview=[])
    assert f"Infection pattern: {text}." in page


def test_a_detector_that_could_not_say_is_named_without_a_probability(make_analysis):
    said = Detected("mine", "ab" * 32, 30, None)
    analysis = replace(make_analysis(depth=1, sides=False), detected=said)
    detection = json.loads(to_result(analysis).to_json())["detection"]
    assert (detection["infected"], detection["probability"]) == (None, None)
    assert detection["detector"]["name"] == "mine"
    assert "no probability (detector mine, trained on 30 patients)" in text_table(analysis)


def test_without_infection_there_is_no_peak(make_analysis):
    analysis = make_analysis(infected=False)
    detection = json.loads(to_result(analysis).to_json())["detection"]
    assert (detection["infected_slices"], detection["peak_slice"]) == (0, None)
    assert re.search(
        r"infection pattern +no \(less than 1 % of the lungs\)\n", text_table(analysis)
    )


def test_no_text_calls_anything_positive_for_a_disease(make_analysis):
    said = Detected("mine", "ab" * 32, 30, 0.9)
    analysis = replace(make_analysis(), detected=said)
    page = render_page(analysis, slices=[], overview=[])
    assert "positive" not in (page + text_table(analysis)).lower()
    assert "covid" not in text_table(analysis).lower()


def test_slices_run_from_superior_to_inferior(make_analysis):
    slices = json.loads(to_result(make_analysis()).to_json())["slices"]
    positions = [row["position_mm"] for row in slices]
    assert positions == sorted(positions, reverse=True)
    assert [row["index"] for row in slices] == list(range(12))
    assert slices[0]["infection_percent"] == 0
    assert slices[-1]["infection_percent"] > 0


def test_a_slice_without_lung_is_null_not_zero(make_analysis):
    analysis = make_analysis(depth=1, sides=False)
    analysis.lungs.labels[:] = 0
    from lungscore.severity import Segmentation, measure

    severity = measure(
        Segmentation(analysis.lungs.labels, analysis.lesions.labels, sides_known=False)
    )
    object.__setattr__(analysis, "severity", severity)
    content = json.loads(to_result(analysis).to_json())
    assert content["slices"][0]["infection_percent"] is None
    assert content["burden"]["infection_percent"] is None


def test_without_spacing_there_are_no_millilitres(make_analysis):
    content = json.loads(to_result(make_analysis(units="grey", spacing=False)).to_json())
    assert {content["lungs"][name] for name in ("volume_ml", "right_ml", "left_ml")} == {None}
    assert content["burden"]["infection_ml"] is None
    assert content["input"]["spacing_mm"] is None
    assert content["lobes"]["RUL"]["volume_ml"] is None
    assert content["slices"][0]["position_mm"] is None
    assert content["scores"]["ct_ss"]["total"] is not None


def test_grey_levels_have_no_number_that_needs_hounsfield_units(make_analysis):
    scores = json.loads(to_result(make_analysis(units="grey")).to_json())["scores"]
    assert scores["pho"] is None
    assert scores["lhos"]["total"] is None
    assert "Hounsfield" in scores["lhos"]["reason"]


def test_every_null_total_has_a_reason_and_a_warning(make_analysis):
    for case in CASES.values():
        content = json.loads(to_result(make_analysis(**case)).to_json())
        for score in ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones"):
            scored = content["scores"][score]
            assert (scored["total"] is None) == (scored["reason"] is not None)
            if scored["total"] is None:
                messages = " ".join(warning["message"] for warning in content["warnings"])
                assert scored["reason"] in messages


def test_a_file_name_that_is_no_text_becomes_one(make_analysis):
    content = json.loads(to_result(make_analysis(name="scan-\udce4")).to_json())
    assert content["case"] == "scan-?"


def test_float32_noise_is_rounded_away(make_analysis):
    affine = np.diag([-0.7000000000000001, -0.7, 2.0000000001, 1.0])
    content = json.loads(to_result(make_analysis(affine=affine)).to_json())
    assert content["input"]["spacing_mm"] == [2.0, 0.7, 0.7]
