"""Supervised training of a segmentation network."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.inference.bundle import Bundle
from lungscore.learning.bundles import load_bundle_weights
from lungscore.learning.checkpoints import load_weights, read_facts
from lungscore.learning.config import ExperimentConfig, TrainingConfig
from lungscore.learning.imagenet import calibrate_batch_norm, load_imagenet_weights
from lungscore.learning.layout import lay_out
from lungscore.learning.loop import (
    Progress,
    Task,
    augmentation_device,
    fit,
    make_fabric,
    optimise,
    own_share,
    set_rate,
)
from lungscore.learning.losses import infection_loss, lesion_loss
from lungscore.learning.slices import Batch, SliceStore, epoch_indices
from lungscore.networks import LesionInfNet, lesion_input, make_network, normalise
from lungscore.networks.two_tasks import TwoTasks

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
    config: ExperimentConfig,
    images: Tensor,
    *,
    imagenet: Path | None,
    start: Path | Bundle | None = None,
) -> nn.Module:
    """A seeded network; its encoder from ImageNet's weights, or all of it from a run or bundle.

    images: (N, 1, h, w) grey levels 0…1 of training slices, to calibrate batch norm on. Raises
    config-invalid where ImageNet's weights have no place, checkpoint-mismatch.
    """
    torch.manual_seed(config.training.seed)
    network = make_network(
        config.network.name, encoder=config.network.encoder, base_width=config.network.base_width
    )
    if imagenet is not None:
        encoder = getattr(network, "encoder", None)
        if encoder is None or config.target == "lesions":
            raise InputError(
                "config-invalid",
                f"{config.name}: network.encoder_weights for the network {config.network.name}",
                expected="a network with an encoder that sees grey levels alone",
                hint="Remove the key; a lesion network takes its encoder from network.start",
            )
        norms = load_imagenet_weights(encoder, imagenet)
        size = config.input.height, config.input.width
        some = functional.interpolate(images[:16].float(), size, mode="bilinear")
        if norms:
            calibrate_batch_norm(encoder, norms, normalise(some.clamp(0, 1)))
    if isinstance(start, Bundle):
        load_bundle_weights(network, start)
    elif start is not None:
        start_from(network, start)
    # Faster on most processors (docs/performance-training.md); learning.layout measures it.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def start_from(network: nn.Module, weights: Path) -> None:
    """Take over the weights of a run: all of them, or the infection network's for the lesions'.

    Raises checkpoint-mismatch.
    """
    try:
        before = ExperimentConfig.model_validate(read_facts(weights).get("config")).network
    except ValidationError as error:
        raise InputError(
            "checkpoint-mismatch", f"{weights.name} does not say which experiment made it"
        ) from error
    if isinstance(network, LesionInfNet) and before.name in ("inf-net", "finer-inf-net"):
        single = make_network(before.name, encoder=before.encoder)
        load_weights(single, weights)
        try:
            network.start_from_infection(single.state_dict())
        except RuntimeError as error:
            raise InputError(
                "checkpoint-mismatch",
                f"{weights.name} of {weights.parent.name} is of the network {before.name} with the "
                f"encoder {before.encoder}",
                expected="the kind and encoder of the network that starts from it",
            ) from error
    else:
        load_weights(network, weights)


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
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.config, self.store, self.facts = config, store, facts or {}
        self.infected, self.healthy = infected, healthy
        second = config.second_task
        learner = (
            network if second is None
            else TwoTasks(network, erase=second.erase, block=second.block)
        )  # fmt: skip
        self.networks = {"segmentation": learner}
        self.optimizers = {"segmentation": make_optimizer(learner, config)}
        self.bare = network
        self.average: AveragedModel | None = None
        if config.training.average:
            ema = get_ema_multi_avg_fn(config.training.average)
            self.average = AveragedModel(network, multi_avg_fn=ema, use_buffers=True)
            self.networks["average"] = self.average

    def epoch(self, fabric: Fabric, number: int) -> dict[str, float]:
        """One pass through ``training.slices_per_epoch`` slices."""
        training = self.config.training
        network, optimizer = self.networks["segmentation"], self.optimizers["segmentation"]
        network.train()
        rng = np.random.default_rng([training.seed, number])
        # What is erased for a second task and the disease that is made draw from torch.
        torch.manual_seed(int(np.random.SeedSequence([training.seed, number]).generate_state(1)[0]))
        batches = self.batches(rng)
        steps = []
        for step, indices in enumerate(batches):
            progress = (number + step / len(batches)) / training.epochs
            set_rate(optimizer, rate := self.rate(progress, number))
            batch = self.store.batch(indices, self.config, rng, augmentation_device(fabric))
            own = Batch(*(own_share(fabric, tensors) for tensors in batch))
            for scaled in _sizes(own, self.config):
                loss, figures = self.loss(network, scaled)
                value = optimise(fabric, network, optimizer, loss, **_clipping(self.config))
                steps.append({"loss": value, **figures})
                if self.average is not None:
                    self.average.update_parameters(self.bare)
        means = {name: float(np.mean([figures[name] for figures in steps])) for name in steps[0]}
        return {**means, "learning_rate": rate}

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, augmented and of one size, and what else is logged of it."""
        recipe, second = self.config.training.recipe, self.config.second_task
        if self.config.target == "lesions":
            output = network(lesion_input(batch.image, batch.prior))
            return lesion_loss(output, batch.target, batch.edge, recipe=recipe), {}
        if second is None:
            output = network(normalise(batch.image))
            return infection_loss(output, batch.target, batch.edge, recipe=recipe), {}
        output, error = network(normalise(batch.image))
        loss = infection_loss(output, batch.target, batch.edge, recipe=recipe)
        return loss + second.weight * error, {"inpainting_error": error.item()}

    def batches(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Which slices of the store make up each batch of an epoch."""
        weights = self.store.weights
        return epoch_indices(self.infected, self.healthy, self.config, rng, weights=weights)

    def rate(self, progress: float, number: int) -> float:
        """The learning rate at ``progress`` (0…1 of all steps), in epoch ``number``."""
        return learning_rate(self.config.training, progress, number)

    def result(self) -> nn.Module:
        """The network, or the average over its steps."""
        return self.bare if self.average is None else self.average.module


def train(
    config: ExperimentConfig,
    *,
    infected: list[Sample],
    healthy: list[Sample],
    out: Path,
    imagenet: Path | None = None,
    start: Path | Bundle | None = None,
    priors: dict[str, np.ndarray] | None = None,
    facts: Mapping[str, Any] | None = None,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """Train on ``infected`` and ``healthy`` slices as ``config`` says; see loop.fit.

    imagenet: ImageNet weights of the encoder. start: weights.safetensors of another run, or a
    bundle. priors: infection maps (H, W) in 0…1 by slice name, for the target "lesions". facts:
    what else the weights say of how they were made (Task.facts).
    """
    fabric = make_fabric(config)
    store = SliceStore(infected + healthy, config, priors=priors)
    network = build_network(config, store.images[: len(infected)], imagenet=imagenet, start=start)
    network = lay_out(network, config, fabric, out)
    task = Supervised(
        config, network, store, infected=len(infected), healthy=len(healthy), facts=facts
    )
    return fit(task, config, fabric, out, resume=resume, report=report)


def make_optimizer(network: nn.Module, config: ExperimentConfig) -> torch.optim.Optimizer:
    """The optimiser of the recipe, and of the target."""
    training = config.training
    if training.recipe == "paper":
        if config.target == "lesions":
            return torch.optim.SGD(network.parameters(), lr=training.learning_rate, momentum=0.7)
        return torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    return torch.optim.AdamW(
        network.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=True,
    )


def _clipping(config: ExperimentConfig) -> dict[str, float]:
    """How gradients are clipped; the published multi-class stage does not clip them."""
    if config.training.recipe != "paper":
        return {"norm": 5.0}
    return {} if config.target == "lesions" else {"value": 0.5}


def _sizes(batch: Batch, config: ExperimentConfig) -> list[Batch]:
    """The batch, or the paper's three sizes of it, rounded to 32 pixels as published.

    The published multi-class stage trains at one size.
    """
    if config.training.recipe != "paper" or config.target == "lesions":
        return [batch]
    height, width = batch.image.shape[-2:]
    sizes = [[round(side * scale / 32) * 32 for side in (height, width)] for scale in PAPER_SCALES]
    return [
        Batch(
            *(
                functional.interpolate(image, size, mode="bilinear", align_corners=True)
                for image in batch
            )
        )
        for size in sizes
    ]
