"""The FHIR Bundle holds the numbers of the result, and is one in the eyes of a FHIR library."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lungscore.cli.main import call
from lungscore.pacs import codes
from lungscore.pacs.fhir import fhir_bytes
from lungscore.result import Analysis

MakeAnalysis = Callable[..., Analysis]


@pytest.fixture
def result(make_analysis: MakeAnalysis) -> dict[str, Any]:
    return make_analysis(ranges=True).to_dict()


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = (entry["resource"] for entry in bundle["entry"])
    return [resource for resource in entries if resource["resourceType"] == kind]


def quantities(observation: dict[str, Any]) -> dict[str, float]:
    return {
        component["code"]["coding"][0]["code"]: component["valueQuantity"]["value"]
        for component in observation["component"]
        if "valueQuantity" in component
    }


@pytest.mark.parametrize("version", ["", "R4B."])
def test_a_fhir_library_takes_the_bundle(result: dict[str, Any], version: str) -> None:
    reason = "fhir.resources is not here: pip install fhir.resources"
    pytest.importorskip("fhir.resources", reason=reason)
    module = pytest.importorskip(f"fhir.resources.{version}bundle", reason=reason)
    data = fhir_bytes(result, study_uid="1.2.3", etiology="covid-19")
    bundle = module.Bundle.model_validate_json(data)
    kinds = {type(entry.resource).__name__ for entry in bundle.entry}
    assert kinds == {"DiagnosticReport", "Observation"}


def test_numbers_are_those_of_the_result(result: dict[str, Any]) -> None:
    bundle = json.loads(fhir_bytes(result))
    sites = {entry["bodySite"]["text"]: entry for entry in resources(bundle, "Observation")}
    assert len(sites) == 1 + 2 + 5 + 20
    whole = quantities(sites["Both lungs"])
    assert whole["OPACITY"] == result["burden"]["infection_percent"]
    assert whole["118565006"] == result["lungs"]["volume_ml"]
    assert whole["CT-SS"] == result["scores"]["ct_ss"]["total"]
    lobe = quantities(sites["Left lower lobe"])
    assert lobe["OPACITY"] == result["lobes"]["LLL"]["infection_percent"]
    region = quantities(sites["LLL superior"])
    expected = result["scores"]["ct_ss"]["regions"]["LLL superior"]
    assert (region["OPACITY"], region["CT-SS"]) == (expected["percent"], expected["score"])
    spans = [
        (component["valueRange"]["low"]["value"], component["valueRange"]["high"]["value"])
        for component in sites["Both lungs"]["component"]
        if "valueRange" in component
    ]
    assert tuple(result["ranges"]["burden"]["infection_percent"]) in spans


def test_the_report_lists_every_observation_and_is_not_final(result: dict[str, Any]) -> None:
    bundle = json.loads(fhir_bytes(result, study_uid="1.2.3"))
    (report,) = resources(bundle, "DiagnosticReport")
    listed = {entry["reference"] for entry in report["result"]}
    urls = {e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] != report}
    assert listed < urls
    assert len(listed) == len(resources(bundle, "Observation"))
    assert report["status"] == "preliminary"
    assert report["conclusion"].startswith("Research use only")
    for observation in resources(bundle, "Observation"):
        (origin,) = observation["derivedFrom"]
        assert origin["identifier"]["value"] == "urn:oid:1.2.3"


def test_no_cause_is_stated_unless_asked(result: dict[str, Any]) -> None:
    covid = codes.ETIOLOGIES["covid-19"].value
    assert covid not in fhir_bytes(result).decode()
    assert covid in fhir_bytes(result, etiology="covid-19").decode()


def test_null_numbers_are_left_out(make_analysis: MakeAnalysis) -> None:
    bundle = json.loads(fhir_bytes(make_analysis(units="grey", spacing=False).to_dict()))
    for observation in resources(bundle, "Observation"):
        assert observation["component"]
        assert "118565006" not in quantities(observation)


def test_equal_results_give_equal_bytes(result: dict[str, Any]) -> None:
    assert fhir_bytes(result) == fhir_bytes(json.loads(json.dumps(result)))
    assert fhir_bytes(result) != fhir_bytes({**result, "case": "other"})


@pytest.mark.slow
def test_analyze_writes_it_beside_the_result(
    phantom_file: Path, tmp_path: Path, stand_in_model: Path
) -> None:
    out = tmp_path / "out"
    command = ["analyze", str(phantom_file), "-o", str(out), "--model", str(stand_in_model)]
    assert call([*command, "--fhir", "--no-ranges"]) == 0
    stored = json.loads((out / "chest" / "result.json").read_text("utf-8"))
    assert (out / "chest" / "fhir.json").read_bytes() == fhir_bytes(stored)
    assert call([*command, "--overwrite", "--no-ranges"]) == 0
    assert not (out / "chest" / "fhir.json").exists()
