"""Several processes train as one does; a killed one leaves what can be gone on with."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lungscore.errors import InputError
from lungscore.learning.loop import make_fabric
from ports import free_port
from tests.learning import training_processes as processes
from tests.learning.tiny_training import experiment, logged

pytestmark = pytest.mark.usefixtures("one_thread")


def end(children) -> None:
    """Wait for ``children``, all of which must end well."""
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0] * len(children)


def assert_same_training(first: Path, second: Path) -> None:
    alone, shared = (load_file(run / "weights.safetensors") for run in (first, second))
    far = max((alone[name] - shared[name]).abs().max().item() for name in alone)
    assert far <= 1e-6
    assert [row["epoch"] for row in logged(second)] == ["1", "2"]
    for row, expected in zip(logged(second), logged(first), strict=True):
        assert float(row["loss"]) == pytest.approx(float(expected["loss"]), abs=1e-5)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_at_the_same_batch(tmp_path):
    port = free_port()
    runs = [(0, 1, port, tmp_path / "one"), *((i, 2, port, tmp_path / "two") for i in range(2))]
    end([processes.start(processes.train_as, *run) for run in runs])
    assert_same_training(tmp_path / "one", tmp_path / "two")
    # Four steps were taken, and they were no small ones.
    before = experiment_weights()
    after = load_file(tmp_path / "one" / "weights.safetensors")
    assert max((after[name] - before[name]).abs().max().item() for name in before) > 1e-3


def experiment_weights() -> dict[str, torch.Tensor]:
    """The weights that the shared training starts with."""
    processes.ENCODERS["tiny"] = processes.TinyEncoder
    try:
        build = processes.train_module.build_network
        return build(processes.shared_config(), torch.zeros(1, 1, 8, 8), imagenet=None).state_dict()
    finally:
        del processes.ENCODERS["tiny"]


@pytest.mark.slow
def test_torchrun_starts_them(tmp_path):
    here = Path(processes.__file__).parents[2]  # of the package tests
    path = os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])
    program = [processes.__file__, str(tmp_path / "two")]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run(
        [sys.executable, *torchrun, *program], env={**os.environ, "PYTHONPATH": path}, check=True
    )
    end([processes.start(processes.train_as, 0, 1, free_port(), tmp_path / "one")])
    assert_same_training(tmp_path / "one", tmp_path / "two")


def test_a_batch_that_processes_cannot_share_evenly_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(InputError, match="batch_size 4 for 3 processes") as caught:
        make_fabric(experiment("resnet18", batch_size=4))
    assert caught.value.code == "config-invalid"


def kill_at_random(kind: str, out: Path, within: float, *, resume: bool) -> float:
    """Start a training and kill it some time after its next epoch; returns how long after."""
    epochs = len(logged(out)) if (out / "log.csv").exists() else 0
    child = processes.start(processes.run, kind, out, resume)
    while child.is_alive() and not ((out / "log.csv").exists() and len(logged(out)) > epochs):
        time.sleep(0.005)
    time.sleep(delay := np.random.default_rng().uniform(0, within))
    child.kill()  # with SIGKILL: nothing is cleaned up
    child.join(60)
    return delay


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow if kind == "pretrain" else ())
        for kind in sorted(processes.KILLED)
    ],
)
@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_very_weights_of_one_that_was_not(tmp_path, kind):
    began = time.perf_counter()
    whole = processes.run(kind, tmp_path / "whole").state_dict()
    within = (time.perf_counter() - began) / 4
    delays = [
        kill_at_random(kind, tmp_path / "parts", within, resume=resume) for resume in (False, True)
    ]
    parts = processes.run(kind, tmp_path / "parts", resume=True).state_dict()
    different = [name for name in whole if not torch.equal(whole[name], parts[name])]
    assert not different, f"killed after {delays}"
    assert not (tmp_path / "parts" / "checkpoint.safetensors").exists()
    assert_every_epoch_once(tmp_path / "whole", tmp_path / "parts")


def assert_every_epoch_once(whole: Path, parts: Path) -> None:
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in logged(run)]
        for run in (whole, parts)
    ]
    assert rows[0] == rows[1]
    assert [list(row) for row in rows[0]] == [list(row) for row in rows[1]]
    assert [row["epoch"] for row in rows[1]] == [str(epoch) for epoch in range(1, 7)]
    assert len(list((parts / "tensorboard").iterdir())) == 1
    events = EventAccumulator(str(parts / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {*rows[1][0], "seconds"} - {"epoch"}
    for name in rows[1][0].keys() - {"epoch"}:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2, 3, 4, 5, 6]
        assert [s.value for s in scalars] == pytest.approx([float(row[name]) for row in rows[1]])
