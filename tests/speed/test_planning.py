"""experiments/speed/plan.py: arithmetic from measured figures, and the page that it writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plan as planning

ROOT = Path(__file__).parents[2]


def line(slices: int, *seconds: float, **other: Any) -> str:
    return json.dumps(
        {
            "schema": "lungscore.latency/1",
            "host": {"cpu": "Some CPU"},
            "threads": 2,
            "engine": "openvino",
            "precision": "f32",
            "options": [],
            "input": {"name": "phantom", "format": "dicom", "slices": slices},
            "cpu_seconds": {"values": seconds},
            **other,
        }
    )


def test_a_plan_is_what_a_calculator_says() -> None:
    assumed = planning.Assumptions(
        at_work=0.5, rejected=0.1, repeated=0.2, price_per_core_hour=2.0, price_per_tb_month=10.0
    )
    found = planning.plan(
        36.0, 1000, 4, read_bytes=3e9, written_bytes=1e9, assumed=assumed
    )  # 10 hours of work, with repeats 12, of which cores work half of the time
    assert found.core_hours == pytest.approx(24.0)
    assert found.hours == pytest.approx(6.0)
    assert found.money == pytest.approx(48.0)
    assert (found.rejected, found.repeated) == pytest.approx((100, 200))
    assert (found.read_tb, found.written_tb) == pytest.approx((3.0, 0.9))
    assert found.money_per_month == pytest.approx(39.0)


@given(st.floats(0.1, 1000), st.integers(0, 10**6), st.integers(1, 10**4))
def test_more_cores_are_never_slower_and_cost_the_same(
    seconds: float, scans: int, cores: int
) -> None:
    few, many = (planning.plan(seconds, scans, count) for count in (cores, 2 * cores))
    assert many.hours <= few.hours
    assert many.money == few.money
    assert not scans or many.hours >= seconds / 3600


def test_costs_are_those_of_the_lines(tmp_path: Path) -> None:
    lines = [
        line(100, 99.0),  # measured again below
        line(100, 20.0, 22.0),
        line(300, 60.0, 62.0),
        line(100, 5.0, options=["--no-ranges"]),  # one size alone gives no line
        line(133, 7.0, input={"name": "P002", "format": "dicom", "slices": 133}),
        json.dumps({"schema": "lungscore.networks/1"}),
    ]
    (tmp_path / "latency.jsonl").write_text("\n".join(lines) + "\n")
    patient, fit = planning.costs(results=tmp_path)
    assert (fit.per_scan, fit.per_slice) == pytest.approx((1.0, 0.2))
    assert "4 runs of 2 sizes" in fit.source
    scan = json.loads((ROOT / "experiments/results/real-scans.json").read_text())["scans"][0]
    assert "P002" in patient.source
    assert patient.of(scan["slices"]) == pytest.approx(scan["seconds"] * scan["cpus"])


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    scan, results = tmp_path / "scan", tmp_path / "results"
    for folder in (scan / "a", results / "figures"):
        folder.mkdir(parents=True)
    (scan / "a" / "1.dcm").write_bytes(b"x" * 30)
    (scan / "2.dcm").write_bytes(b"x" * 10)
    (results / "lungs.nii.gz").write_bytes(b"x" * 8)
    (results / "figures" / "slices.png").write_bytes(b"x" * 5)
    text = json.dumps({"input": {"slices": 4}})
    (results / "result.json").write_text(text)
    stored = planning.storage(planning.sizes([(scan, results)]))
    assert stored == planning.Storage(10.0, 2.0, 5.0 + len(text))
    assert stored.written(8) == pytest.approx(16 + 5 + len(text))


def test_the_page_is_that_of_the_files() -> None:
    """``python experiments/speed/plan.py page`` was run after the last measurement."""
    assert (ROOT / "docs" / "planning.md").read_text(encoding="utf-8") == planning.whole_page()


def test_the_page_says_what_is_assumed() -> None:
    text = planning.whole_page()
    assert "617,775 images are published; 100 a scan is an assumption" in text
    assert "300 slices a scan is an assumption" in text
    assert "None of these was measured" in text
