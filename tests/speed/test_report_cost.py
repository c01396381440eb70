"""What the report costs: kinds of run in turns, their ratios, and how the page says them."""

import json
from pathlib import Path
from typing import Any

import pytest

import report_cost
from processes import Finished
from report_cost import kinds, measure
from report_cost_page import report_cost as section
from tests.speed.made_lines import HOST

#: CPU seconds that each kind of run takes, made up; every repeat is slower than the last.
SECONDS = {"full": 10.4, "small": 10.1, "none": 10.0, "before": 9.8}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """A line of three repeats, and the trees and kinds in the order in which they ran."""
    order: list[tuple[str, str]] = []

    def run_measured(command: list[str], *, environment: dict[str, str]) -> Finished:
        size = command[command.index("--report-size") + 1] if "--report-size" in command else ""
        name = size or "before"
        order.append((Path(environment["PYTHONPATH"]).parent.name, name))
        case = Path(command[command.index("-o") + 1]) / "case"
        case.mkdir()
        record = {"seconds": {"write": 0.5}, "lungscore": "0", "libraries": {}, "cpus_available": 2}
        engine = {"name": "openvino", "precision": "f32"}
        (case / "run.json").write_text(json.dumps(record))
        (case / "result.json").write_text(json.dumps({"engine": engine, "input": {"slices": 7}}))
        if name != "none":
            (case / "report.html").write_bytes(b"x" * 1000)
        seconds = SECONDS[name] * (1 + (len(order) - 1) // 4)
        return Finished(0, 2 * seconds, seconds, 0.0, "")

    monkeypatch.setattr(report_cost, "run_measured", run_measured)
    monkeypatch.setattr(report_cost, "commit", lambda folder: folder.parent.name)
    compared = kinds(Path("now"), Path("earlier"))
    return measure(Path("scan"), {"name": "scan"}, compared, [], 3), order


def test_every_kind_runs_in_every_repeat_from_its_own_tree_and_takes_turns(
    measured,
) -> None:
    _, order = measured
    repeats = [order[place : place + 4] for place in range(0, 12, 4)]
    for repeat in repeats:
        assert sorted(repeat) == [
            *(("earlier", "before"), ("now", "full"), ("now", "none"), ("now", "small"))
        ]
    assert len({repeat[0] for repeat in repeats}) == 3


def test_what_was_measured_before_an_interruption_counts(measured, monkeypatch) -> None:
    run, calls = report_cost.run_measured, []

    def interrupted(*arguments: Any, **keywords: Any) -> Finished:
        calls.append(arguments)
        if len(calls) > 10:
            raise KeyboardInterrupt
        return run(*arguments, **keywords)

    monkeypatch.setattr(report_cost, "run_measured", interrupted)
    content = measure(Path("scan"), {}, kinds(Path("now"), Path("earlier")), [], 5)
    assert content["repeats"] == 2
    assert {len(runs["cpu_seconds"]["values"]) for runs in content["runs"].values()} == {2}


def test_ratios_are_taken_within_a_repeat(measured) -> None:
    content, _ = measured
    assert content["schema"] == "lungscore.report-cost/1"
    assert content["runs"]["full"]["commit"] == "now"
    assert content["runs"]["before"]["commit"] == "earlier"
    assert content["runs"]["none"]["report_bytes"] == 0
    ratios = {(row["of"], row["to"], row["figure"]): row for row in content["ratios"]}
    assert len(ratios) == 10
    assert ratios["small", "none", "cpu_seconds"]["n"] == 3
    assert ratios["small", "none", "cpu_seconds"]["p50"] == pytest.approx(1.01, abs=0.001)


def test_growth_is_judged_by_its_whole_interval(measured) -> None:
    content, _ = measured
    content = {**content, "command": "python x", "host": HOST}
    for full, word in (
        ((10.4, 10.4, 10.4), "within 5 %"),
        ((10.4, 10.6, 10.7), "not decided"),
        ((10.6, 10.6, 10.7), "**above 5 %**"),
    ):
        for name, values in (("full", full), ("none", (10.0, 10.0, 10.0))):
            content["runs"][name]["cpu_seconds"] = {"values": list(values)}
        (row,) = [
            row
            for row in section([content]).splitlines()
            if row.startswith("| CPU time | report of every slice (default) / no report")
        ]
        assert row.endswith(f"| {word} |")
    assert section([]) == ""


def test_a_tree_before_is_not_needed() -> None:
    assert [kind.name for kind in kinds(Path("now"), None)] == ["full", "small", "none"]
