"""docs/measurements.md says of gaps between slices what the result file does."""

import json
from pathlib import Path

from flicker_page import section

ROOT = Path(__file__).parents[2]


def test_the_section_is_that_of_its_result_file() -> None:
    content = json.loads((ROOT / "experiments/results/flicker.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    assert section(content) in page
