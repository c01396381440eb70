"""The plan in hours, from measured step times; and the script that runs it."""

import importlib
import json
import subprocess

import pytest

from lungscore.benchmark import timing
from lungscore.benchmark.plan_page import plan_lines, read_hours
from lungscore.benchmark.results import results_folder
from lungscore.benchmark.rows import load_rows
from lungscore.benchmark.timing import (
    Times,
    hours_of,
    kind,
    measure_times,
    missing_kinds,
    plan_in_hours,
)
from lungscore.benchmark.whole import plan
from lungscore.cli.main import call
from tests.benchmark.tiny_benchmark import REPOSITORY, ROWS, result, write, write_folder
from tests.learning.tiny_training import U_NET, experiment

STAGES = {"stages": {1: {"title": "first", "hours": 4}, 2: {"title": "then", "hours": 2}}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [row | {"stage": 2 if row["name"] == "lesions" else 1} for row in ROWS["rows"]]
    return write_folder(tmp_path / "experiments" / "tiny", rows=rows, **STAGES)


def test_hours_are_batches_and_epochs_at_their_measured_times():
    config = experiment(network=U_NET, epochs=10, slices_per_epoch=40, batch_size=4)
    assert hours_of(config, Times(per_batch=36, per_epoch=36)) == pytest.approx(1.1)


@pytest.mark.parametrize("masks", [None, "coach"])
def test_step_times_are_measured_on_made_up_slices(masks):
    section = None if masks is None else {"masks": masks, "block": 8, "coach_width": 8}
    config = experiment(network=U_NET, pretraining=section, data={"healthy": None})
    times = measure_times(config)
    assert times.per_batch > 0
    assert times.per_epoch >= 0


def test_kinds_differ_where_times_do():
    names = [
        kind(experiment(network=U_NET, **change))
        for change in (
            {},
            {"batch_size": 4},
            {"recipe": "paper"},
            {"input": {"height": 96}},
            {"pretraining": {"masks": "random"}},
            {"pretraining": {"masks": "coach"}},
            {"pretraining": {"masks": "coach", "variant": "eq3"}},
        )
    ]
    assert len(set(names)) == len(names)


def test_a_run_that_serves_several_rows_counts_once_and_unknown_kinds_stay_unknown(folder):
    planned = plan(load_rows(folder), folder)
    times = {name: Times(3.6, 0) for name in missing_kinds(planned, {})}
    rows = plan_in_hours(planned, times)["rows"]
    # Four runs and two pre-trainings; supervised; labels for either fold, then the row's own.
    assert [rows[name]["runs"] for name in ("coach", "supervised", "semi", "lesions")] == [
        6, 4, 4, 2,
    ]  # fmt: skip
    assert rows["supervised"]["hours"] == pytest.approx(4 * 2 * 6 * 3.6 / 3600)
    assert missing_kinds(planned, times) == {}
    nothing = plan_in_hours(planned, {})
    assert {row["hours"] for row in nothing["rows"].values()} == {None}


def test_measuring_stops_at_the_time_given_and_goes_on_with_what_is_missing(
    folder, monkeypatch, capsys
):
    measured = []
    monkeypatch.setattr(
        timing, "measure_times", lambda config: measured.append(config.name) or Times(1, 1)
    )
    clock = iter(range(0, 1000, 2))  # two seconds between any two looks
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    call(["benchmark", "plan", str(folder), "--seconds", "3"])
    assert len(measured) == 1
    assert "kinds of training not timed" in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.chdir(folder.parents[1])
    monkeypatch.setattr(
        timing, "measure_times", lambda config: measured.append(config.name) or Times(1, 1)
    )
    call(["benchmark", "plan", str(folder)])
    kinds = missing_kinds(plan(load_rows(folder), folder), {})
    assert len(measured) == len(set(measured)) == len(kinds)


def test_the_page_shows_hours_budgets_and_what_is_measured(folder, monkeypatch):
    monkeypatch.setattr(timing, "measure_times", lambda config: Times(3.6, 0))
    assert call(["benchmark", "plan", str(folder)]) == 0
    results = results_folder(folder)
    hours = json.loads((results / "plan.json").read_text())
    assert hours["command"] == "lungscore benchmark plan experiments/tiny"
    benchmark = load_rows(folder)
    made = {"supervised": result("supervised", 0.7, seeds=(0, 1), commit="abc")}
    text = "\n".join(plan_lines(benchmark, made, hours))
    assert "| 1. first | 3 | 1 | 14 |" in text
    assert "| 4 |" in text
    assert "| `supervised` | 1 | 4 | 0.05 | measured |" in text
    assert "| `lesions` | 2 | 2 |" in text
    assert "Step times were not measured yet" in "".join(plan_lines(benchmark, made, None))


def test_a_plan_of_times_that_were_kept_keeps_the_load_they_were_measured_at(folder, monkeypatch):
    monkeypatch.setattr(timing, "measure_times", lambda config: Times(3.6, 0))
    monkeypatch.setattr("os.getloadavg", lambda: (1.5, 0, 0))
    call(["benchmark", "plan", str(folder)])
    monkeypatch.setattr("os.getloadavg", lambda: (9.0, 0, 0))
    call(["benchmark", "plan", str(folder)])
    assert read_hours(results_folder(folder))["load"] == 1.5


@pytest.fixture
def script(monkeypatch):
    """experiments/run_plan.py, which keeps the priority of the tests."""
    monkeypatch.syspath_prepend(str(REPOSITORY.parent))
    module = importlib.import_module("run_plan")
    monkeypatch.setattr(module.os, "nice", lambda by: 0)
    return module


def test_the_script_runs_every_row_of_a_stage_before_the_next_seed_of_any(
    script, folder, monkeypatch
):
    asked = []
    monkeypatch.setattr(script, "run", lambda words: asked.append(words) or 0)
    # Measured by a version that says which: only the other seed is left.
    write(results_folder(folder), result("coach", 0.7, seeds=(0,), commit="abc"))
    assert script.main([str(folder)]) == 0
    runs = [(words[words.index("--only") + 1], words[words.index("--seed") + 1]) for words in asked]
    assert runs == [
        ("supervised", "0"), ("semi", "0"), ("coach", "1"), ("supervised", "1"), ("lesions", "0"),
    ]  # fmt: skip
    assert all(words[words.index("--threads") + 1] == "1" for words in asked)
    asked.clear()
    assert script.main([str(folder), "--stage", "2"]) == 0
    assert len(asked) == 1


def test_rows_that_build_on_the_same_run_follow_each_other(script, tmp_path):
    names = ["supervised", "coach", "semi"]
    rows = {row["name"]: row for row in ROWS["rows"]}
    others = [row for row in ROWS["rows"] if row["name"] not in names]
    folder = write_folder(tmp_path / "tiny", rows=[*map(rows.get, names), *others])
    benchmark = load_rows(folder)
    turns = script.in_turn([benchmark.row(name) for name in names], folder)
    # The labels of "semi" are made by "supervised".
    assert [(row.name, seed) for row, seed in turns] == [
        ("supervised", 0), ("semi", 0), ("coach", 0), ("supervised", 1), ("coach", 1),
    ]  # fmt: skip


def test_rows_of_a_seed_run_together_as_many_as_are_trained_at_once(script, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(script, "run", lambda words: asked.append(words) or 0)
    assert script.main([str(folder), "--at-once", "2", "--stage", "1"]) == 0
    rows = [[words[i + 1] for i, word in enumerate(words) if word == "--only"] for words in asked]
    # Three rows have seed 0 and two seed 1; no call is of two seeds.
    assert [len(names) for names in rows] == [2, 1, 2]
    assert [words[words.index("--seed") + 1] for words in asked] == ["0", "0", "1"]


def test_of_rows_that_run_together_those_that_fit_are_run(script, folder):
    rows = list(load_rows(folder).rows[:3])
    hours = {"rows": {rows[0].name: {"hours": 4.0}, rows[1].name: {"hours": 2.0}}}
    # Coach and supervised have two seeds each; of semi nothing is known.
    assert script.that_fit(rows, hours, 2.5) == [rows[0], rows[2]]
    assert script.that_fit(rows, hours, 3.0) == rows


def test_a_result_that_does_not_say_its_commit_is_run_again(script, folder, monkeypatch):
    write(results_folder(folder), result("semi", 0.7, commit=None))
    row = load_rows(folder).row("semi")
    assert script.left_of(row, results_folder(folder)) == [0]
    write(results_folder(folder), result("semi", 0.7, commit="abc"))
    assert script.left_of(row, results_folder(folder)) == []
    write(results_folder(folder), result("semi", 0.7, commit="abc", test=None))
    assert script.left_of(row, results_folder(folder)) == [0]


def test_what_does_not_fit_into_the_hours_is_left_and_said_so(script, folder, monkeypatch, capsys):
    monkeypatch.setattr(timing, "measure_times", lambda config: Times(3600, 0))
    call(["benchmark", "plan", str(folder)])
    asked = []
    monkeypatch.setattr(script, "run", lambda words: asked.append(words) or 0)
    assert script.main([str(folder), "--hours", "1"]) == 1
    assert asked == []
    assert "left: coach (seed 0: no time)" in capsys.readouterr().err


def test_a_result_is_committed_with_the_pages_made_of_it_and_nothing_else(script, folder):
    root = folder.parents[1]
    for words in (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *words], check=True, cwd=root)
    write(results_folder(folder), result("semi", 0.7))
    (root / "docs").mkdir()
    (root / "docs" / "benchmarks.md").write_text("page")
    (root / "README.md").write_text("readme")
    (root / "else.txt").write_text("not mine")
    row = load_rows(folder).row("semi")
    script.keep(folder, row)
    script.keep(folder, row)
    log = subprocess.run(
        ["git", "log", "--format=%s", "--name-only"], cwd=root, capture_output=True, text=True,
        check=True,
    ).stdout.split("\n")  # fmt: skip
    assert log.count("Result of the row semi") == 1
    assert "else.txt" not in log
    assert "experiments/results/tiny/semi.json" in log
