"""Models as JSON: readable, without code in them. Applying one needs numpy only."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from lungscore.errors import ResourceError, UsageError
from lungscore.patients.cohort import Cohort
from lungscore.patients.features import Transform
from lungscore.patients.logistic import Logistic
from lungscore.patients.ordinal import Ordinal
from lungscore.patients.standard import Standard
from lungscore.result.base import Model

#: Bytes that no model of this kind reaches.
LONGEST = 2**24


class Finite(Model):
    """A part whose numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class FeaturePart(Finite):
    """One number that the model takes; mean and scale are of the transformed number."""

    name: str
    transform: Transform
    mean: float
    scale: float = Field(gt=0)
    coefficient: float
    standard_error: float | None = None
    low: float | None = Field(default=None, description="95 % interval of the coefficient")
    high: float | None = None


class TrainedOn(Model):
    """What the model learned from."""

    patients: int
    scans: int
    by_class: dict[str, int] = Field(description="patients")
    labels: dict[str, list[str]] = Field(description="class -> labels of the table")
    data_sha256: str


class StoredModel(Finite):
    """What both kinds share."""

    name: str
    lungscore: str
    features: list[FeaturePart] = Field(min_length=1)
    operating_point: float
    trained_on: TrainedOn
    left_out: dict[str, Any]
    cross_validated: dict[str, Any]
    meaning: str

    @property
    def names(self) -> tuple[str, ...]:
        """The numbers that it takes."""
        return tuple(feature.name for feature in self.features)

    @property
    def standard(self) -> Standard:
        """How they enter."""
        return Standard(
            self.names,
            tuple(feature.transform for feature in self.features),
            np.array([feature.mean for feature in self.features]),
            np.array([feature.scale for feature in self.features]),
        )

    @property
    def coefficients(self) -> np.ndarray:
        """(p,)."""
        return np.array([feature.coefficient for feature in self.features])

    def to_json(self) -> str:
        """The content of the file."""
        content = self.model_dump(mode="json", by_alias=True)
        content = {"schema": content["schema"], **content}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


class Detector(StoredModel):
    """``lungscore.detector/1``: the probability of an infection pattern."""

    schema_: Literal["lungscore.detector/1"] = Field(alias="schema")
    intercept: float

    @property
    def model(self) -> Logistic:
        """Ready to be applied."""
        return Logistic(self.standard, self.coefficients, self.intercept)


class ClinicalModel(StoredModel):
    """``lungscore.clinical/1``: probabilities of the clinical classes."""

    schema_: Literal["lungscore.clinical/1"] = Field(alias="schema")
    classes: list[str] = Field(min_length=2)
    covariates: list[str]
    thresholds: list[float] = Field(min_length=1)

    @property
    def model(self) -> Ordinal:
        """Ready to be applied."""
        errors = np.array([feature.standard_error or np.nan for feature in self.features])
        return Ordinal(self.standard, self.coefficients, errors, np.array(self.thresholds))


M = TypeVar("M", bound=StoredModel)


def read_model(path: Path, kind: type[M]) -> tuple[M, str]:
    """A model of ``kind`` and the SHA-256 of its file.

    Raises ResourceError ``model-missing`` or ``model-damaged``.
    """
    try:
        if path.stat().st_size > LONGEST:
            raise ValueError("it is longer than any such model")
        content = path.read_bytes()
        model = kind.model_validate(json.loads(content, parse_constant=_refuse))
        if isinstance(model, ClinicalModel):
            _check_thresholds(model)
    except FileNotFoundError:
        raise ResourceError("model-missing", f"No such model file: {path}") from None
    except OSError as error:
        raise ResourceError("model-missing", f"{path.name} ({error.strerror})") from None
    except (ValidationError, ValueError, RecursionError) as error:
        told = error.errors()[0] if isinstance(error, ValidationError) else {"msg": str(error)}
        field = ".".join(str(key) for key in told.get("loc", ()))
        raise ResourceError(
            "model-damaged",
            f"{path.name} is none: {f'{field}: ' if field else ''}{str(told['msg'])[:80]}",
            expected="a model that lungscore detection train or clinical train wrote",
        ) from None
    return model, hashlib.sha256(content).hexdigest()


def _check_thresholds(model: ClinicalModel) -> None:
    if len(model.thresholds) != len(model.classes) - 1 or sorted(model.thresholds) != list(
        model.thresholds
    ):
        raise ValueError("the thresholds do not part its classes")


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def feature_parts(
    standard: Standard, coefficients: np.ndarray, errors: np.ndarray | None = None
) -> list[FeaturePart]:
    """The numbers that a fitted model takes."""
    features = []
    for index, name in enumerate(standard.names):
        value = float(coefficients[index])
        interval: dict[str, float] = {}
        if errors is not None:
            error = float(errors[index])
            half = 1.959964 * error
            interval = {"standard_error": error, "low": value - half, "high": value + half}
        features.append(
            FeaturePart(
                name=name,
                transform=standard.transforms[index],
                mean=float(standard.mean[index]),
                scale=float(standard.scale[index]),
                coefficient=value,
                **interval,
            )
        )
    return features


def trained_on(cohort: Cohort, classes: list[str], labels: dict[str, str]) -> TrainedOn:
    """labels: label of the table -> class."""
    counts = cohort.patients_of_class
    return TrainedOn(
        patients=len(set(cohort.patients)),
        scans=len(cohort.cases),
        by_class={name: counts.get(number, 0) for number, name in enumerate(classes)},
        labels={name: sorted(k for k, v in labels.items() if v == name) for name in classes},
        data_sha256=data_sha256(cohort),
    )


def refuse_seen(model: StoredModel, cohort: Cohort) -> None:
    """Raise UsageError where a model was trained on exactly these cases."""
    if model.trained_on.data_sha256 == data_sha256(cohort):
        raise UsageError(
            "usage",
            f"{model.name} was trained on these very cases",
            hint="Omit the model to cross-validate, or give the cases of other patients",
        )


def data_sha256(cohort: Cohort) -> str:
    """A hash of the cases that are used: their names, classes and numbers, in any order."""
    rows = zip(cohort.cases, cohort.classes.tolist(), cohort.values.tolist(), strict=True)
    text = json.dumps([list(cohort.names), *sorted(map(list, rows))], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
