"""docs/measurements.md says of dense disease, calibration and ranges what the result files do."""

import json
from pathlib import Path

import pytest

import calibration_page
import dense_phantoms_page

ROOT = Path(__file__).parents[2]
SECTIONS = {
    "dense-phantoms.json": dense_phantoms_page.section,
    "calibration.json": calibration_page.calibration_section,
    "one-pass-ranges.json": calibration_page.ranges_section,
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_is_that_of_its_result_file(name: str) -> None:
    content = json.loads((ROOT / "experiments/results" / name).read_text(encoding="utf-8"))
    page = (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    assert SECTIONS[name](content) in page
