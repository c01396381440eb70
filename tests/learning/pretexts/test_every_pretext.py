"""What every task without labels promises: it learns, resumes, reads no label, leaves the heads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lungscore.datasets.sample import Sample
from lungscore.learning.loop import make_fabric, set_up
from lungscore.learning.pretrain import TASKS, pretrain
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import build_network
from tests.learning.tiny_training import NO_AUGMENTATION, experiment, logged, slices

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")

SETTINGS = {
    "rotation": {},
    "clusters": {"clusters": 6, "cluster_epochs": 2},
    "masked-modelling": {"block": 32, "masked": 0.5},
}


def pretraining(task: str, **changes):
    """A pre-training of the smallest Inf-Net by ``task``."""
    changes = {"network": {"name": "inf-net", "encoder": "tiny"}, "batch_size": 4, **changes}
    return experiment(**changes, pretraining={"task": task, **SETTINGS[task]})


def upright(count: int) -> list[Sample]:
    """Slices of which every turn looks otherwise: bright above, dark to the left."""
    samples = []
    for index in range(count):
        rng = np.random.default_rng(index)
        image = np.full((64, 64), 150)
        image[:, :32] = 40
        image[: 16 + index] = 220
        image = image + rng.integers(-20, 20, image.shape)
        nothing = np.zeros((64, 64), bool)
        samples.append(Sample(image.astype(np.uint8), nothing, f"upright-{index}", "synthetic"))
    return samples


@pytest.mark.parametrize("task", SETTINGS)
def test_the_loss_falls_within_a_few_steps(tmp_path, task, monkeypatch):
    seen, step = [], TASKS[task].loss

    def loss(self, fabric, learner, indices, rng):
        seen.append(len(indices) * self.copies)
        return step(self, fabric, learner, indices, rng)

    monkeypatch.setattr(TASKS[task], "loss", loss)
    config = pretraining(
        task,
        epochs=4,
        slices_per_epoch=24,
        learning_rate=1e-2,
        augmentation=NO_AUGMENTATION.model_dump(),
    )
    if task == "clusters":  # clustered once: labels that are made anew start anew
        settings = config.pretraining.model_copy(update={"cluster_epochs": 4})
        config = config.model_copy(update={"pretraining": settings})
    pretrain(config, upright(4), tmp_path)
    losses = [float(row["loss"]) for row in logged(tmp_path)]
    assert losses[-1] < 0.85 * losses[0]
    # Whatever a task shows of a slice, the network sees as many images as in inpainting.
    assert seen == [4] * 24


@pytest.mark.parametrize("task", SETTINGS)
def test_a_resumed_run_ends_with_the_very_weights_of_an_uninterrupted_one(tmp_path, task):
    config = pretraining(task, epochs=2, input={"height": 75, "width": 97})

    class Stopped(Exception):
        pass

    def stop(progress):
        if progress.epoch == 1:
            raise Stopped

    whole = pretrain(config, slices(3), tmp_path / "whole").state_dict()
    with pytest.raises(Stopped):
        pretrain(config, slices(3), tmp_path / "parts", report=stop)
    parts = pretrain(config, slices(3), tmp_path / "parts", resume=True).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    again = pretrain(config, slices(3), tmp_path / "parts", resume=True).state_dict()
    assert all(torch.equal(again[name], parts[name]) for name in parts)  # it was finished


@pytest.mark.parametrize("task", SETTINGS)
def test_the_encoder_learns_and_the_heads_return(tmp_path, task):
    config = pretraining(task, epochs=1)
    before = build_network(config, torch.zeros(1, 1, 8, 8), imagenet=None)
    network = pretrain(config, slices(3), tmp_path)
    after = load_file(tmp_path / "weights.safetensors")
    assert after.keys() == before.state_dict().keys()
    assert [type(module) for module in network.modules()] == [
        type(module) for module in before.modules()
    ]
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in before.named_parameters():
        if name.startswith("encoder."):
            assert not torch.equal(after[name], value), name
        elif "head" in name.split(".") or task != "clusters":
            assert torch.equal(after[name], value), name
    with torch.no_grad():
        output = network(torch.rand(1, 1, 65, 49))
    assert output.side_outputs[-1].shape == (1, 1, 65, 49)


@pytest.mark.parametrize("task", SETTINGS)
def test_gradients_reach_every_parameter_that_learns(task):
    config = pretraining(task)
    store = SliceStore(slices(4), config)
    pretext = TASKS[task](config, build_network(config, store.images, imagenet=None), store, None)
    fabric = make_fabric(config)
    set_up(pretext, fabric)
    torch.manual_seed(0)
    pretext.begin(fabric, 0)
    learner = pretext.networks["learner"].train()
    loss, _ = pretext.loss(fabric, learner, np.arange(4), np.random.default_rng(0))
    loss.backward()
    untouched = [
        name
        for name, parameter in pretext.learner.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert untouched == []


@pytest.mark.slow
@pytest.mark.parametrize("task", SETTINGS)
def test_labels_make_no_difference(tmp_path, task):
    config = pretraining(task, epochs=1)
    everything = [
        replace(sample, infection=~sample.infection, lesions=None) for sample in slices(3)
    ]
    first = pretrain(config, slices(3), tmp_path / "one").state_dict()
    second = pretrain(config, everything, tmp_path / "two").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        ("rotation", {"network": {"name": "u-net"}}, "for the networks inf-net and finer-inf-net"),
        ("rotation", {"recipe": "paper"}, "the recipe paper"),
        ("rotation", {"augmentation": {"transpose": 0.5}}, "no rotation can be told"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(task, changes, said):
    with pytest.raises(ValueError, match=said):
        pretraining(task, **changes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "rotation", "masks": "random"}, "pretraining.masks is not for the task rotation"),
        ({"task": "clusters", "masked": 0.5}, "pretraining.masked is not for the task clusters"),
        ({"clusters": 5}, "pretraining.clusters is not for the task inpainting"),
        ({"task": "masked-modelling"}, "block 16 is not a multiple of 32"),
    ],
)
def test_keys_of_another_task_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        experiment(pretraining=settings)
