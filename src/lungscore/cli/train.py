"""lungscore train and pretrain: one experiment file, one trained network."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import note, say
from lungscore.errors import UsageError

Experiment = Annotated[Path, typer.Argument(metavar="EXPERIMENT.yaml")]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Folder of the run; runs/NAME/FOLD-SEED by default."),
]
Fold = Annotated[int | None, typer.Option(min=0, help="Hold this fold out instead of the file's.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Use this seed instead of the file's.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads; all by default.")]


def train(
    experiment: Experiment,
    out: Out = None,
    fold: Fold = None,
    seed: Seed = None,
    resume: Resume = False,
    threads: Threads = None,
) -> None:
    """Train a network as an experiment file says. Needs the train extra and LUNGSCORE_DATA."""
    _run(experiment, out, fold, seed, resume, threads, pretraining=False)


def pretrain(
    experiment: Experiment,
    out: Out = None,
    fold: Fold = None,
    seed: Seed = None,
    resume: Resume = False,
    threads: Threads = None,
) -> None:
    """Pre-train without labels, by inpainting under a coach's masks (section pretraining)."""
    _run(experiment, out, fold, seed, resume, threads, pretraining=True)


def _run(
    experiment: Path,
    out: Path | None,
    fold: int | None,
    seed: int | None,
    resume: bool,
    threads: int | None,
    *,
    pretraining: bool,
) -> None:
    import os

    # Busy waiting makes two busy threads ten times slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from lungscore.learning.experiment_file import load_experiment
    from lungscore.learning.run import run_experiment

    if (load_experiment(experiment).pretraining is not None) != pretraining:
        other = "train" if pretraining else "pretrain"
        raise UsageError(
            "usage",
            f"{experiment.name} has {'no' if pretraining else 'a'} section pretraining",
            hint=f"use lungscore {other}",
        )
    folder = run_experiment(
        experiment, out, fold=fold, seed=seed, resume=resume, threads=threads, report=note
    )
    say(f"Weights: {folder / 'weights.safetensors'}")
