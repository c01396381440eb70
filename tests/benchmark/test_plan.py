"""Which runs a row needs, in which order, and what they will take."""

import time
from threading import Barrier

import pytest
import yaml

from lungscore.benchmark import run as running
from lungscore.benchmark.estimates import Estimates, seconds_of
from lungscore.benchmark.plan import before, in_order, runs_of
from lungscore.benchmark.rows import load_rows
from lungscore.benchmark.run import (
    STOPPED,
    State,
    command,
    runs_that_fit,
    train_in_process,
    train_missing,
    visible_cards,
)
from lungscore.benchmark.whole import plan
from lungscore.errors import InputError
from tests.benchmark.tiny_benchmark import ROWS, write_folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A comparison of few rows, in a working folder without runs."""
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "experiments" / "tiny")


def runs(folder, row):
    return runs_of(load_rows(folder).row(row), folder)


def names(planned):
    return [run.name for run in planned]


def log(run, *seconds):
    """A log as a finished run leaves it."""
    run.folder.mkdir(parents=True)
    lines = ["epoch,loss,seconds", *(f"{i},1.0,{duration}" for i, duration in enumerate(seconds))]
    (run.folder / "log.csv").write_text("\n".join(lines))


def test_a_row_has_a_run_for_every_fold_and_seed_seed_by_seed(folder):
    assert names(runs(folder, "coach")) == [
        "coach/fold0-seed0",
        "coach/fold1-seed0",
        "coach/fold0-seed1",
        "coach/fold1-seed1",
    ]
    assert names(runs(folder, "large")) == ["large/all-seed0"]


def test_a_row_may_hold_out_the_first_folds_only_but_no_more_than_there_are(tmp_path):
    coach = ROWS["rows"][0]
    one = write_folder(tmp_path / "one", rows=[coach | {"folds": 1}, *ROWS["rows"][1:]])
    assert names(runs(one, "coach")) == ["coach/fold0-seed0", "coach/fold0-seed1"]
    three = write_folder(tmp_path / "three", rows=[coach | {"folds": 3}, *ROWS["rows"][1:]])
    with pytest.raises(InputError, match="holds out 3 folds, its experiment has 2"):
        runs(three, "coach")


def test_a_start_is_run_before_for_the_same_fold_and_its_own_seed(folder):
    last = runs(folder, "coach")[-1]
    assert names(before(last)) == ["pretraining/fold1-seed0"]
    assert names(before(runs(folder, "large")[0])) == ["pretraining/all-seed0"]


def test_one_pretraining_a_fold_serves_all_seeds(folder):
    order = names(in_order(runs(folder, "coach")))
    assert len(order) == 6
    assert order.count("pretraining/fold0-seed0") == 1


def test_priors_need_every_fold_and_starts_their_own_starts(folder):
    order = names(before(runs(folder, "lesions")[0]))
    assert order == [
        "pretraining/fold0-seed0",
        "coach/fold0-seed0",
        "supervised/fold0-seed0",
        "supervised/fold1-seed0",
    ]


def test_pseudo_labels_come_first_and_what_they_start_from_before_them(folder):
    order = names(before(runs(folder, "semi")[1]))
    assert order == ["supervised/fold1-seed0", "labels/fold1-seed0"]


def test_the_published_lesion_recipe_needs_its_own_folds_priors_only(folder):
    values = yaml.safe_load((folder / "lesions.yaml").read_text())
    values |= {"network": {"name": "multi-inf-net"}, "training": {"recipe": "paper"}}
    (folder / "lesions.yaml").write_text(yaml.safe_dump(values))
    assert names(before(runs(folder, "lesions")[1])) == ["supervised/fold1-seed0"]


def test_an_experiment_that_builds_on_itself_is_refused(folder):
    text = "name: supervised\nnetwork: {start: {experiment: coach}}\n"
    (folder / "supervised.yaml").write_text(text)
    values = {"name": "coach", "network": {"start": {"experiment": "supervised"}}}
    (folder / "coach.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match="builds on itself"):
        before(runs(folder, "coach")[0])


def test_a_row_whose_experiment_is_missing_does_not_stop_the_others(folder):
    (folder / "labels.yaml").unlink()
    planned = plan(load_rows(folder), folder)
    assert [row.name for row, _ in planned.rows] == ["coach", "supervised", "lesions"]
    assert "labels.yaml" in planned.wrong["semi"]


def test_rows_that_say_why_they_are_not_run_are_run_only_when_named(folder):
    benchmark = load_rows(folder)
    assert "large" not in [row.name for row, _ in plan(benchmark, folder).rows]
    assert names(plan(benchmark, folder, ["large"]).runs) == [
        "pretraining/all-seed0",
        "large/all-seed0",
    ]


def test_a_run_is_the_command_that_a_user_would_type(folder):
    coach = runs(folder, "coach")[1]
    assert command(coach, 2) == [
        "train", str(folder / "coach.yaml"), "--fold", "1", "--seed", "0", "--resume",
        "--threads", "2",
    ]  # fmt: skip
    (first,) = before(coach)
    assert command(first)[0] == "pretrain"
    assert "--fold" not in command(runs(folder, "large")[0])


def test_a_failing_run_stops_only_what_builds_on_it(folder):
    missing = in_order([*runs(folder, "coach")[:2], *runs(folder, "supervised")[:1]])
    done, said = [], []

    def execute(run):
        done.append(run.name)
        return 3 if run.name == "pretraining/fold0-seed0" else 0

    failed = train_missing(State([], missing, {}), execute, report=said.append)
    assert done == [
        "pretraining/fold0-seed0",
        "pretraining/fold1-seed0",
        "coach/fold1-seed0",
        "supervised/fold0-seed0",
    ]
    assert failed == {
        "pretraining/fold0-seed0": "ended with exit code 3",
        "coach/fold0-seed0": "not run, since it builds on pretraining/fold0-seed0",
    }
    assert said[0].startswith("[1/5] pretraining/fold0-seed0")


def test_trainings_go_side_by_side_but_not_before_what_they_build_on(folder):
    missing = in_order([*runs(folder, "coach")[:1], *runs(folder, "supervised")[:2]])
    started, done, together = [], [], Barrier(2)

    def execute(run):
        started.append(run.name)
        if run.name in ("pretraining/fold0-seed0", "supervised/fold0-seed0"):
            together.wait(timeout=10)  # neither ends before both have begun
        if run.name == "coach/fold0-seed0":
            assert "pretraining/fold0-seed0" in done
        done.append(run.name)
        return 0

    assert train_missing(State([], missing, {}), execute, at_once=2) == {}
    assert sorted(started) == sorted(run.name for run in missing)


def test_nothing_begins_after_the_time_and_what_was_stopped_says_so(folder, monkeypatch):
    missing = in_order(runs(folder, "coach")[:2])
    clock = iter((0.0, 9.0, 11.0, 11.0, 11.0))
    monkeypatch.setattr(running.time, "monotonic", lambda: next(clock))
    codes = iter((0, STOPPED))
    assert train_missing(State([], missing, {}), lambda run: next(codes), ends=10.0) == {
        "coach/fold0-seed0": "stopped, the time is over",
        "pretraining/fold1-seed0": "not begun, the time is over",
        "coach/fold1-seed0": "not begun, the time is over",
    }


@pytest.mark.parametrize(("seconds", "code"), [(0.5, STOPPED), (60, 3)])
def test_a_training_is_stopped_when_the_time_is_over(folder, monkeypatch, seconds, code):
    monkeypatch.setattr(running, "command", lambda run, threads: [])
    # `python -m lungscore` of this folder.
    folder.joinpath("lungscore.py").write_text(
        f"import time, sys; time.sleep({30 if code == STOPPED else 0}); sys.exit(3)"
    )
    monkeypatch.chdir(folder)
    began = time.monotonic()
    assert train_in_process(runs(folder, "large")[0], ends=began + seconds) == code
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("cpu", None, ""),
        ("cpu", "2,3", ""),
        ("cuda:1", None, "1"),
        ("cuda:1", "2,3", "3"),
        ("cuda:0", "", "0"),
    ],
)
def test_a_training_sees_the_device_that_was_asked_for_alone(device, visible, expected):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert visible_cards(device, environment) == {"CUDA_VISIBLE_DEVICES": expected}


def test_a_card_is_packed_with_as_many_trainings_as_its_memory_and_the_threads_allow(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(running, "available_threads", lambda: 16)
    free = 0
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    counts = []
    for gibibytes in (1, 9, 40, 140):
        free = gibibytes * 2**30
        counts.append(runs_that_fit("cuda:0"))
    assert counts == [1, 2, 10, 16]
    assert runs_that_fit("cpu") == 1


def test_a_folder_with_another_experiment_fails_what_builds_on_it(folder):
    (coach,) = runs(folder, "coach")[:1]
    state = State([], [coach], {"pretraining/fold0-seed0": "belongs to another experiment"})
    failed = train_missing(state, lambda run: 0)
    assert set(failed) == {"pretraining/fold0-seed0", "coach/fold0-seed0"}


def test_seconds_are_the_sum_of_a_log_and_unknown_without_one(folder):
    logged, unlogged = runs(folder, "supervised")[:2]
    log(logged, 10, 20.5)
    assert seconds_of(logged.folder) == 30.5
    assert seconds_of(unlogged.folder) is None


def test_a_run_is_estimated_from_the_same_experiment_else_from_slices_of_any(folder):
    supervised, coach = runs(folder, "supervised"), runs(folder, "coach")
    log(supervised[0], 100)
    log(supervised[1], 200)
    estimates = Estimates(supervised[:2])
    assert estimates.seconds(supervised[2]) == 150
    # 2 x 100 slices took 150 s; the experiment coach has 40 x 200 of the same size.
    assert estimates.seconds(coach[0]) == pytest.approx(150 * 40)
    assert estimates.hours([supervised[2], coach[0]]) == pytest.approx(150 * 41 / 3600)


def test_without_a_finished_run_nothing_is_estimated(folder):
    assert Estimates([]).hours(runs(folder, "coach")) is None


def test_the_remaining_time_is_told_before_every_run(folder):
    supervised, said = runs(folder, "supervised"), []
    log(supervised[0], 3600)
    train_missing(State(supervised[:1], supervised[1:3], {}), lambda run: 0, report=said.append)
    assert said[0] == "[1/2] supervised/fold1-seed0, about 2.0 h left in all"
