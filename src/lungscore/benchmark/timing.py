"""How long trainings take: seconds of a batch and of an epoch, measured on made-up slices.

Seconds of the processor, of one thread: what else the machine does changes them little.
"""

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lungscore.benchmark.plan import Run, in_order
from lungscore.benchmark.whole import Plan
from lungscore.datasets.sample import Sample
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.loop import Task, make_fabric, set_up
from lungscore.learning.pretrain import TASKS
from lungscore.learning.pseudo_labels import drawn_slices
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import Supervised, build_network
from lungscore.machine import cpu_model

#: Slices in memory while steps are timed; as many as pre-training compares masks on.
SLICES = 16


class Times(NamedTuple):
    """Seconds of every batch, and of an epoch besides."""

    per_batch: float
    per_epoch: float


def kind(config: ExperimentConfig) -> str:
    """What a training's time depends on, as a name."""
    network, size, training = config.network, config.input, config.training
    words = [network.name, network.encoder, str(network.base_width), config.target]
    words += [f"{size.height}x{size.width}", f"batch {training.batch_size}", training.recipe]
    if (settings := config.pretraining) is not None:
        if settings.task != "inpainting":
            return " ".join([*words, "pretrain", settings.task])
        words += ["pretrain", settings.masks, settings.variant]
        words += [f"coach {settings.coach_width}"] if settings.masks == "coach" else []
    return " ".join([*words, *([] if config.second_task is None else ["two tasks"])])


def measure_times(config: ExperimentConfig) -> Times:
    """Those of one kind, by epochs of one and of two batches; a first one is not counted."""
    rng = np.random.default_rng(0)
    samples = [_sample(rng, str(index)) for index in range(SLICES)]
    seconds = []
    for batches in (1, 1, 2):
        small = _short(config, batches)
        store = SliceStore(samples, small)
        network = build_network(small, store.images, imagenet=None)
        task: Task = (
            Supervised(small, network, store, infected=SLICES, healthy=0)
            if small.pretraining is None
            else TASKS[small.pretraining.task](small, network, store, None)
        )
        fabric = make_fabric(small)
        set_up(task, fabric)
        began = time.process_time()
        task.epoch(fabric, 1 if small.pretraining is not None else 0)
        seconds.append(time.process_time() - began)
    per_batch = max(seconds[2] - seconds[1], seconds[2] / 3)
    return Times(per_batch, max(seconds[1] - per_batch, 0.0))


def hours_of(config: ExperimentConfig, times: Times, annotated: int = 50) -> float:
    """What one training takes at these times."""
    training = config.training
    slices = training.epochs * training.slices_per_epoch
    if config.pseudo_labelling is not None:
        slices = drawn_slices(config, annotated)
    batches = max(training.epochs, slices // training.batch_size)
    return (batches * times.per_batch + training.epochs * times.per_epoch) / 3600


def missing_kinds(planned: Plan, times: Mapping[str, Times]) -> dict[str, ExperimentConfig]:
    """Kinds of planned trainings whose times are not known, with an experiment of each."""
    kinds = {kind(run.config): run.config for run in planned.runs}
    return {name: config for name, config in kinds.items() if name not in times}


def plan_in_hours(planned: Plan, times: Mapping[str, Times]) -> dict[str, Any]:
    """The content of plan.json but for its origin: every row's hours at these times."""
    counted: set[str] = set()
    rows = {}
    for row, runs in planned.rows:
        new = [run for run in in_order(runs) if run.name not in counted]
        counted.update(run.name for run in new)
        rows[row.name] = {"runs": len(new), "hours": _hours(new, times)}
    return {
        "machine": {"cpu": cpu_model()},
        "load": round(os.getloadavg()[0], 1),
        "times": {name: value._asdict() for name, value in sorted(times.items())},
        "rows": rows,
    }


def _hours(runs: Iterable[Run], times: Mapping[str, Times]) -> float | None:
    """None where a kind was not measured."""
    hours = 0.0
    for run in runs:
        if (measured := times.get(kind(run.config))) is None:
            return None
        hours += hours_of(run.config, measured)
    return hours


def _short(config: ExperimentConfig, batches: int) -> ExperimentConfig:
    """An experiment of the same kind with epochs of so many batches, its last one guided."""
    training = config.training.model_copy(
        update={"epochs": 2, "slices_per_epoch": batches * config.training.batch_size}
    )
    update: dict[str, Any] = {"training": training, "pseudo_labelling": None}
    if config.pretraining is not None and config.pretraining.task == "inpainting":
        update["pretraining"] = config.pretraining.model_copy(update={"random_epochs": 0})
    return config.model_copy(update=update)


def _sample(rng: np.random.Generator, name: str) -> Sample:
    """A grey slice with a lesion of both kinds."""
    lesions = np.zeros((240, 320), np.uint8)
    lesions[60:120, 60:140] = 1
    lesions[80:100, 100:140] = 2
    image = rng.integers(0, 255, lesions.shape).astype(np.uint8)
    return Sample(image, lesions > 0, name, "synthetic", lesions=lesions)
