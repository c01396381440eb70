"""Experiment files: YAML into the models of config, with messages that name the key.

Also where runs lie, and how one experiment names the run of another.
"""

import difflib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig, RunReference

#: Bytes that no experiment file comes near.
LONGEST = 2**17

#: Values of a file once its aliases are followed.
MOST_VALUES = 10_000


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which would let the last of two equal keys win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a list or a table", node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {str(key)[:60]!r} occurs twice", node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> Any:
    """The one document of a YAML file, its keys unique, in bounded time and memory.

    Raises InputError ``input-not-found`` or ``config-invalid``.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise InputError("config-invalid", f"{path.name} is longer than {LONGEST >> 10} KiB")
        values = _UniqueKeys(content.decode("utf-8")).get_single_data()
        if _count(values) > MOST_VALUES:
            raise InputError(
                "config-invalid", f"{path.name} contains more than {MOST_VALUES} values"
            )
        return values
    except InputError:
        raise
    except OSError as error:
        raise InputError("input-not-found", f"No such file: {path}") from error
    except yaml.constructor.ConstructorError as error:
        fault = f"{path.name} is not YAML: {error.problem}"
        raise InputError("config-invalid", fault) from error
    except Exception as error:  # dates, numbers and tags are converted by code that raises anything
        raise InputError("config-invalid", f"{path.name} is not YAML") from error


def _count(values: Any) -> int:
    """How many values there are, where aliases count each time; no more than needed is counted."""
    count, waiting = 0, [values]
    while waiting and count <= MOST_VALUES:
        value = waiting.pop()
        count += 1
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | set | tuple):
            waiting += value
    return count


def load_experiment(path: Path) -> ExperimentConfig:
    """Read an experiment file. ``extends: other.yaml`` takes another file's values as a start.

    Raises InputError config-invalid, naming the key and the nearest known one.
    """
    try:
        return ExperimentConfig.model_validate(_read_extended(path))
    except ValidationError as error:
        raise _explain(path, error) from error


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


def _explain(path: Path, error: ValidationError) -> InputError:
    """The first thing wrong, with the nearest known key where a key is unknown."""
    first = error.errors()[0]
    where = ".".join(str(key) for key in first["loc"])
    if first["type"] != "extra_forbidden":
        return InputError("config-invalid", f"{path.name}: {where}: {first['msg']}")
    model: Any = ExperimentConfig
    for key in first["loc"][:-1]:
        kinds = (model.model_fields[str(key)].annotation,)
        kinds = get_args(kinds[0]) or kinds  # a section that may be null
        model = next(kind for kind in kinds if issubclass(kind, BaseModel))
    near = difflib.get_close_matches(str(first["loc"][-1]), model.model_fields, n=1, cutoff=0.3)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(model.model_fields)}"
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
