"""Inpainting beside segmentation: one training with two losses."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lungscore.learning.loop import make_fabric, set_up
from lungscore.learning.slices import Batch, SliceStore
from lungscore.learning.train import Supervised, build_network, train
from lungscore.networks.two_tasks import TwoTasks
from tests.learning.tiny_training import NO_AUGMENTATION, U_NET, experiment, logged, slices

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")


def config_of(weight: float = 1.0, **changes):
    """A training of the U-Net with a second task of that weight."""
    second = {"weight": weight, "block": 8}
    return experiment(**{"network": U_NET, **changes}, second_task=second)


def run(out, config, **options):
    return train(config, infected=slices(3), healthy=[], out=out, **options)


def test_both_losses_fall(tmp_path):
    config = config_of(
        epochs=4,
        slices_per_epoch=24,
        learning_rate=1e-2,
        augmentation=NO_AUGMENTATION.model_dump(),
    )
    run(tmp_path, config)
    rows = logged(tmp_path)
    for figure in ("loss", "inpainting_error"):
        values = [float(row[figure]) for row in rows]
        assert values[-1] < 0.8 * values[0], figure


def test_a_resumed_run_ends_with_the_very_weights_of_an_uninterrupted_one(tmp_path):
    class Stopped(Exception):
        pass

    def stop(progress):
        if progress.epoch == 1:
            raise Stopped

    config = config_of(average=0.9)
    whole = run(tmp_path / "whole", config).state_dict()
    with pytest.raises(Stopped):
        run(tmp_path / "parts", config, report=stop)
    parts = run(tmp_path / "parts", config, resume=True).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_what_is_kept_is_the_network_for_segmentation_alone(tmp_path):
    config = config_of(epochs=1)
    run(tmp_path, config)
    plain = build_network(config, torch.zeros(1, 1, 8, 8), imagenet=None)
    assert load_file(tmp_path / "weights.safetensors").keys() == plain.state_dict().keys()


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_second_loss_counts_by_its_weight(weight):
    config = config_of(weight)
    store = SliceStore(slices(3), config)
    network = build_network(config, store.images, imagenet=None)
    task = Supervised(config, network, store, infected=3, healthy=0)
    fabric = make_fabric(config)
    set_up(task, fabric)
    batch = Batch(*store.batch(np.arange(3), config, np.random.default_rng(0)))
    learner = task.networks["segmentation"]
    assert isinstance(learner.module, TwoTasks)
    torch.manual_seed(0)
    loss, figures = task.loss(learner, batch)
    alone = config.model_copy(update={"second_task": None})
    expected, none = Supervised(alone, network, store, infected=3, healthy=0).loss(network, batch)
    assert none == {}
    assert loss.item() == pytest.approx(expected.item() + weight * figures["inpainting_error"])


@pytest.mark.parametrize(
    "changes",
    [
        {"pretraining": {"task": "rotation"}, "network": {"name": "inf-net"}},
        {
            "target": "lesions",
            "network": {"name": "multi-inf-net"},
            "data": {"priors": {"experiment": "single"}},
        },
    ],
)
def test_it_is_for_supervised_training_of_infection(changes):
    with pytest.raises(ValueError, match="second_task is for supervised training"):
        config_of(**changes)
