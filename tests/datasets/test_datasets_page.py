"""docs/datasets.md says what the code does and what was measured."""

import json
import re
from pathlib import Path

import pytest

from lungscore.datasets.catalogue import NAMES, dataset
from lungscore.datasets.manifest import COLUMNS
from lungscore.datasets.records import PROBLEMS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_every_dataset_has_its_section_with_source_and_terms(name):
    sections = re.split(r"^## ", PAGE, flags=re.M)
    (section,) = (text for text in sections if text.startswith(f"{name}:"))
    facts = dataset(name)
    where = re.findall(r"https?://[^\s,;()]+", facts.where)
    assert where[0] in section
    assert "Not verified" in section
    for overlapping in facts.overlaps:
        assert overlapping in section, f"the overlap with {overlapping}"


def test_every_problem_and_column_is_explained():
    for code, (meaning, blocking) in PROBLEMS.items():
        assert f"| `{code}` | {meaning} | {'yes' if blocking else 'no'} |" in PAGE
    for column in COLUMNS:
        assert f"`{column}`" in PAGE


def test_the_figures_are_those_of_the_result_file():
    told = json.loads((ROOT / "experiments/results/prepare-large.json").read_text())
    whole, slices = told["whole"], told["slices_of_512"]
    assert f"{whole['rows']:,} generated rows" in PAGE
    assert f"took {whole['seconds']:.0f} s ({whole['seconds_per_10000']:.2f} s per" in PAGE
    assert f"{whole['peak_memory_mib']:.0f} MiB" in PAGE
    assert f"took {slices['seconds_per_10000']:.1f} s per 10,000 (n = {slices['rows']:,})" in PAGE
    assert whole["peak_memory_mib"] < 1024
