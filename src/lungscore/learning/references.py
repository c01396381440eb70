"""Where runs lie, and how one experiment names the run of another."""

from pathlib import Path

from pydantic import ValidationError

from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig, RunReference
from lungscore.learning.experiment_file import load_experiment

#: Where runs are kept, below the working folder.
RUNS = Path("runs")


def run_folder(config: ExperimentConfig, runs: Path = RUNS) -> Path:
    """runs/NAME/fold2-seed0, or all-seed0 where no fold is left out."""
    fold = "all" if config.data.fold is None else f"fold{config.data.fold}"
    return runs / config.name / f"{fold}-seed{config.training.seed}"


def at(config: ExperimentConfig, *, fold: int | None, seed: int | None) -> ExperimentConfig:
    """``config`` with another fold or seed where they are given. Raises config-invalid."""
    try:
        return config.at(fold=fold, seed=seed)
    except ValidationError as error:
        raise InputError(
            "config-invalid", f"{config.name}: {error.errors()[0]['msg']}", hint="See data.folds"
        ) from error


def referred_file(reference: RunReference, file: Path) -> Path:
    """The experiment file that ``reference``, in the experiment file ``file``, names."""
    return file.parent / f"{reference.experiment}.yaml"


def referred(
    reference: RunReference, config: ExperimentConfig, file: Path, *, fold: int | None = None
) -> ExperimentConfig:
    """The experiment and run that ``reference`` of ``config`` (from ``file``) means.

    fold: another fold than that of ``config``.
    """
    other = load_experiment(referred_file(reference, file))
    seed = config.training.seed if reference.seed is None else reference.seed
    wanted = config.data.fold if fold is None else fold
    return at(other, fold=wanted if reference.folds else None, seed=seed)
