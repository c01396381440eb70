"""Experiments as data: a YAML file into checked, immutable models."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lungscore.errors import InputError

Fraction = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkConfig(_Strict):
    """Which network, from which weights.

    encoder_weights: a folder under LUNGSCORE_DATA with ImageNet weights, or null for random.
    """

    encoder: str = "resnet18"
    encoder_weights: str | None = None

    @field_validator("encoder")
    @classmethod
    def _known(cls, encoder: str) -> str:
        from lungscore.networks import ENCODERS

        if encoder not in ENCODERS:
            raise ValueError(f"no encoder {encoder!r}; known are {', '.join(ENCODERS)}")
        return encoder


class InputConfig(_Strict):
    """What the network sees: size in pixels and, for scans in HU, the window."""

    height: int = Field(default=256, ge=32, le=1024)
    width: int = Field(default=320, ge=32, le=1024)
    window_hu: tuple[float, float] = (-1350.0, 150.0)

    @field_validator("window_hu")
    @classmethod
    def _rising(cls, window_hu: tuple[float, float]) -> tuple[float, float]:
        if window_hu[0] >= window_hu[1]:
            raise ValueError("the window's first number is black and must be the smaller one")
        return window_hu


class DataConfig(_Strict):
    """Which slices train. Folders are below LUNGSCORE_DATA.

    infected: datasets of annotated slices. healthy: a healthy person's CT, or null; healthy_part
    keeps the other half for measuring. folds, fold: leave fold 0…folds-1 of the annotated slices
    out for validation; null trains on all of them.
    """

    infected: tuple[Literal["covid-semiseg", "medseg"], ...] = Field(
        default=("covid-semiseg",), min_length=1
    )
    healthy: str | None = None
    healthy_part: Literal["all", "cranial", "caudal"] = "all"
    folds: int = Field(default=5, ge=2, le=50)
    fold: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_of_the_folds(self) -> Self:
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(
                f"fold {self.fold} of {self.folds}: the folds are 0 to {self.folds - 1}"
            )
        return self


class AugmentationConfig(_Strict):
    """Strength of every augmentation; 0 switches one off. Fractions are of the image's size.

    window: how far black and white point move; gamma: spread of log gamma; bend: displacement of
    a coarse grid; cutout: longest side of the erased rectangle.
    """

    flip_left_right: Fraction = 0.5
    flip_up_down: Fraction = 0.0
    transpose: Fraction = 0.0
    rotation_degrees: float = Field(default=15.0, ge=0, le=180)
    zoom: Fraction = 0.2
    stretch: Fraction = 0.15
    shear: Fraction = 0.1
    shift: Fraction = 0.1
    bend: Fraction = 0.02
    window: Fraction = 0.12
    gamma: Fraction = 0.2
    blur: Fraction = 1.0
    noise: Fraction = 0.03
    cutout: Fraction = 0.0


class TrainingConfig(_Strict):
    """How long and how fast.

    recipe: "default", or "paper" for the published code's loss, sizes, optimiser and schedule,
    its slips included (see docs/method.md). healthy_fraction: share of healthy slices in a batch.
    """

    recipe: Literal["default", "paper"] = "default"
    epochs: int = Field(default=40, ge=1, le=10_000)
    slices_per_epoch: int = Field(default=200, ge=1)
    batch_size: int = Field(default=16, ge=1)
    healthy_fraction: Fraction = 0.0
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-2, ge=0, le=1)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    seed: int = Field(default=0, ge=0)


class ExperimentConfig(_Strict):
    """One experiment, whole."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    description: str = ""
    network: NetworkConfig = NetworkConfig()
    input: InputConfig = InputConfig()
    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _healthy_slices_to_take_from(self) -> Self:
        if self.training.healthy_fraction > 0 and self.data.healthy is None:
            raise ValueError("training.healthy_fraction needs a scan in data.healthy")
        return self


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
        model = model.model_fields[str(part)].annotation
    near = difflib.get_close_matches(str(first["loc"][-1]), model.model_fields, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(model.model_fields)}"
    return InputError("config-invalid", f"{path.name}: unknown key {where!r}", hint=hint)
