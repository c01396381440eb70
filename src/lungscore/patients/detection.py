"""Detection: does a scan show an infection pattern? One probability a scan.

An infection pattern is opacity such as COVID-19 makes; other pneumonias make it too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lungscore.errors import UsageError
from lungscore.patients.cases import Case
from lungscore.patients.cohort import Cohort, Measured, gather, refuse_too_few
from lungscore.patients.defaults import DETECTION_FEATURES
from lungscore.patients.features import FEATURES
from lungscore.patients.figures import (
    area,
    area_difference,
    calibration_content,
    left_out_content,
    sensitivity_and_specificity,
    without_cases,
)
from lungscore.patients.folds import (
    FOLDS,
    MIN_OF_CLASS,
    MIN_PATIENTS,
    SEED,
    out_of_fold,
    patient_folds,
)
from lungscore.patients.logistic import fit_logistic
from lungscore.patients.stored import Detector, feature_parts, refuse_seen, trained_on
from lungscore.severity.edges import FLOOR_PERCENT
from lungscore.statistics.calibration import operating_point
from lungscore.version import RESEARCH_USE, __version__

CLASSES = ["clean", "infected"]

#: How much, how widely and how densely in one place.

MEANING = (
    "The probability that a scan shows an infection pattern, among patients like those it learned "
    "from. Other pneumonias look alike; it is not a diagnosis. " + RESEARCH_USE
)


def detection_cohort(
    cases: Sequence[Case],
    results: Mapping[str, Measured],
    *,
    labels: Mapping[str, str],
    names: Sequence[str] = DETECTION_FEATURES,
) -> Cohort:
    """The scans that can be used. labels: label of the table -> "clean" or "infected".

    Raises InputError ``too-few-patients``, UsageError for an unknown feature.
    """
    check_features(names)
    classes = {label: CLASSES.index(name) for label, name in labels.items()}
    needed = tuple(dict.fromkeys((*names, "infection_percent")))
    cohort = gather(cases, results, classes=classes, needed=needed)
    refuse_too_few(cohort, CLASSES, patients=MIN_PATIENTS, of_class=MIN_OF_CLASS)
    return cohort


def check_features(names: Sequence[str]) -> None:
    """Raise UsageError where one of ``names`` is unknown or occurs twice, or there is none."""
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not names or len(set(names)) < len(names):
        fault = f"Unknown feature: {unknown[0]}" if unknown else "Features are named once each"
        raise UsageError("usage", fault, expected=", ".join(FEATURES))


def train_detector(
    cohort: Cohort,
    *,
    labels: Mapping[str, str],
    names: Sequence[str] = DETECTION_FEATURES,
    name: str,
    seed: int = SEED,
) -> Detector:
    """A detector fitted to all of the cohort, with the figures of its cross-validation."""
    positive = cohort.classes == 1
    model = fit_logistic(names, cohort.columns(names), positive)
    point = operating_point(model.probability(cohort.columns(names)), positive)
    return Detector(
        schema="lungscore.detector/1",
        name=name,
        lungscore=__version__,
        meaning=MEANING,
        features=feature_parts(model.standard, model.coefficients),
        intercept=model.intercept,
        operating_point=point,
        trained_on=trained_on(cohort, CLASSES, dict(labels)),
        left_out=without_cases(left_out_content(cohort)),
        cross_validated=cross_validated(cohort, names=names, seed=seed),
    )


def cross_validated(
    cohort: Cohort, *, names: Sequence[str] = DETECTION_FEATURES, seed: int = SEED
) -> dict[str, Any]:
    """Figures of predictions for patients that were held out.

    The operating point of each fold is chosen among its training scans alone.
    """
    values, positive = cohort.columns(names), cohort.classes == 1

    def predict(train: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        model = fit_logistic(names, values[train], positive[train])
        point = operating_point(model.probability(values[train]), positive[train])
        predicted = model.probability(values[held_out])
        return np.stack([predicted, np.full(len(held_out), point)], axis=1)

    splits = patient_folds(cohort.classes, cohort.patients, seed=seed)
    probability, point = out_of_fold(splits, predict).T
    how = {"how": "cross-validated by patient", "folds": FOLDS, "seed": seed}
    return {**how, "features": list(names), **figures(cohort, probability, point)}


def applied(cohort: Cohort, detector: Detector) -> dict[str, Any]:
    """Figures of a detector that has not seen these patients.

    Raises UsageError where it has seen exactly these cases.
    """
    refuse_seen(detector, cohort)
    probability = detector.model.probability(cohort.columns(detector.names))
    point = np.full(len(probability), detector.operating_point)
    how = {"how": "applied", "detector": detector.name, "features": list(detector.names)}
    return {**how, **figures(cohort, probability, point)}


def figures(cohort: Cohort, probability: np.ndarray, point: np.ndarray) -> dict[str, Any]:
    """probability, point: (n,) of each scan, and the operating point that holds for it."""
    positive, patients = cohort.classes == 1, cohort.patients
    burden = cohort.column("infection_percent")
    counts = cohort.patients_of_class
    return {
        "patients": len(set(patients)),
        "scans": len(patients),
        "patients_by_class": {name: counts.get(c, 0) for c, name in enumerate(CLASSES)},
        "auc": area(probability, positive, patients),
        "calibration": calibration_content(probability, positive, patients),
        "at_operating_point": {
            "points": sorted({round(float(p), 6) for p in point}),
            **sensitivity_and_specificity(probability >= point, positive, patients),
        },
        "burden_alone": {
            "auc": area(burden, positive, patients),
            "auc_difference": area_difference(probability, burden, positive, patients),
            f"at_{FLOOR_PERCENT:g}_percent": sensitivity_and_specificity(
                burden >= FLOOR_PERCENT, positive, patients
            ),
        },
    }


def probability_of(detector: Detector, measured: Measured) -> tuple[float | None, str]:
    """The probability of one scan, or None and a reason of cohort.REASONS. Needs numpy only."""
    if measured.unsuitable:
        return None, "unsuitable-scan"
    values = [measured.values.get(name) for name in detector.names]
    if any(value is None for value in values):
        return None, "not-computed"
    return float(detector.model.probability(np.array([values], np.float64))[0]), ""
