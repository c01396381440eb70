"""Clinical severity: which of the ordered classes none to critical a patient is in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lungscore.errors import UsageError
from lungscore.patients.cases import Case
from lungscore.patients.clinical_figures import figures, graver_from
from lungscore.patients.cohort import Cohort, Measured, gather, refuse_too_few
from lungscore.patients.defaults import CLASSES, CLINICAL_FEATURES
from lungscore.patients.detection import check_features
from lungscore.patients.features import FEATURES
from lungscore.patients.figures import left_out_content, without_cases
from lungscore.patients.folds import (
    FOLDS,
    MIN_OF_CLASS,
    MIN_PATIENTS,
    SEED,
    out_of_fold,
    patient_folds,
)
from lungscore.patients.ordinal import Ordinal, fit_ordinal, of_classes
from lungscore.patients.stored import ClinicalModel, feature_parts, refuse_seen, trained_on
from lungscore.statistics.calibration import operating_point
from lungscore.version import RESEARCH_USE, __version__

#: Labels of iCTCF. "Suspected" is none of them.
LABELS = {
    "Control": "none",
    "Mild": "mild",
    "Regular": "moderate",
    "Severe": "severe",
    "Critically ill": "critical",
}


MEANING = (
    "Probabilities of clinical severity classes among patients like those the model learned from, "
    "in the same hospitals and at the same stage of disease. It is not a prognosis. " + RESEARCH_USE
)


def check_classes(classes: Sequence[str], labels: Mapping[str, str]) -> None:
    """Raise UsageError unless ``classes`` are an ordered part of CLASSES with a label for each."""
    known = [name for name in CLASSES if name in classes]
    if list(classes) != known or len(known) < 2:
        expected = f"two or more of {', '.join(CLASSES)}, in this order"
        raise UsageError("usage", f"Invalid classes: {', '.join(classes)}", expected=expected)
    if unknown := sorted(set(labels.values()) - set(CLASSES)):
        fault = f"A label is mapped to {unknown[0]}"
        raise UsageError("usage", fault, expected=", ".join(CLASSES))
    if missing := [name for name in classes if name not in labels.values()]:
        raise UsageError("usage", f"No label is mapped to {missing[0]}", hint="See --labels")


def clinical_cohort(
    cases: Sequence[Case],
    results: Mapping[str, Measured],
    *,
    labels: Mapping[str, str] = LABELS,
    classes: Sequence[str] = CLASSES,
    names: Sequence[str] = CLINICAL_FEATURES,
    table: Mapping[str, Mapping[str, float | None]] | None = None,
    covariates: Sequence[str] = (),
) -> Cohort:
    """The patients that can be used, each with one scan. labels: label of the table -> class.

    table: patient -> covariate -> value. Raises UsageError, InputError ``too-few-patients``.
    """
    check_features(names)
    check_classes(classes, labels)
    if both := [name for name in covariates if name in FEATURES]:
        raise UsageError("usage", f"{both[0]} is a feature and cannot be a covariate")
    numbers = {label: classes.index(name) for label, name in labels.items() if name in classes}
    # The burden chooses the scan, CT-SS is the baseline: every patient needs both.
    needed = tuple(dict.fromkeys((*names, "infection_percent", "ct_ss", *covariates)))
    cohort = gather(
        cases, results, classes=numbers, needed=needed, covariates=table or {}, one_a_patient=True
    )
    refuse_too_few(cohort, classes, patients=MIN_PATIENTS, of_class=MIN_OF_CLASS)
    return cohort


def train_clinical(
    cohort: Cohort,
    *,
    labels: Mapping[str, str] = LABELS,
    classes: Sequence[str] = CLASSES,
    names: Sequence[str] = CLINICAL_FEATURES,
    covariates: Sequence[str] = (),
    name: str,
    seed: int = SEED,
) -> ClinicalModel:
    """A model fitted to all of the cohort, with the figures of its cross-validation.

    Raises InputError ``model-not-identified``.
    """
    inputs = (*names, *covariates)
    model = fit_ordinal(inputs, cohort.columns(inputs), cohort.classes)
    return ClinicalModel(
        schema="lungscore.clinical/1",
        name=name,
        lungscore=__version__,
        meaning=MEANING,
        classes=list(classes),
        covariates=list(covariates),
        features=feature_parts(model.standard, model.coefficients, model.errors),
        thresholds=[float(value) for value in model.thresholds],
        operating_point=_point(model, cohort.columns(inputs), cohort.classes, classes),
        trained_on=trained_on(cohort, list(classes), dict(labels)),
        left_out=without_cases(left_out_content(cohort)),
        cross_validated=cross_validated(cohort, classes=classes, inputs=inputs, seed=seed),
    )


def cross_validated(
    cohort: Cohort, *, classes: Sequence[str], inputs: Sequence[str], seed: int = SEED
) -> dict[str, Any]:
    """Figures of predictions for patients that were held out. inputs: features and covariates."""
    values = cohort.columns(inputs)

    def predict(train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        model = fit_ordinal(inputs, values[train], cohort.classes[train])
        point = _point(model, values[train], cohort.classes[train], classes)
        return np.column_stack([model.at_least(values[held_out]), np.full(len(held_out), point)])

    splits = patient_folds(cohort.classes, cohort.patients, seed=seed)
    predicted = out_of_fold(splits, predict)
    how = {"how": "cross-validated by patient", "folds": FOLDS, "seed": seed}
    return {
        **how,
        "inputs": list(inputs),
        **figures(cohort, classes, predicted[:, :-1], predicted[:, -1]),
    }


def applied(cohort: Cohort, model: ClinicalModel) -> dict[str, Any]:
    """Figures of a model that has not seen these patients.

    Raises UsageError where it has seen exactly these cases.
    """
    refuse_seen(model, cohort)
    at_least = model.model.at_least(cohort.columns(model.names))
    point = np.full(len(at_least), model.operating_point)
    how = {"how": "applied", "model": model.name, "inputs": list(model.names)}
    return {**how, **figures(cohort, model.classes, at_least, point)}


def _point(model: Ordinal, values: np.ndarray, classes: np.ndarray, names: Sequence[str]) -> float:
    """The operating point for severe or critical; 0.5 where the classes hold no such question."""
    first = graver_from(names)
    if first is None:
        return 0.5
    return operating_point(model.at_least(values)[:, first - 1], classes >= first)


def classes_of(model: ClinicalModel, values: Mapping[str, float | None]) -> dict[str, float] | None:
    """class -> probability of one patient; None where a number is missing. Needs numpy only."""
    given = [values.get(name) for name in model.names]
    if any(value is None for value in given):
        return None
    at_least = model.model.at_least(np.array([given], np.float64))
    classes = of_classes(at_least)[0]
    return {name: float(value) for name, value in zip(model.classes, classes, strict=True)}
