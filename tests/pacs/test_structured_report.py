"""The structured report says the numbers of the result, read by pydicom alone."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from lungscore.pacs import codes, structured_report
from lungscore.pacs.structured_report import comments, grade_of
from lungscore.pacs.write import ObjectSettings, Written, write_objects
from lungscore.result.numbers import Number

pytest.importorskip("highdicom", reason="highdicom is not here: pip install lungscore[dicom]")

MOMENT = datetime(2026, 1, 2, 3, 4, 5)
Made = Callable[[str], tuple[Path, Path]]


@pytest.fixture(scope="module")
def written(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Written:
    series, folder = made("oblique")
    out = tmp_path_factory.mktemp("objects") / "dicom"
    settings = ObjectSettings(regions=True)
    return write_objects(folder, series, out, settings=settings, moment=MOMENT)


@pytest.fixture(scope="module")
def report(written: Written) -> Dataset:
    return pydicom.dcmread(written.folder / "measurements.dcm")


@pytest.fixture(scope="module")
def result(made: Made) -> dict[str, Any]:
    _, folder = made("oblique")
    content: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
    return content


def name_of(item: Dataset) -> str:
    code: str = item.ConceptNameCodeSequence[0].CodeValue
    return code


def items_of(item: Dataset, kind: str) -> list[Dataset]:
    return [child for child in item.get("ContentSequence", ()) if child.ValueType == kind]


def child(item: Dataset, name: str) -> Dataset:
    (match,) = (c for c in item.ContentSequence if name_of(c) == name)
    return match


def groups(report: Dataset) -> dict[str, Dataset]:
    """The measurement groups by tracking identifier."""
    container = child(report, "126010")
    return {child(group, "112039").TextValue: group for group in container.ContentSequence}


def values(group: Dataset) -> dict[tuple[str, str | None, str | None], float]:
    """(name, end of a range, site) -> value, of the measurements of a group."""
    numbers = {}
    for item in items_of(group, "NUM"):
        modifiers = {
            name_of(modifier): modifier.ConceptCodeSequence[0].CodeValue
            for modifier in item.get("ContentSequence", ())
        }
        key = (name_of(item), modifiers.get("121401"), modifiers.get("363698007"))
        assert key not in numbers
        numbers[key] = float(item.MeasuredValueSequence[0].NumericValue)
    return numbers


LOWEST, HIGHEST = "255605001", "56851009"


def test_numbers_of_both_lungs_are_those_of_the_result(
    report: Dataset, result: dict[str, Any]
) -> None:
    group = groups(report)["lungscore both lungs"]
    numbers, scores, ranges = values(group), result["scores"], result["ranges"]
    burden = result["burden"]
    expected = {
        "118565006": result["lungs"]["volume_ml"],
        "OPACITY": burden["infection_percent"],
        "GGO": burden["ggo_percent"],
        "CONSOLIDATION": burden["consolidation_percent"],
        "OPACITY-VOLUME": burden["infection_ml"],
        "PO": scores["po"],
        "PHO": scores["pho"],
        "CT-SS": scores["ct_ss"]["total"],
        "CTSI": scores["ctsi"]["total"],
        "TSS": scores["tss"]["total"],
        "LSS": scores["lss"]["total"],
        "LHOS": scores["lhos"]["total"],
        "ZONES": scores["zones"]["total"],
        "LESIONS": result["lesions"]["count"],
        "LARGEST-LESION": result["lesions"]["largest_ml"],
    }
    assert {code: numbers[code, None, None] for code in expected} == expected
    low, high = ranges["burden"]["infection_percent"]
    assert low < high
    assert numbers["OPACITY", LOWEST, None] == low
    assert numbers["OPACITY", HIGHEST, None] == high
    assert [numbers["CT-SS", end, None] for end in (LOWEST, HIGHEST)] == ranges["scores"]["ct_ss"]
    evaluations = {
        name_of(item): item.ConceptCodeSequence[0].CodeMeaning for item in items_of(group, "CODE")
    }
    assert evaluations["246112005"].lower() == result["severity"]["category"]
    assert evaluations["MOSMED"] == f"MosMed {scores['mosmed']}"


def test_each_lung_and_lobe_has_a_group_of_its_own(report: Dataset, result: dict[str, Any]) -> None:
    for side in ("right", "left"):
        numbers = values(groups(report)[f"lungscore {side} lung"])
        assert numbers["118565006", None, None] == result["lungs"][f"{side}_ml"]
        assert numbers["OPACITY", None, None] == result["burden"][f"{side}_percent"]
    for lobe, expected in result["lobes"].items():
        numbers = values(groups(report)[f"lungscore {lobe}"])
        assert numbers["118565006", None, None] == expected["volume_ml"]
        assert numbers["OPACITY", None, None] == expected["infection_percent"]
        assert numbers["WELL-AERATED", None, None] == expected["well_aerated_percent"]
        for score, points in expected["scores"].items():
            assert numbers[score.upper(), None, None] == points
        low, high = result["ranges"]["lobes"][lobe]["infection_percent"]
        assert (numbers["OPACITY", LOWEST, None], numbers["OPACITY", HIGHEST, None]) == (low, high)


def test_regions_stand_in_their_lobes(report: Dataset, result: dict[str, Any]) -> None:
    regions = result["scores"]["ct_ss"]["regions"]
    for number, (region, expected) in enumerate(regions.items(), start=1):
        group = groups(report)[f"lungscore {region.split()[0]}"]
        site = codes.region_code(region).value
        assert values(group)["OPACITY", None, site] == expected["percent"]
        score = child(group, f"CT-SS-{number:02d}")
        assert score.ConceptCodeSequence[0].CodeValue == f"SCORE-{expected['score']}"


def test_every_group_refers_to_the_segment_it_measures(report: Dataset, written: Written) -> None:
    files = {
        (file := pydicom.dcmread(path)).SOPInstanceUID: file
        for path in written.folder.iterdir()
        if path.name in written.files
    }
    for identifier, group in groups(report).items():
        (reference,) = child(group, "121191").ReferencedSOPSequence
        segments = files[reference.ReferencedSOPInstanceUID].SegmentSequence
        segment = segments[reference.ReferencedSegmentNumber - 1]
        assert segment.TrackingID == identifier
        assert segment.TrackingUID == child(group, "112040").UID


def texts(item: Dataset) -> Iterator[str]:
    for inner in item.get("ContentSequence", ()):
        if inner.ValueType == "TEXT":
            yield inner.TextValue
        yield from texts(inner)


def test_intended_use_warnings_and_device_are_said(report: Dataset, result: dict[str, Any]) -> None:
    said = list(texts(report))
    assert "Research use only. Not a medical device." in said
    for warning in result["warnings"]:
        assert f"{warning['code']}: {warning['message']}" in said
    assert report.VerificationFlag == "UNVERIFIED"
    assert child(report, "121005").ConceptCodeSequence[0].CodeValue == "121007"
    assert child(report, "121013").TextValue == "lungscore"


def test_every_coding_scheme_in_use_is_declared(report: Dataset) -> None:
    declared = {item.CodingSchemeDesignator for item in report.CodingSchemeIdentificationSequence}
    assert declared == {"99LUNGSCORE", "DCM", "SCT", "UCUM", "UMLS", "LN"}
    (own,) = (
        item
        for item in report.CodingSchemeIdentificationSequence
        if item.CodingSchemeDesignator == "99LUNGSCORE"
    )
    assert own.CodingSchemeName
    assert own.CodingSchemeResponsibleOrganization


def test_evidence_is_the_series_and_the_segmentations(
    report: Dataset, written: Written, made: Made
) -> None:
    series, _ = made("oblique")
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = {
        item.ReferencedSOPInstanceUID
        for entry in study.ReferencedSeriesSequence
        for item in entry.ReferencedSOPSequence
    }
    images = {pydicom.dcmread(path).SOPInstanceUID for path in series.iterdir()}
    masks = {
        pydicom.dcmread(written.folder / name).SOPInstanceUID
        for name in ("both-lungs.dcm", "lungs.dcm", "lobes.dcm", "lesions.dcm", "regions.dcm")
    }
    assert listed == images | masks


def test_a_number_that_is_null_is_left_out_and_its_reason_given(
    result: dict[str, Any],
) -> None:
    scores = {**result["scores"], "lhos": {"total": None, "max": 20, "reason": "no HU"}}
    said = list(comments({**result, "scores": scores}))
    assert "LHOS: not computed (no HU)" in said
    assert not any(text.startswith("CTSI") for text in said)


def test_a_grade_of_reliability_is_taken_where_there_is_one(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    graded = {**result, "reliability": {"grade": "B", "reasons": ["thick-slices"]}}
    number = Number("reliability.grade", "reliability grade", "class", name="reliability")
    monkeypatch.setitem(structured_report.NUMBERS, "reliability", number)
    assert grade_of(graded) == "B"
    assert "Reliability grade B: thick-slices." in list(comments(graded))
    without = {key: value for key, value in result.items() if key != "reliability"}
    assert grade_of(without) is None
