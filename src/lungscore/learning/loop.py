"""The training loop that every kind of training shares: resumable after any epoch, logged.

One process or several (``torchrun``): Lightning Fabric moves batches, averages gradients and casts
to bf16. Every process draws the same batch and keeps its own share, so that the gradients of a loss
that is a mean over slices are those of one process, up to the statistics of batch norm.
"""

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim import Optimizer

from lungscore.errors import InputError
from lungscore.learning.checkpoints import (
    load_checkpoint,
    load_weights,
    read_facts,
    save_checkpoint,
    save_weights,
)
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.log import write_csv, write_tensorboard
from lungscore.version import commit

CHECKPOINT, WEIGHTS, LOG = "checkpoint.safetensors", "weights.safetensors", "log.csv"


@dataclass(frozen=True)
class Progress:
    """What is known after an epoch. figures: losses and rates by name; seconds: of this epoch."""

    epoch: int
    epochs: int
    figures: dict[str, float]
    seconds: float
    seconds_left: float


class Task(ABC):
    """What is trained: networks, the optimisers of those that learn, and one epoch of work.

    facts: what else stands in the headers of checkpoint and weights; a run resumes only where they
    are the same.
    """

    networks: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]
    facts: Mapping[str, Any] = {}

    @abstractmethod
    def epoch(self, fabric: Fabric, number: int) -> dict[str, float]:
        """Train epoch ``number`` (from 0); returns means to log, "loss" among them."""

    @abstractmethod
    def result(self) -> nn.Module:
        """The trained network, as it is kept."""


def make_fabric(config: ExperimentConfig) -> Fabric:
    """One device, or as many processes as torchrun started. Raises config-invalid."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if config.training.batch_size % processes:
        raise InputError(
            "config-invalid",
            f"training.batch_size {config.training.batch_size} for {processes} processes",
            expected="a multiple of the number of processes",
        )
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
    fabric = Fabric(
        accelerator="auto",
        devices=here,
        num_nodes=processes // here,
        strategy="ddp" if processes > 1 else "auto",
        precision=config.training.precision,
    )
    fabric.launch()
    return fabric


def finished(config: ExperimentConfig, out: Path) -> bool:
    """Whether ``out`` holds the weights of this very experiment. Raises checkpoint-mismatch."""
    if not (out / WEIGHTS).is_file():
        return False
    _check_same(config, read_facts(out / WEIGHTS), out / WEIGHTS)
    return True


def fit(
    task: Task,
    config: ExperimentConfig,
    fabric: Fabric,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> nn.Module:
    """Train and return the network; ``out`` gets weights.safetensors, log.csv and TensorBoard's.

    A run that was stopped at any point and resumed ends with the weights of one that was not.
    Raises loss-not-finite (the last good checkpoint is kept), output-exists, checkpoint-mismatch.
    """
    checkpoint = out / CHECKPOINT
    if not resume and (checkpoint.exists() or (out / WEIGHTS).exists()):
        raise InputError(
            "output-exists", f"{out.name} contains a run", hint="Continue it with --resume"
        )
    if finished(config, out):
        checkpoint.unlink(missing_ok=True)
        load_weights(task.result(), out / WEIGHTS)
        return task.result().eval()
    networks, optimizers = dict(task.networks), dict(task.optimizers)
    set_up(task, fabric)
    start, history = 0, []
    if checkpoint.exists():
        # Not before Fabric has moved the weights: an optimiser's state goes where they are.
        facts = load_checkpoint(checkpoint, networks, optimizers)
        _check_same(config, facts, checkpoint, task.facts)
        start, history = facts["epoch"], facts["history"]
        if fabric.is_global_zero:  # it may have been stopped between the checkpoint and the log
            _write_logs(out, history)
    said = {**task.facts, "config": config.model_dump(mode="json"), "commit": commit()}
    for number in range(start, config.training.epochs):
        began = time.perf_counter()
        figures = _mean_over_processes(fabric, task.epoch(fabric, number))
        _check_finite(figures, networks, number + 1)
        seconds = time.perf_counter() - began
        history.append({"epoch": number + 1, **figures, "seconds": round(seconds, 2)})
        if fabric.is_global_zero:
            save_checkpoint(
                checkpoint, networks, optimizers, epoch=number + 1, history=history, **said
            )
            _write_logs(out, history)
            left = (config.training.epochs - number - 1) * seconds
            report(Progress(number + 1, config.training.epochs, figures, seconds, left))
    network = _bare(task.result()).eval()
    if fabric.is_global_zero:
        save_weights(network, out / WEIGHTS, **said)
        # Three times the weights' size, and of no more use.
        checkpoint.unlink()
    fabric.barrier()
    return network


def set_up(task: Task, fabric: Fabric) -> None:
    """Move the networks of ``task`` to the device; those that learn get Fabric's wrappers."""
    for name, network in list(task.networks.items()):
        if name not in task.optimizers:  # an average follows a network and learns nothing itself
            network.to(fabric.device)
            continue
        wrapped, optimizer = fabric.setup(network, task.optimizers[name])
        task.networks[name], task.optimizers[name] = wrapped, optimizer


def optimise(
    fabric: Fabric, network: nn.Module, optimizer: Optimizer, loss: Tensor, **clip: float
) -> float:
    """One optimiser step, gradients clipped (``value`` or ``norm``); returns the loss.

    A loss that is not a number changes nothing; the epoch's mean then stops the training.
    """
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if "value" in clip:
        nn.utils.clip_grad_value_(network.parameters(), clip["value"])
    elif "norm" in clip:
        nn.utils.clip_grad_norm_(network.parameters(), clip["norm"])
    if math.isfinite(value := loss.item()):
        optimizer.step()
    return value


def augmentation_device(fabric: Fabric) -> torch.device:
    """Where slices are augmented: on the GPU where CUDA trains, else on the CPU."""
    return fabric.device if fabric.device.type == "cuda" else torch.device("cpu")


def own_share(fabric: Fabric, batch: Tensor) -> Tensor:
    """This process's share of a batch (N, …), on its device."""
    own: Tensor = fabric.to_device(batch[fabric.global_rank :: fabric.world_size])
    return own


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """The learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _write_logs(out: Path, history: list[dict[str, float]]) -> None:
    write_csv(out / LOG, history)
    write_tensorboard(out / "tensorboard", history)


def _check_finite(figures: dict[str, float], networks: dict[str, nn.Module], epoch: int) -> None:
    """Raise loss-not-finite for a figure that is not finite, or weights that a gradient spoiled."""
    bad = [f"{name} of epoch {epoch} is {x}" for name, x in figures.items() if not math.isfinite(x)]
    bad += [
        f"weight {key} of the {name} network is not a number after epoch {epoch}"
        for name, network in networks.items()
        for key, value in network.state_dict().items()
        if not torch.isfinite(value).all()
    ]
    if bad:
        raise InputError(
            "loss-not-finite",
            f"The {bad[0]}",
            hint="The last good checkpoint is kept; lower the learning rate and resume",
        )


def _mean_over_processes(fabric: Fabric, figures: dict[str, float]) -> dict[str, float]:
    """Every process logs, and stops at, the same figures."""
    if fabric.world_size == 1:
        return figures
    own = torch.tensor(list(figures.values()), dtype=torch.float64)
    means = torch.as_tensor(fabric.all_reduce(own))
    return dict(zip(figures, means.tolist(), strict=True))


def _bare(network: nn.Module) -> nn.Module:
    """The network without Fabric's wrapper."""
    inner = getattr(network, "module", network)
    return inner if isinstance(inner, nn.Module) else network


def _check_same(
    config: ExperimentConfig,
    facts: dict[str, Any],
    path: Path,
    of_task: Mapping[str, Any] | None = None,
) -> None:
    """Raise checkpoint-mismatch where ``facts`` belong to another experiment or other data."""
    try:
        same = ExperimentConfig.model_validate(facts.get("config")) == config
    except ValidationError:
        same = False
    differences = [] if same else ["another experiment"]
    differences += [
        f"other {key}" for key, value in (of_task or {}).items() if facts.get(key) != value
    ]
    if differences:
        raise InputError(
            "checkpoint-mismatch",
            f"{path.name} of {path.parent.name} belongs to {differences[0]}",
            hint="Choose another output folder",
        )


def use_threads(threads: int | None) -> None:
    """Set torch's threads; None leaves them."""
    if threads:
        torch.set_num_threads(threads)
