"""Experiment files: YAML into the models of config, with messages that name the key.

Also where runs lie, and how one experiment names the run of another.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig, RunReference
from lungscore.yaml_file import explained, read_yaml


def load_experiment(path: Path) -> ExperimentConfig:
    """Read an experiment file. ``extends: other.yaml`` takes another file's values as a start.

    Raises InputError config-invalid, naming the key and the nearest known one.
    """
    try:
        return ExperimentConfig.model_validate(_read_extended(path))
    except ValidationError as error:
        raise explained(path, error, ExperimentConfig) from error


def _read_extended(path: Path, depth: int = 0) -> dict[str, Any]:
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise InputError("config-invalid", f"{path.name} is not a mapping of keys to values")
    base = values.pop("extends", None)
    if base is None:
        return values
    if depth > 5 or not isinstance(base, str) or Path(base).name != base:
        raise InputError(
            "config-invalid",
            f"{path.name} extends {str(base)[:60]!r}",
            expected="the name of an experiment file in the same folder",
        )
    return _merge(_read_extended(path.parent / base, depth + 1), values)


def _merge(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


#: Where runs are kept, below the working folder.
RUNS = Path("runs")


def run_folder(config: ExperimentConfig, runs: Path = RUNS) -> Path:
    """runs/NAME/fold2-seed0, or all-seed0 where no fold is left out."""
    fold = "all" if config.data.fold is None else f"fold{config.data.fold}"
    return runs / config.name / f"{fold}-seed{config.training.seed}"


def at(
    config: ExperimentConfig, *, fold: int | None, seed: int | None, folds: int | None = None
) -> ExperimentConfig:
    """``config`` with another fold, seed or number of folds where given. Raises config-invalid."""
    try:
        return config.at(fold=fold, seed=seed, folds=folds)
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
    experiment = load_experiment(referred_file(reference, file))
    seed = config.training.seed if reference.seed is None else reference.seed
    wanted = config.data.fold if fold is None else fold
    return at(experiment, fold=wanted if reference.folds else None, seed=seed)
