"""lungscore train and pretrain: one experiment file, one trained network."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import note, say
from lungscore.cli.options import Threads
from lungscore.errors import UsageError

Experiment = Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="Experiment file (YAML).")]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="FOLDER", help="Run folder (default: runs/NAME/FOLD-SEED)."
    ),
]
Fold = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Held-out fold (default: as in the experiment file)."),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help="Random seed (default: as in the experiment file)."),
]
Folds = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=50,
        metavar="N",
        help="Train once for each of N held-out folds, then on all cases; -o is then the folder "
        "of all runs.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", metavar="", help="Continue an interrupted run.")]


def train(
    experiment: Experiment,
    out: Out = None,
    fold: Fold = None,
    folds: Folds = None,
    seed: Seed = None,
    resume: Resume = False,
    threads: Threads = None,
) -> None:
    """Train a segmentation network as described in an experiment file.

    Requires the train extra and LUNGSCORE_DATA.
    """
    if folds is None:
        _run(experiment, out, fold, seed, resume, threads, pretraining=False)
        return
    if fold is not None:
        raise UsageError(
            "usage", "--fold and --folds were both given", hint="Use --folds to train all folds"
        )
    _wait_passively()
    from lungscore.learning.run import run_folds

    _check_command(experiment, pretraining=False)
    folder = run_folds(
        experiment, out, folds=folds, seed=seed, resume=resume, threads=threads, report=note
    )
    say(f"Runs: {folder}")


def pretrain(
    experiment: Experiment,
    out: Out = None,
    fold: Fold = None,
    seed: Seed = None,
    resume: Resume = False,
    threads: Threads = None,
) -> None:
    """Pre-train a network without labels, by inpainting or another pretext task.

    The experiment file needs a section named pretraining. Requires the train extra.
    """
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
    _wait_passively()
    from lungscore.learning.run import run_experiment

    _check_command(experiment, pretraining=pretraining)
    folder = run_experiment(
        experiment, out, fold=fold, seed=seed, resume=resume, threads=threads, report=note
    )
    say(f"Weights: {folder / 'weights.safetensors'}")


def _wait_passively() -> None:
    """Before torch is loaded: busy waiting makes two busy threads ten times slower than one."""
    import os

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _check_command(experiment: Path, *, pretraining: bool) -> None:
    """Raise UsageError where the experiment is for the other command."""
    from lungscore.learning.experiment_file import load_experiment

    if (load_experiment(experiment).pretraining is not None) != pretraining:
        command = "train" if pretraining else "pretrain"
        raise UsageError(
            "usage",
            f"{experiment.name} has {'no' if pretraining else 'a'} section pretraining",
            hint=f"Use lungscore {command}",
        )
