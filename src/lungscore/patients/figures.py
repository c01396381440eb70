"""How good predictions are: figures of one yes-or-no question, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lungscore.patients.cohort import REASONS, Cohort
from lungscore.statistics.bootstrap import area_under_curve_of, estimate, rate
from lungscore.statistics.calibration import calibration
from lungscore.statistics.estimate import Estimate

_DECIMALS = 6


def content_of(figure: Estimate) -> dict[str, Any]:
    """A figure with its interval, for JSON; ``reason`` stands there where it has none."""
    numbers = {name: _rounded(getattr(figure, name)) for name in ("value", "low", "high")}
    return {**numbers, "n": figure.n} | ({"reason": figure.reason} if figure.reason else {})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS) + 0.0


def area(score: np.ndarray, positive: np.ndarray, patients: Sequence[str]) -> dict[str, Any]:
    """Area under the ROC curve."""
    figure = estimate(area_under_curve_of(score, positive), patients, reason="a class is missing")
    return content_of(figure)


def area_difference(
    score: np.ndarray, reference: np.ndarray, positive: np.ndarray, patients: Sequence[str]
) -> dict[str, Any]:
    """Area of ``score`` − area of ``reference`` over the same cases: drawn together, so paired."""
    first, second = area_under_curve_of(score, positive), area_under_curve_of(reference, positive)
    figure = estimate(lambda w: first(w) - second(w), patients, reason="a class is missing")
    return content_of(figure)


def sensitivity_and_specificity(
    called: np.ndarray, positive: np.ndarray, patients: Sequence[str]
) -> dict[str, Any]:
    """called, positive: (n,) bool."""
    owners = np.asarray(patients, object)
    return {
        "sensitivity": content_of(rate(called[positive], list(owners[positive]))),
        "specificity": content_of(rate(~called[~positive], list(owners[~positive]))),
    }


def calibration_content(
    probability: np.ndarray, positive: np.ndarray, patients: Sequence[str]
) -> dict[str, Any]:
    """Brier score, calibration slope and intercept, and the reliability table."""
    fitted = calibration(probability, positive, patients)
    return {
        "brier": content_of(fitted.brier),
        "slope": content_of(fitted.slope),
        "intercept": content_of(fitted.intercept),
        "reliability": [
            {
                "from": _rounded(group.low),
                "to": _rounded(group.high),
                "predicted": _rounded(group.predicted),
                "observed": content_of(group.observed),
            }
            for group in fitted.reliability
        ],
    }


def left_out_content(cohort: Cohort) -> dict[str, Any]:
    """reason -> what it means, how many cases it leaves out, and which."""
    content: dict[str, Any] = {}
    for reason, cases in cohort.left_out.items():
        content[reason] = {"meaning": REASONS[reason], "n": len(cases), "cases": list(cases)}
    if "label-not-used" in content:
        content["label-not-used"]["labels"] = dict(sorted(cohort.labels_not_used.items()))
    return content


def without_cases(left_out: Mapping[str, Any]) -> dict[str, Any]:
    """``left_out_content`` for a model that others will be given: counts, but no names."""
    kept = ("meaning", "n", "labels")
    return {
        reason: {key: entry[key] for key in kept if key in entry}
        for reason, entry in left_out.items()
    }
