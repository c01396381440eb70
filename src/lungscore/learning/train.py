"""Supervised training of Inf-Net: one loop, resumable after any epoch."""

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.files import atomic_write
from lungscore.learning.checkpoints import load_checkpoint, save_checkpoint, save_weights
from lungscore.learning.config import ExperimentConfig, TrainingConfig
from lungscore.learning.imagenet import calibrate_batch_norm, load_folded_weights
from lungscore.learning.losses import inf_net_loss
from lungscore.learning.slices import Batch, SliceStore, epoch_indices
from lungscore.networks import InfNet, normalise

#: The published code trains every batch at three sizes, each with its own optimiser step.
PAPER_SCALES = (0.75, 1.0, 1.25)


@dataclass(frozen=True)
class Progress:
    """What is known after an epoch."""

    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    seconds: float


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


def build_network(config: ExperimentConfig, images: Tensor, weights: Path | None) -> InfNet:
    """A seeded network; with ``weights``, its encoder starts from ImageNet.

    images: (N, 1, h, w) grey levels 0…1 of training slices, to calibrate batch norm on.
    """
    torch.manual_seed(config.training.seed)
    network = InfNet(config.network.encoder)
    if weights is not None:
        norms = load_folded_weights(network.encoder, weights)
        size = config.input.height, config.input.width
        some = functional.interpolate(images[:16].float(), size, mode="bilinear")
        calibrate_batch_norm(network.encoder, norms, normalise(some.clamp(0, 1)))
    return network


def train(
    config: ExperimentConfig,
    *,
    infected: list[Sample],
    healthy: list[Sample],
    out: Path,
    encoder_weights: Path | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> InfNet:
    """Train and return the network; ``out`` gets weights.safetensors, log.csv, checkpoint.

    A run that was stopped and resumed ends with the weights of one that was not: everything
    random is drawn from (seed, epoch). Raises loss-not-finite, output-exists.
    """
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists() and not resume:
        raise InputError(
            "output-exists", f"{out.name} holds a checkpoint", hint="pass --resume to go on with it"
        )
    store = SliceStore(infected + healthy, config)
    training = config.training
    network = build_network(config, store.images[: len(infected)], encoder_weights)
    fabric = Fabric(accelerator="auto", devices=1, precision=training.precision)
    optimizer = _optimizer(network, training)
    start, history = 0, []
    if checkpoint.exists():
        facts = load_checkpoint(checkpoint, network, optimizer)
        if facts.get("config") != config.model_dump(mode="json"):
            raise InputError(
                "checkpoint-mismatch",
                f"{checkpoint.name} belongs to another experiment",
                hint="choose another output folder",
            )
        start, history = facts["epoch"], facts["history"]
    wrapped, optimizer = fabric.setup(network, optimizer)
    wrapped.train()
    for epoch in range(start, training.epochs):
        began = time.perf_counter()
        rng = np.random.default_rng([training.seed, epoch])
        batches = epoch_indices(len(infected), len(healthy), config, rng)
        losses = []
        for step, indices in enumerate(batches):
            rate = learning_rate(training, (epoch + step / len(batches)) / training.epochs, epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = store.batch(indices, config, rng)
            losses.append(_step(fabric, wrapped, optimizer, batch, training.recipe))
        loss = float(np.mean(losses))
        if not math.isfinite(loss):
            raise InputError(
                "loss-not-finite",
                f"the loss of epoch {epoch + 1} is {loss}",
                hint="the last good checkpoint is kept; lower the learning rate and resume",
            )
        seconds = time.perf_counter() - began
        history.append([epoch + 1, loss, rate, round(seconds, 2)])
        save_checkpoint(
            checkpoint,
            network,
            optimizer,
            epoch=epoch + 1,
            history=history,
            config=config.model_dump(mode="json"),
        )
        _write_log(out / "log.csv", history)
        report(Progress(epoch + 1, training.epochs, loss, rate, seconds))
    network.eval()
    save_weights(network, out / "weights.safetensors", config=config.model_dump(mode="json"))
    return network


def _optimizer(network: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    if training.recipe == "paper":
        return torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    return torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )


def _step(
    fabric: Fabric, network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, recipe: str
) -> float:
    """One batch: one optimiser step, or the paper's three at three sizes. Returns the loss."""
    total = 0.0
    for scale in PAPER_SCALES if recipe == "paper" else (1.0,):
        scaled = batch if scale == 1.0 else _rescale(batch, scale)
        loss = inf_net_loss(
            network(normalise(scaled.image)), scaled.infection, scaled.edge, recipe=recipe
        )
        optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if recipe == "paper":
            nn.utils.clip_grad_value_(network.parameters(), 0.5)
        else:
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        if math.isfinite(value := loss.item()):
            optimizer.step()
        total = value
    return total


def _rescale(batch: Batch, scale: float) -> Batch:
    """The batch at another size, rounded to 32 pixels as the published code does."""
    height, width = (round(side * scale / 32) * 32 for side in batch.image.shape[-2:])

    def sized(x: Tensor) -> Tensor:
        return functional.interpolate(x, (height, width), mode="bilinear", align_corners=True)

    return Batch(sized(batch.image), sized(batch.infection), sized(batch.edge))


def _write_log(path: Path, history: list[list[float]]) -> None:
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(["epoch", "loss", "learning_rate", "seconds"])
    writer.writerows(history)
    atomic_write(path, text.getvalue())
