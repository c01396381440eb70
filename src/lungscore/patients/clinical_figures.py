"""How good predicted clinical classes are, beside CT-SS and the rule by slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lungscore.patients.cohort import Cohort
from lungscore.patients.figures import (
    area,
    area_difference,
    calibration_content,
    content_of,
    sensitivity_and_specificity,
)
from lungscore.patients.ordinal import of_classes
from lungscore.patients.slice_rule import TRUTH, slice_rule
from lungscore.severity.scores import CT_SS_CUTOFF
from lungscore.statistics.agreement import confusion, exact_agreement, weighted_kappa
from lungscore.statistics.bootstrap import rate


def graver_from(classes: Sequence[str]) -> int | None:
    """The first class that is severe or critical; None if all or none of the classes are."""
    found = [number for number, name in enumerate(classes) if name in TRUTH]
    return found[0] if found and found[0] > 0 else None


def figures(
    cohort: Cohort, classes: Sequence[str], at_least: np.ndarray, point: np.ndarray
) -> dict[str, Any]:
    """at_least: (n, K − 1) probabilities of each class but the first or a graver one.

    point: (n,) operating point for severe or critical that holds for each patient. One row of the
    cohort is one patient.
    """
    truth, patients = cohort.classes, cohort.patients
    found = of_classes(at_least).argmax(axis=1)
    highest = len(classes) - 1
    return {
        "patients": len(patients),
        "patients_by_class": {name: int((truth == c).sum()) for c, name in enumerate(classes)},
        "classes": {
            "accuracy": content_of(exact_agreement(truth, found)),
            "always_the_commonest": content_of(
                rate(truth == np.bincount(truth).argmax(), patients)
            ),
            "quadratic_kappa": content_of(
                weighted_kappa(truth, found, highest=highest, weights="quadratic")
            ),
            "confusion": confusion(truth, found, highest=highest).tolist(),
            "by_class": {
                name: {
                    "n": int((truth == c).sum()),
                    "recall": content_of(rate(found[truth == c] == c, _of(patients, truth == c))),
                    "precision": content_of(
                        rate(truth[found == c] == c, _of(patients, found == c))
                    ),
                }
                for c, name in enumerate(classes)
            },
        },
        "calibration": {
            classes[c] + (" or graver" if c < highest else ""): calibration_content(
                at_least[:, c - 1], truth >= c, patients
            )
            for c in range(1, len(classes))
        },
        "severe_or_critical": _severe(cohort, classes, at_least, point),
        "slice_rule": slice_rule(cohort.slices, [classes[c] for c in truth], patients),
    }


def _severe(
    cohort: Cohort, classes: Sequence[str], at_least: np.ndarray, point: np.ndarray
) -> dict[str, Any] | None:
    """Severe or critical against milder; None where the classes do not hold the question."""
    first = graver_from(classes)
    if first is None:
        return None
    positive, patients, ct_ss = cohort.classes >= first, cohort.patients, cohort.column("ct_ss")
    score = at_least[:, first - 1]
    return {
        "n": int(positive.sum()),
        "auc": area(score, positive, patients),
        "at_operating_point": {
            "points": sorted({round(float(p), 6) for p in point}),
            **sensitivity_and_specificity(score >= point, positive, patients),
        },
        "ct_ss_alone": {
            "auc": area(ct_ss, positive, patients),
            "auc_difference": area_difference(score, ct_ss, positive, patients),
            f"above_{CT_SS_CUTOFF:g}": sensitivity_and_specificity(
                ct_ss > CT_SS_CUTOFF, positive, patients
            ),
        },
    }


def _of(patients: Sequence[str], chosen: np.ndarray) -> list[str]:
    return [patient for patient, inside in zip(patients, chosen, strict=True) if inside]
