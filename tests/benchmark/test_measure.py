"""What is measured of finished rows, and when the test slices are touched."""

import json

import numpy as np
import pytest

from lungscore.benchmark import measure as measuring
from lungscore.benchmark import run, whole
from lungscore.benchmark.results import per_slice, results_folder
from lungscore.benchmark.rows import load_rows
from lungscore.cli.main import call
from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from tests.benchmark.tiny_benchmark import write_folder

HELD_OUT = {0: ("a", "b"), 1: ("c",)}
TEST = ("d", "91")


def sample(name):
    """A slice whose left half is infected, with both classes unless it is named d."""
    infection = np.zeros((40, 40), bool)
    infection[:, :20] = True
    lesions = infection.astype(np.uint8)
    if name != "d":
        lesions[:10, :20] = 2
    return Sample(np.zeros((40, 40), np.uint8), infection, name, "synthetic", lesions=lesions)


def map_of(config, name):
    """What a network finds: all for seed 0, its upper half for seed 1."""
    probs = sample(name).infection.astype(np.float32)
    probs[20 * (config.training.seed == 0) + 20 :] = 0
    if config.target == "infection":
        return probs[None]
    return np.stack([1 - probs, probs, np.zeros_like(probs)])


@pytest.fixture
def asked(monkeypatch):
    """Stand-ins for data, networks and finished runs; lists which maps were asked for."""
    asked = []

    def slices_of(subset, config, root):
        names = TEST if subset == "test" else HELD_OUT[config.data.fold]
        return [sample(name) for name in names]

    def ensure_maps(config, file, subset):
        asked.append((config.name, config.data.fold, config.training.seed, subset))
        samples = slices_of(subset, config, None)
        return {sample.name: map_of(config, sample.name) for sample in samples}

    monkeypatch.setattr(measuring, "slices_of", slices_of)
    monkeypatch.setattr(measuring, "ensure_maps", ensure_maps)
    monkeypatch.setattr(measuring, "data_root", lambda: None)
    monkeypatch.setattr(measuring, "facts_of", lambda run: {"commit": "abc"})
    monkeypatch.setattr(whole, "check_weights", lambda runs, stored: None)
    monkeypatch.setattr(run, "finished", lambda config, out: (out / "weights.safetensors").exists())
    return asked


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "experiments" / "tiny")


def finish(runs, seconds=60):
    for planned_run in runs:
        planned_run.folder.mkdir(parents=True, exist_ok=True)
        (planned_run.folder / "weights.safetensors").write_text(planned_run.name)
        (planned_run.folder / "log.csv").write_text(f"epoch,seconds\n1,{seconds}\n")


def planned(folder, *only):
    return whole.plan(load_rows(folder), folder, only)


def measured(folder, row, *options):
    call(["benchmark", "run", str(folder), "--only", row, "--no-train", *options])
    path = results_folder(folder) / f"{row}.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_a_finished_row_has_figures_out_of_fold_by_seed_and_on_the_test_slices_by_network(
    folder, asked
):
    finish(planned(folder, "coach").runs)
    result = measured(folder, "coach")
    out_of_fold = result["held_out"]["infection"]
    assert out_of_fold["slices"] == ["a", "b", "c"]
    assert out_of_fold["per_slice"]["dice"] == {"seed0": [1, 1, 1], "seed1": [0.6667] * 3}
    assert out_of_fold["figures"]["dice"]["mean"] == pytest.approx(0.8333, abs=1e-4)
    assert out_of_fold["figures"]["dice"]["n"] == 3
    assert per_slice(out_of_fold, "dice", ["seed1"]) == {"a": 0.6667, "b": 0.6667, "c": 0.6667}
    on_test = result["test"]["infection"]
    assert list(on_test["per_slice"]["dice"]) == [
        "fold0-seed0", "fold1-seed0", "fold0-seed1", "fold1-seed1",
    ]  # fmt: skip
    assert on_test["figures"]["dice"]["n"] == 2
    assert on_test["without_91"]["figures"]["dice"]["n"] == 1
    assert result["runs"][0]["seconds_before"] == 60
    assert [step["experiment"] for step in result["steps"]] == ["pretraining", "pretraining"]
    assert result["runs"][0]["commit"] == "abc"
    assert {"commit", "lungscore"} <= result.keys()
    # Both of 40 epochs of 200 slices, batches of 16; the pre-training of four, masks at random.
    assert (result["runs"][0]["slices"], result["runs"][0]["slices_before"]) == (7680, 768)
    assert result["command"].endswith("experiments/tiny --only coach")
    assert "fold" not in result["config"]["data"]


def test_the_errors_of_pretraining_are_kept_with_their_floors_epoch_by_epoch(folder, asked):
    runs = planned(folder, "coach").runs
    finish(runs)
    log = "epoch,random_mask_error,random_mask_floor,seconds\n1,0.5,0.4,10\n2,0.3,0.35,10\n"
    for step in runs:
        if step.config.name == "pretraining":
            (step.folder / "log.csv").write_text(log)
    (step, _) = measured(folder, "coach")["steps"]
    assert step["inpainting"] == {
        "random_mask_error": [0.5, 0.3],
        "random_mask_floor": [0.4, 0.35],
    }
    assert step["seconds"] == 20


def test_only_the_runs_of_one_seed_are_trained_where_one_is_asked_for(folder, asked, monkeypatch):
    trained = []

    def execute(planned_run, **limits):
        trained.append(planned_run.name)
        finish([planned_run])
        return 0

    monkeypatch.setattr(whole, "train_in_process", execute)
    call(["benchmark", "run", str(folder), "--only", "supervised", "--seed", "1"])
    assert trained == ["supervised/fold0-seed1", "supervised/fold1-seed1"]


def test_a_row_that_fails_the_check_of_its_weights_is_not_measured(folder, asked, monkeypatch):
    finish(planned(folder, "semi").runs)

    def check(runs, stored):
        raise InputError("weights-differ", "other weights")

    monkeypatch.setattr(whole, "check_weights", check)
    assert measured(folder, "semi") is None
    assert asked == []


def test_a_row_with_some_seeds_is_measured_without_the_test_slices(folder, asked):
    runs = planned(folder, "coach").runs
    finish([planned_run for planned_run in runs if planned_run.name != "coach/fold1-seed1"])
    result = measured(folder, "coach")
    assert (result["seeds"], result["planned_seeds"]) == ([0], [0, 1])
    assert result["test"] is None
    assert not [request for request in asked if request[-1] == "test"]


def test_a_row_without_a_whole_seed_has_no_result(folder, asked, capsys):
    finish(planned(folder, "supervised").runs[:1])
    assert measured(folder, "supervised") is None
    assert "supervised: not finished" in capsys.readouterr().out


def test_a_run_of_another_experiment_is_not_measured(folder, asked, monkeypatch):
    finish(planned(folder, "semi").runs)

    def finished(config, out):
        if out.name == "fold1-seed0":
            raise InputError("checkpoint-mismatch", "another experiment")
        return True

    monkeypatch.setattr(run, "finished", finished)
    assert measured(folder, "semi") is None
    assert asked == []


def test_a_result_is_made_once_and_the_test_slices_are_left_alone_on_request(folder, asked, capsys):
    finish(planned(folder, "semi").runs)
    assert measured(folder, "semi", "--no-test")["test"] is None
    assert {request[-1] for request in asked} == {"held-out"}
    assert measured(folder, "semi")["test"] is not None
    asked.clear()
    assert measured(folder, "semi", "--no-test")["test"] is not None
    assert asked == []
    assert "semi: measured before" in capsys.readouterr().out
    (planned(folder, "semi").rows[0][1][0].folder / "weights.safetensors").write_text("new")
    assert measured(folder, "semi")["runs"][0]["weights_sha256"]
    assert asked


def test_lesions_have_figures_of_each_class_where_it_is_and_a_loss_over_all(folder, asked):
    finish(planned(folder, "lesions").runs)
    result = measured(folder, "lesions")
    test = result["test"]
    assert test["ggo"]["slices"] == ["91", "d"] or test["ggo"]["slices"] == ["d", "91"]
    assert test["consolidation"]["slices"] == ["91"]
    assert test["consolidation"]["absent"]["fold0-seed0"] == {"n": 1, "false_alarms": 0}
    assert set(test["classes"]["per_slice"]) == {"test_loss"}
    assert result["held_out"]["ggo"]["figures"]["dice"]["n"] == 3


def test_a_row_on_all_slices_has_no_figures_out_of_fold(folder, asked):
    finish(planned(folder, "large").runs)
    result = measured(folder, "large")
    assert result["held_out"] is None
    assert result["test"]["infection"]["figures"]["dice"]["n"] == 2


def test_a_failure_while_measuring_leaves_no_file_and_the_others_go_on(
    folder, asked, monkeypatch, capsys
):
    finish(planned(folder, "supervised", "semi").runs)
    maps = measuring.ensure_maps

    def broken(config, file, subset):
        if config.name == "supervised":
            raise InputError("run-missing", "gone")
        return maps(config, file, subset)

    monkeypatch.setattr(measuring, "ensure_maps", broken)
    arguments = ["--only", "supervised", "--only", "semi", "--no-train"]
    assert call(["benchmark", "run", str(folder), *arguments]) == 3
    assert sorted(path.name for path in results_folder(folder).iterdir()) == ["semi.json"]
    error = capsys.readouterr().err
    assert "benchmark-incomplete" in error
    assert "1 failed: supervised" in error


def test_run_trains_what_is_missing_measures_it_and_writes_the_page(
    folder, asked, monkeypatch, capsys
):
    trained = []

    def execute(planned_run, **limits):
        trained.append(planned_run.name)
        if planned_run.name == "coach/fold0-seed0":
            return 3
        finish([planned_run])
        return 0

    monkeypatch.setattr(whole, "train_in_process", execute)
    assert call(["benchmark", "run", str(folder)]) == 3
    assert "lesions/fold1-seed0" in trained
    assert "lesions/fold0-seed0" not in trained
    assert "coach/fold1-seed1" in trained
    made = {path.stem for path in results_folder(folder).iterdir()}
    assert made == {"coach", "supervised", "semi"}
    assert json.loads((results_folder(folder) / "coach.json").read_text())["seeds"] == [1]
    assert "not run" in (folder.parents[1] / "docs" / "benchmarks.md").read_text()
    error = capsys.readouterr().err
    assert "not run, since it builds on coach/fold0-seed0" in error
    trained.clear()
    call(["benchmark", "run", str(folder)])
    assert trained == ["coach/fold0-seed0"]


def test_a_dry_run_lists_runs_and_hours_and_writes_nothing(folder, asked, capsys):
    finish(planned(folder, "supervised").runs[:2], seconds=3600)
    before = sorted(folder.parents[1].rglob("*"))
    assert call(["benchmark", "run", str(folder), "--dry-run", "--only", "supervised"]) == 0
    out = capsys.readouterr().out
    assert "supervised: 2 runs, about 2.0 h (fold0-seed1, fold1-seed1)" in out
    assert "2 runs to train, about 2.0 h" in out
    assert sorted(folder.parents[1].rglob("*")) == before
