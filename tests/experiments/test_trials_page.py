"""Trials that may replace the shipped network, on the page of measurements."""

import json
from pathlib import Path

import pytest

import trials_page

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("trial", ["made-disease", "small", "clean"])
def test_the_page_holds_the_section_of_the_result_file(trial: str) -> None:
    file = ROOT / f"experiments/results/{trial}-folds.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    section = getattr(trials_page, trial.replace("-", "_"))(content)
    assert section in (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    assert f"{content['figures']['less_shipped']['dice']['mean']:+.3f}" in section


@pytest.mark.parametrize(
    ("mean", "low", "ships"),
    [(0.01, 0.0, True), (-0.005, -0.0199, True), (-0.006, -0.01, False), (0.0, -0.02, False)],
)
def test_the_mean_and_the_low_end_of_its_interval_decide(
    mean: float, low: float, ships: bool
) -> None:
    less = {"mean": mean, "low": low, "high": 0.1}
    assert trials_page.passes(less) is ships
    figures = {"n": 50, "less_shipped": {key: less for _, key in trials_page.FIGURES}}
    section = trials_page.small({"command": "a command", "figures": figures})
    assert ("does not ship" in section) is not ships
