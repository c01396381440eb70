import csv
import math

import numpy as np
import pytest
import torch
from tiny_training import NO_AUGMENTATION, experiment, slices

from lungscore.errors import InputError
from lungscore.evaluation.metrics import dice
from lungscore.learning import train as train_module
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.config import TrainingConfig
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import learning_rate, train
from lungscore.networks import normalise


class StoppedError(Exception):
    """Stands for whatever ends a training early."""


def stop_after(epoch: int):
    """A report that ends the training behind ``epoch``."""

    def report(progress) -> None:
        if progress.epoch == epoch:
            raise StoppedError

    return report


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order, so that runs can be compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(out, config=None, **options):
    """Train on two infected slices and one clean one."""
    return train(
        config or experiment(epochs=2, healthy_fraction=0.5),
        infected=slices(2),
        healthy=slices(1, infected=False),
        out=out,
        **options,
    )


@pytest.mark.usefixtures("tiny")
def test_a_resumed_run_ends_with_the_very_weights_of_an_uninterrupted_one(tmp_path):
    whole = run(tmp_path / "whole").state_dict()
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", report=stop_after(1))
    assert not (tmp_path / "parts" / "weights.safetensors").exists()
    parts = run(tmp_path / "parts", resume=True).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    logs = [list(csv.reader((tmp_path / run / "log.csv").open())) for run in ("whole", "parts")]
    assert logs[0][0] == ["epoch", "loss", "learning_rate", "seconds"]
    assert [row[:3] for row in logs[0]] == [row[:3] for row in logs[1]]
    assert len(logs[0]) == 3


@pytest.mark.usefixtures("tiny")
def test_a_finished_run_is_not_trained_again(tmp_path):
    once = experiment(epochs=1)
    first = run(tmp_path, once).state_dict()
    with pytest.raises(InputError, match="resume") as caught:
        run(tmp_path, once)
    assert caught.value.code == "output-exists"
    told = []
    again = run(tmp_path, once, resume=True, report=told.append).state_dict()
    assert told == []
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert read_facts(tmp_path / "weights.safetensors")["config"]["name"] == "test"


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_of_another_experiment_is_refused(tmp_path):
    with pytest.raises(StoppedError):
        run(tmp_path, experiment(), report=stop_after(1))
    with pytest.raises(InputError, match="another experiment") as caught:
        run(tmp_path, experiment(learning_rate=0.01), resume=True)
    assert caught.value.code == "checkpoint-mismatch"


@pytest.mark.usefixtures("tiny")
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    with pytest.raises(StoppedError):
        run(tmp_path, report=stop_after(1))
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    monkeypatch.setattr(
        train_module,
        "infection_loss",
        lambda output, *_, **__: output.side_outputs[0].sum() * math.nan,
    )
    with pytest.raises(InputError, match="epoch 2 is nan") as caught:
        run(tmp_path, resume=True)
    assert caught.value.code == "loss-not-finite"
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept
    assert not (tmp_path / "weights.safetensors").exists()


@pytest.mark.usefixtures("tiny")
def test_the_paper_recipe_steps_at_three_sizes(tmp_path, monkeypatch):
    sizes = []

    def seen(image):
        sizes.append(tuple(image.shape[-2:]))
        return normalise(image)

    monkeypatch.setattr(train_module, "normalise", seen)
    network = run(tmp_path, experiment(recipe="paper", epochs=1, slices_per_epoch=2))
    # 64 times 0.75, 1 and 1.25, rounded to 32 pixels as the published code does (half to even).
    assert sizes == [(64, 64), (64, 64), (64, 64)]
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


@pytest.mark.parametrize(("side", "sizes"), [(352, [256, 352, 448]), (256, [192, 256, 320])])
def test_the_sizes_of_the_paper_recipe_are_the_published_ones(side, sizes):
    batch = train_module.Batch(*(torch.zeros(1, 1, side, side) for _ in range(3)))
    found = [train_module._rescale(batch, scale).edge.shape[-1] for scale in (0.75, 1, 1.25)]
    assert found == sizes


def test_the_default_rate_rises_for_a_fifth_and_falls_to_zero():
    training = TrainingConfig(learning_rate=1e-3)
    rates = [learning_rate(training, progress, 0) for progress in (0, 0.1, 0.2, 0.6, 1)]
    assert rates == pytest.approx([4e-5, 5.2e-4, 1e-3, 5e-4, 0])


def test_the_rate_of_the_paper_recipe_collapses_at_the_50th_epoch():
    """Against a simulation of the published loop, which multiplies the current rate."""
    training = TrainingConfig(recipe="paper", learning_rate=1e-4)
    rate, published = 1e-4, []
    for epoch in range(1, 106):
        rate *= 0.1 ** (epoch // 50)
        published.append(rate)
    found = [learning_rate(training, 0.5, epoch) for epoch in range(105)]
    assert found == pytest.approx(published, rel=1e-9, abs=0)
    assert found[48] == 1e-4
    assert found[49] == pytest.approx(1e-5)
    assert found[52] == pytest.approx(1e-8)


@pytest.mark.slow
def test_inf_net_learns_two_slices_by_heart(tmp_path):
    config = experiment("resnet18", epochs=2, slices_per_epoch=40, learning_rate=2e-3)
    config = config.model_copy(update={"augmentation": NO_AUGMENTATION})
    losses = []
    network = train(
        config, infected=slices(2), healthy=[], out=tmp_path, report=lambda p: losses.append(p.loss)
    )
    assert losses[1] < 0.9 * losses[0]
    batch = SliceStore(slices(2), config).batch(np.arange(2), config, np.random.default_rng(0))
    with torch.no_grad():
        logits = network(normalise(batch.image)).side_outputs[-1]
    for found, truth in zip(logits > 0, batch.infection > 0.5, strict=True):
        assert dice(found.numpy(), truth.numpy()) > 0.85
