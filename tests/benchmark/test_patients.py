"""The page's sections on detection and clinical severity."""

import json
import shutil

import pytest

from lungscore.benchmark.patients import PATIENTS, SLICES, sections
from tests.benchmark.tiny_benchmark import REPOSITORY

RESULTS = REPOSITORY.parent / "results"
FILES = ("detection-slices", "detection-patient", "generated-detection", "generated-clinical")


@pytest.fixture
def results(tmp_path):
    for name in FILES:
        shutil.copy(RESULTS / f"{name}.json", tmp_path)
    return tmp_path


def test_without_result_files_their_commands_are_named(tmp_path):
    text = "\n".join(sections(tmp_path))
    assert f"Not run: `{SLICES}`" in text
    assert f"Not run: `{PATIENTS}`" in text
    assert "|" not in text


def test_every_figure_has_its_interval_and_its_n(results):
    text = "\n".join(sections(results))
    told = json.loads((results / "detection-slices.json").read_text())
    area = told["map"]["plain"]["auc"]
    line = f"{area['value']:.3f} [{area['low']:.3f}, {area['high']:.3f}] | {area['n']} |"
    assert f"| infection map | the slice | {line}" in text
    assert text.count("without its lungs") >= 4
    assert told["command"] in text


def test_a_figure_that_changes_in_the_file_changes_on_the_page(results):
    path = results / "generated-clinical.json"
    told = json.loads(path.read_text())
    told["figures"]["severe_or_critical"]["auc"]["value"] = 0.123456
    path.write_text(json.dumps(told))
    assert "| severe or critical: AUC | 0.123 [" in "\n".join(sections(results))


def test_generated_patients_are_called_so_and_no_model_ships(results):
    text = "\n".join(sections(results))
    assert "These patients are generated" in text
    assert "no clinical model is shipped" in text
    assert "positive" not in text.lower()
