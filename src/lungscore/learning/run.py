"""From an experiment file to a finished run."""

from collections.abc import Callable
from pathlib import Path

import torch

from lungscore.datasets.registry import data_root, fold_of, load_healthy, load_infected
from lungscore.errors import InputError
from lungscore.learning.config import load_experiment
from lungscore.learning.train import Progress, train


def run_experiment(
    file: Path,
    out: Path | None = None,
    *,
    resume: bool = False,
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train what ``file`` describes; returns the folder of the run.

    Raises InputError for a wrong file, missing data or a checkpoint of another experiment.
    """
    config = load_experiment(file)
    root = data_root()
    if threads:
        torch.set_num_threads(threads)
    infected = load_infected(config.data.infected, root)
    if config.data.fold is not None:
        folds = fold_of([sample.name for sample in infected], config.data.folds)
        infected = [sample for sample in infected if folds[sample.name] != config.data.fold]
    healthy = load_healthy(config.data.healthy, config.data.healthy_part, root)
    weights = config.network.encoder_weights
    if weights is not None and not (root / weights).is_dir():
        raise InputError("dataset-incomplete", f"there are no encoder weights {weights!r}")
    report(f"{config.name}: {len(infected)} annotated and {len(healthy)} healthy slices")
    folder = out or Path("runs") / config.name
    train(
        config,
        infected=infected,
        healthy=healthy,
        out=folder,
        encoder_weights=None if weights is None else root / weights,
        resume=resume,
        report=lambda progress: report(_line(progress)),
    )
    return folder


def _line(progress: Progress) -> str:
    left = (progress.epochs - progress.epoch) * progress.seconds / 60
    return (
        f"epoch {progress.epoch}/{progress.epochs}  loss {progress.loss:.3f}  "
        f"{progress.seconds:.0f} s  about {left:.0f} min left"
    )
