"""Experiment files: YAML into the models of config, with messages that name the key.

Also where runs lie, and how one experiment names the run of another.
"""

import difflib
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig, RunReference


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which would let the last of two equal keys win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def load_experiment(path: Path) -> ExperimentConfig:
    """Read an experiment file. ``extends: other.yaml`` takes another file's values as a start.

    Raises InputError config-invalid, naming the key and the nearest known one.
    """
    try:
        return ExperimentConfig.model_validate(_read_extended(path))
    except ValidationError as error:
        raise _explain(path, error) from error


def _read_extended(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        values = _UniqueKeys(path.read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise InputError("input-not-found", f"no experiment file {path.name}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        twice = str(error.problem) if isinstance(error, yaml.constructor.ConstructorError) else ""
        raise InputError(
            "config-invalid", f"{path.name} is not YAML" + (f": {twice}" if twice else "")
        ) from error
    if not isinstance(values, dict):
        raise InputError("config-invalid", f"{path.name} is no table of keys and values")
    base = values.pop("extends", None)
    if base is None:
        return values
    if depth > 5 or not isinstance(base, str) or Path(base).name != base:
        raise InputError(
            "config-invalid",
            f"{path.name} extends {base!r}",
            expected="the name of an experiment file in the same folder",
        )
    return _merge(_read_extended(path.parent / base, depth + 1), values)


def _merge(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _explain(path: Path, error: ValidationError) -> InputError:
    """The first thing wrong, with the nearest known key where a key is unknown."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return InputError("config-invalid", f"{path.name}: {where}: {first['msg']}")
    model: Any = ExperimentConfig
    for part in first["loc"][:-1]:
        kinds = (model.model_fields[str(part)].annotation,)
        kinds = get_args(kinds[0]) or kinds  # a section that may be null
        model = next(kind for kind in kinds if issubclass(kind, BaseModel))
    near = difflib.get_close_matches(str(first["loc"][-1]), model.model_fields, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(model.model_fields)}"
    return InputError("config-invalid", f"{path.name}: unknown key {where!r}", hint=hint)


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
            "config-invalid", f"{config.name}: {error.errors()[0]['msg']}", hint="see data.folds"
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
