"""The trial with made disease on the page of measurements."""

import json
from pathlib import Path

import made_disease_page

ROOT = Path(__file__).parents[2]


def test_the_page_holds_the_section_of_the_result_files() -> None:
    file = ROOT / "experiments/results/made-disease-folds.json"
    trial = json.loads(file.read_text(encoding="utf-8"))
    section = made_disease_page.section(trial)
    assert section in (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    assert f"{trial['figures']['less_shipped']['dice']['mean']:+.3f}" in section
