"""lungscore train: one experiment file, one trained network."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import note, say


def train(
    experiment: Annotated[Path, typer.Argument(metavar="EXPERIMENT.yaml")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the run; runs/NAME by default.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all by default.")] = None,
) -> None:
    """Train a network as an experiment file says. Needs the train extra and LUNGSCORE_DATA."""
    import os

    # Busy waiting makes two busy threads ten times slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from lungscore.learning.run import run_experiment

    folder = run_experiment(experiment, out, resume=resume, threads=threads, report=note)
    say(f"Weights: {folder / 'weights.safetensors'}")
