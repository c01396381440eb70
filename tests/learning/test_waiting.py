"""What would keep a GPU waiting: slices augmented on the CPU, and losses that are read."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_training import experiment, slices

from lungscore.learning.loop import drawing_device, make_fabric, mean_of, set_up
from lungscore.learning.pretrain import Inpainting
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import Supervised, build_network

PRETRAINING = {"block": 16, "coach_width": 8, "random_epochs": 0}


def reads_of_an_epoch(monkeypatch, task, fabric) -> int:
    """How often an epoch of ``task`` asks the device for a number."""
    reads = []
    for name in ("item", "tolist"):
        read = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda tensor, read=read: reads.append(1) or read(tensor)
        )
    task.epoch(fabric, 0)
    return len(reads)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("pretraining", [None, PRETRAINING], ids=["supervised", "pre-training"])
def test_more_steps_read_no_more_numbers(monkeypatch, pretraining):
    counts = []
    for steps in (2, 4):  # with one step of the coach each: its optimiser reads a count on the CPU
        config = experiment(slices_per_epoch=2 * steps, pretraining=pretraining)
        store = SliceStore(slices(3), config)
        network = build_network(config, store.images, imagenet=None)
        if pretraining is None:
            task = Supervised(config, network, store, infected=3, healthy=0)
        else:
            task = Inpainting(config, network, store)
        fabric = make_fabric(config)
        set_up(task, fabric)
        with monkeypatch.context() as spied:
            counts.append(reads_of_an_epoch(spied, task, fabric))
    assert counts[0] == counts[1] > 0


def test_the_mean_of_losses_is_that_of_their_numbers():
    values = [0.1, 0.2, 1e6]
    found = mean_of([torch.tensor(value) for value in values])
    assert found == np.mean([torch.tensor(value).item() for value in values])


@pytest.mark.parametrize(
    ("training", "drawing"), [("cpu", "cpu"), ("cuda", "cuda"), ("mps", "cpu")]
)
def test_slices_are_augmented_on_a_gpu_with_cuda_only(training, drawing):
    fabric = SimpleNamespace(device=torch.device(training))
    assert drawing_device(fabric).type == drawing


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
def test_a_gpu_draws_what_the_cpu_draws_but_for_the_noise():
    config = experiment("resnet18", augmentation={"noise": 0.0, "cutout": 0.3})
    store = SliceStore(slices(3), config)
    on_cpu, on_gpu = (
        store.batch(np.arange(3), config, np.random.default_rng(0), torch.device(device))
        for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(on_gpu.image.cpu(), on_cpu.image, atol=2e-3, rtol=0)
    # A pixel on the border may fall to the other side.
    assert (on_gpu.target.cpu() != on_cpu.target).float().mean() < 1e-3
    again = store.batch(np.arange(3), config, np.random.default_rng(0), torch.device("cuda"))
    assert torch.equal(on_gpu.image, again.image)
