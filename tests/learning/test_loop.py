"""What every training shares: checkpoints, logs, progress, and what stops it."""

import math
from types import SimpleNamespace

import pytest
import torch

from lungscore.errors import InputError
from lungscore.learning import loop
from lungscore.learning import train as train_module
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.train import train
from tests.learning.tiny_training import U_NET, experiment, logged, slices

pytestmark = pytest.mark.usefixtures("one_thread")


class StoppedError(Exception):
    """Stands for whatever ends a training early."""


def stop_after(epoch: int):
    """A report that ends the training behind ``epoch``."""

    def report(progress) -> None:
        if progress.epoch == epoch:
            raise StoppedError

    return report


def run(out, config=None, **options):
    """Train on two infected slices and one clean one."""
    return train(
        config or experiment(network=U_NET, epochs=2, healthy_fraction=0.5),
        infected=slices(2),
        healthy=slices(1, infected=False),
        out=out,
        **options,
    )


def stopped(out, epoch: int = 1, config=None):
    """Leave a run in ``out`` that ended behind ``epoch``."""
    with pytest.raises(StoppedError):
        run(out, config, report=stop_after(epoch))


def rejected(code: str, *args, **options) -> InputError:
    """The error with which a run is refused."""
    with pytest.raises(InputError) as caught:
        run(*args, **options)
    assert caught.value.code == code
    return caught.value


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("changes", [{}, {"recipe": "paper", "network": U_NET}], ids=str)
def test_a_resumed_run_ends_with_the_very_weights_of_an_uninterrupted_one(tmp_path, changes):
    config = experiment(epochs=2, healthy_fraction=0.5, **changes)
    whole = run(tmp_path / "whole", config).state_dict()
    stopped(tmp_path / "parts", 1, config)
    assert not (tmp_path / "parts" / "weights.safetensors").exists()
    parts = run(tmp_path / "parts", config, resume=True).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert list(logged(tmp_path / "parts")[0]) == ["epoch", "loss", "learning_rate", "seconds"]
    logs = [[row["loss"] for row in logged(tmp_path / name)] for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 2


def test_a_run_stopped_between_checkpoint_and_log_still_logs_every_epoch(tmp_path, monkeypatch):
    with monkeypatch.context() as broken:

        def stop(*args) -> None:
            raise StoppedError

        broken.setattr(loop, "write_csv", stop)
        with pytest.raises(StoppedError):
            run(tmp_path, experiment(network=U_NET, epochs=1))
    assert not (tmp_path / "log.csv").exists()
    run(tmp_path, experiment(network=U_NET, epochs=1), resume=True)
    assert [row["epoch"] for row in logged(tmp_path)] == ["1"]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_a_finished_run_is_not_trained_again(tmp_path):
    once = experiment(network=U_NET, epochs=1)
    first = run(tmp_path, once).state_dict()
    assert "resume" in (rejected("output-exists", tmp_path, once).hint or "")
    told = []
    again = run(tmp_path, once, resume=True, report=told.append).state_dict()
    assert told == []
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert read_facts(tmp_path / "weights.safetensors")["config"]["name"] == "test"


def test_a_checkpoint_of_another_experiment_is_refused(tmp_path):
    stopped(tmp_path)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    changed = experiment(network=U_NET, learning_rate=0.01)
    error = rejected("checkpoint-mismatch", tmp_path, changed, resume=True)
    assert "another experiment" in error.message
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept
    wider = experiment(network={**U_NET, "base_width": 8})
    assert (
        "of another shape" in rejected("checkpoint-mismatch", tmp_path, wider, resume=True).message
    )


def test_progress_tells_how_long_the_rest_will_take(tmp_path, monkeypatch):
    clock = iter([100.0, 107.0, 200.0, 203.0, 300.0, 304.0])
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock))
    told = []
    run(tmp_path, experiment(network=U_NET, epochs=3), report=told.append)
    assert [(progress.epoch, progress.epochs) for progress in told] == [(1, 3), (2, 3), (3, 3)]
    assert [progress.seconds for progress in told] == [7, 3, 4]
    assert [progress.seconds_left for progress in told] == [14, 3, 0]
    assert [row["seconds"] for row in logged(tmp_path)] == ["7.0", "3.0", "4.0"]


@pytest.mark.parametrize(
    ("spoil", "culprit"),
    [
        (lambda logits: logits.sum() * math.nan, "The loss of epoch 2 is nan"),
        # The root of 0 has no slope: the loss is 0, and its gradient no number.
        (lambda logits: (logits * 0).sum().sqrt(), "not a number after epoch 2"),
    ],
    ids=["loss", "gradient"],
)
def test_what_is_no_number_stops_and_keeps_the_last_checkpoint(
    tmp_path, monkeypatch, spoil, culprit
):
    config = experiment(network=U_NET, epochs=2, slices_per_epoch=2)
    stopped(tmp_path, 1, config)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    monkeypatch.setattr(
        train_module, "infection_loss", lambda output, *_, **__: spoil(output.side_outputs[0])
    )
    assert culprit in rejected("loss-not-finite", tmp_path, config, resume=True).message
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept
    assert not (tmp_path / "weights.safetensors").exists()
    assert [row["epoch"] for row in logged(tmp_path)] == ["1"]


@pytest.mark.parametrize(("trains", "augments"), [("cpu", "cpu"), ("cuda", "cuda"), ("mps", "cpu")])
def test_slices_are_augmented_on_a_gpu_with_cuda_only(trains, augments):
    fabric = SimpleNamespace(device=torch.device(trains))
    assert loop.augmentation_device(fabric).type == augments
