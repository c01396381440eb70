"""Supervised training of a segmentation network."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.datasets.sample import Sample
from lungscore.learning.checkpoints import load_weights
from lungscore.learning.config import ExperimentConfig, TrainingConfig
from lungscore.learning.imagenet import calibrate_batch_norm, load_folded_weights
from lungscore.learning.loop import Progress, Task, fit, make_fabric, optimise, part, set_rate
from lungscore.learning.losses import inf_net_loss
from lungscore.learning.slices import Batch, SliceStore, epoch_indices
from lungscore.networks import InfNet, normalise

#: The published code trains every batch at three sizes, each with its own optimiser step.
PAPER_SCALES = (0.75, 1.0, 1.25)


def learning_rate(training: TrainingConfig, progress: float, epoch: int) -> float:
    """The rate at ``progress`` (0…1 of all steps).

    epoch: from 0. Default: one cycle, up for the first fifth, then down along a cosine. Paper: what
    the published code really does: its decay multiplies anew every epoch, so that from the 50th
    epoch on it falls tenfold each (and a hundredfold from the 100th).
    """
    if training.recipe == "paper":
        decays = sum(number // 50 for number in range(50, epoch + 2))
        return training.learning_rate * 0.1**decays
    if progress < 0.2:
        return training.learning_rate * (0.04 + 0.96 * progress / 0.2)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * (progress - 0.2) / 0.8))


def build_network(
    config: ExperimentConfig, images: Tensor, *, imagenet: Path | None, start: Path | None = None
) -> nn.Module:
    """A seeded network; its encoder from ImageNet's weights, or all of it from a run's.

    images: (N, 1, h, w) grey levels 0…1 of training slices, to calibrate batch norm on.
    """
    torch.manual_seed(config.training.seed)
    network = InfNet(config.network.encoder)
    if imagenet is not None:
        norms = load_folded_weights(network.encoder, imagenet)
        size = config.input.height, config.input.width
        some = functional.interpolate(images[:16].float(), size, mode="bilinear")
        calibrate_batch_norm(network.encoder, norms, normalise(some.clamp(0, 1)))
    if start is not None:
        load_weights(network, start)
    # Faster on CPUs and GPUs alike.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class Supervised(Task):
    """A network and slices with labels."""

    def __init__(
        self,
        config: ExperimentConfig,
        network: nn.Module,
        store: SliceStore,
        *,
        infected: int,
        healthy: int,
    ) -> None:
        self.config, self.store = config, store
        self.infected, self.healthy = infected, healthy
        self.networks = {"segmentation": network}
        self.optimizers = {"segmentation": _optimizer(network, config.training)}

    def epoch(self, fabric: Fabric, number: int) -> dict[str, float]:
        """One pass through ``training.slices_per_epoch`` slices."""
        training = self.config.training
        network, optimizer = self.networks["segmentation"], self.optimizers["segmentation"]
        network.train()
        rng = np.random.default_rng([training.seed, number])
        batches = epoch_indices(self.infected, self.healthy, self.config, rng)
        losses = []
        for step, indices in enumerate(batches):
            progress = (number + step / len(batches)) / training.epochs
            set_rate(optimizer, rate := learning_rate(training, progress, number))
            batch = self.store.batch(indices, self.config, rng)
            own = Batch(*(part(fabric, each) for each in batch))
            for scaled in _sizes(own, training.recipe):
                output = network(normalise(scaled.image))
                loss = inf_net_loss(output, scaled.infection, scaled.edge, recipe=training.recipe)
                clip = {"value": 0.5} if training.recipe == "paper" else {"norm": 5.0}
                losses.append(optimise(fabric, network, optimizer, loss, **clip))
        return {"loss": float(np.mean(losses)), "learning_rate": rate}

    def result(self) -> nn.Module:
        """The network."""
        return self.networks["segmentation"]


def train(
    config: ExperimentConfig,
    *,
    infected: list[Sample],
    healthy: list[Sample],
    out: Path,
    imagenet: Path | None = None,
    start: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """Train on ``infected`` and ``healthy`` slices as ``config`` says; see loop.fit.

    imagenet: ImageNet weights of the encoder. start: weights.safetensors of another run.
    """
    fabric = make_fabric(config)
    store = SliceStore(infected + healthy, config)
    network = build_network(config, store.images[: len(infected)], imagenet=imagenet, start=start)
    task = Supervised(config, network, store, infected=len(infected), healthy=len(healthy))
    return fit(task, config, fabric, out, resume=resume, report=report)


def _optimizer(network: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    if training.recipe == "paper":
        return torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    return torch.optim.AdamW(
        network.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=True,
    )


def _sizes(batch: Batch, recipe: str) -> list[Batch]:
    """The batch, or the paper's three sizes of it, rounded to 32 pixels as published."""
    if recipe != "paper":
        return [batch]
    height, width = batch.image.shape[-2:]
    sizes = [[round(side * scale / 32) * 32 for side in (height, width)] for scale in PAPER_SCALES]
    return [
        Batch(
            *(
                functional.interpolate(each, size, mode="bilinear", align_corners=True)
                for each in batch
            )
        )
        for size in sizes
    ]
