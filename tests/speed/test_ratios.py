"""The table of aims: ratios to R of the same repeat, and what was not measured is said."""

from pathlib import Path
from typing import Any

import pydicom

import plan as planning
from inputs import as_another_patient
from lungscore.cli.main import call
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series
from ratios_page import ratios_section
from tests.speed.made_lines import HOST


def tree_line(times: float) -> dict[str, Any]:
    """What one tree took, ``times`` R each."""
    scan = {
        **dict.fromkeys(("wall", "waited", "rest", "read", "lungs_and_lobes"), 2 * times),
        **{"first_slice": 1.0, "cpu": 13.3, "slices": 133, "peak_mib": 500.0},
        "engine": {"name": "openvino", "precision": "f32"},
    }
    return {
        "scans": [scan, {**scan, **dict.fromkeys(("wall", "rest", "read"), 4 * times)}],
        "help": [0.2, 0.2],
        "second": [{"rest": 2 * times, "seconds": 3 * times}],
        "cohort": {"1": [100.0], "2": [170.0]},
        "memory_mib": {"300": 500.0, "800": 1100.0},
    }


def ratios_line(times: float) -> dict[str, Any]:
    now = tree_line(times)
    now["line"] = {
        str(slices): {"wall": slices / 50 + 2, "cpu": slices / 25 + 3, "peak_mib": 500.0}
        for slices in (100, 400, 1600)
    }
    r = {"seconds": 2.0, "cpu": 2.0, "images": 133, "bytes": 33_000_000, "disk_seconds": 0.02}
    return {
        "schema": "lungscore.ratios/1",
        "command": "python experiments/speed/ratios.py",
        "commit": "0123456789",
        "commit_before": "abcdef0123",
        "host": HOST,
        "scan": "P002",
        # The second repeat fell into a slow minute: all of it took twice as long.
        "R": [r, {**r, "seconds": 4.0}],
        "now": now,
        "before": tree_line(10.0),
        "work": {"infection_gflop": 7.0, "lungs_gflop": 2.0, "peak_gflops": 90.0, "slices": 133},
    }


def row(section: str, what: str) -> list[str]:
    (line,) = [line for line in section.splitlines() if line.startswith(f"| {what}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_slow_minute_changes_no_ratio() -> None:
    cells = row(ratios_section([ratios_line(3.0)]), "everything but the networks")
    assert cells[1:4] == [
        "≤ 3 R",
        "10.00 R [10.00, 10.00], n = 2",
        "3.00 R [3.00, 3.00], n = 2: met",
    ]


def test_what_misses_its_aim_is_said_to_miss_it() -> None:
    section = ratios_section([ratios_line(3.1)])
    assert row(section, "everything but the networks")[3].endswith("**missed**")
    assert row(section, "P002 to report, f32")[3].endswith("met")
    assert row(section, "peak memory, 800 slices")[3] == "1.15 GB: **missed**"
    assert row(section, "cohort: two workers")[3] == "1.70 ×: met"


def test_cohorts_measured_apart_take_the_place_of_the_earlier_ones() -> None:
    cohorts = {
        key: value
        for key, value in ratios_line(3.0).items()
        if key not in ("R", "now", "before", "work")
    }
    cohorts |= {"command": "ratios.py --only cohort", "now": {"cohort": {"1": [10.0], "2": [12.0]}}}
    section = ratios_section([ratios_line(3.0), cohorts])
    assert row(section, "cohort: two workers")[2:4] == ["not measured", "1.20 ×: **missed**"]
    assert row(section, "read")[3] == row(ratios_section([ratios_line(3.0)]), "read")[3]
    assert "Command: `ratios.py --only cohort`" in section


def test_a_scan_measured_apart_takes_the_place_of_this_tree_alone() -> None:
    whole, part = ratios_line(3.0), ratios_line(2.0)
    del part["before"], part["now"]["line"], part["now"]["cohort"]
    part |= {"command": "ratios.py --only scan", "R": [{**r, "seconds": 2.0} for r in part["R"]]}
    for scan in part["now"]["scans"]:
        scan["shown"] = {"infection": 200, "lungs": 50}
    section = ratios_section([whole, part])
    cells = row(section, "everything but the networks")
    assert cells[2:4] == ["10.00 R [10.00, 10.00], n = 2", "3.00 R [2.00, 4.00], n = 2: met"]
    assert row(section, "cohort: two workers")[3] == "1.70 ×: met"
    assert row(section, "linear in slices")[3].endswith("met")
    assert "Command: `ratios.py --only scan`, commit 0123456789." in section
    assert "before abcdef0123" in section
    assert "1500 GFLOP, 16.67 s or 8.3 R" in section


def test_what_was_not_measured_is_named() -> None:
    section = ratios_section([ratios_line(3.0)])
    assert row(section, "read")[-2:] == ["not measured", "not measured"]  # the other computers
    assert row(section, "linear in slices")[2] == "not measured"  # of the tree before
    assert row(section, "one GPU: 300 slices")[2:] == ["–", "–", "–", "not measured"]
    assert "not measured" in row(ratios_section([]), "read")


def test_a_computer_with_a_graphics_card_has_a_column_of_its_own() -> None:
    on_card = ratios_line(2.0)
    del on_card["before"]
    on_card |= {"card": "Large", "work": {**on_card["work"], "peak_side": 8192}}
    on_card["now"]["card"] = {"cold": [3.0, 5.0, 3.5], "warm": [1.5, 1.25, 1.5]}
    section = ratios_section([ratios_line(3.0), on_card])
    head = row(section, "what")
    trees = [f"{name}, {tree}" for name in ("without AMX", "GPU") for tree in ("before", "now")]
    assert head[2:] == [*trees, "with AMX"]
    cold = row(section, "one GPU: 300 slices, cold")
    assert cold[1:] == ["≤ 4 s", "–", "–", "not measured", "3.50 s [3.00, 5.00], n = 3: met", "–"]
    assert row(section, "one GPU: each scan after")[5].endswith("**missed**")
    assert row(section, "everything but the networks")[5].endswith("met")
    assert "GPU (Large): " in section
    assert "matrices of 8192 × 8192" in section


def test_the_limit_is_work_over_peak() -> None:
    assert "1197 GFLOP" in ratios_section([ratios_line(3.0)])
    assert "13.30 s at the 90 GFLOP/s" in ratios_section([ratios_line(3.0)])


def test_planning_takes_its_costs() -> None:
    patient, fit = planning._of_ratios([ratios_line(3.0)])
    assert abs(patient.per_slice - 0.1) < 1e-9
    assert abs(fit.per_scan - 3) < 1e-9
    assert abs(fit.per_slice - 1 / 25) < 1e-9


def test_a_cohort_of_copies_has_as_many_results_as_patients(tmp_path: Path) -> None:
    write_dicom_series(make_phantom("mild", seed=0, shape=(40, 128, 128)).scan, tmp_path / "series")
    for name in ("one", "two"):
        as_another_patient(tmp_path / "series", tmp_path / "scans" / name, name)
    assert call(["analyze", str(tmp_path / "scans"), "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*/result.json"))) == 2
    files = [pydicom.dcmread(path) for path in (tmp_path / "scans").rglob("*") if path.is_file()]
    assert len({file.SOPInstanceUID for file in files}) == len(files) == 80
    assert len({file.SeriesInstanceUID for file in files}) == 2
