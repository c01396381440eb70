"""Infection by lobe against the lobes that a radiologist marked, slice by slice."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lungscore.labels import LOBE_ORDER, LOBES
from lungscore.severity import FLOOR_PERCENT
from lungscore.statistics.bootstrap import interval, value_of


def against_marked_lobes(
    infected: np.ndarray, lobes: np.ndarray, marks: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """How well infection found by lobe fits what was marked.

    infected: bool (D, H, W). lobes: (D, H, W) of labels.LOBES. marks: lobe -> bool (D,), whether it
    is ill in each slice. Figures: percent of each lobe that is infected; percent of all infection
    that lies in lobes marked anywhere; and, of every slice of those lobes that shows the lobe, the
    balanced accuracy of "infected" (at least FLOOR_PERCENT of the lobe's area in the slice), with
    a 95 % bootstrap interval over slices of lobes. None where there is nothing to divide by.
    """
    area = {name: (lobes == LOBES[name]).sum(axis=(1, 2)) for name in LOBE_ORDER}
    found = {name: (infected & (lobes == LOBES[name])).sum(axis=(1, 2)) for name in LOBE_ORDER}
    marked = [name for name in LOBE_ORDER if marks[name].any()]
    total = sum(int(each.sum()) for each in found.values())
    inside = sum(int(found[name].sum()) for name in marked)
    calls, truth = [], []
    for name in marked:
        shown = area[name] > 0
        calls.append(100 * found[name][shown] >= FLOOR_PERCENT * area[name][shown])
        truth.append(marks[name][shown])
    return {
        "infection_percent": {
            name: 100 * int(found[name].sum()) / int(area[name].sum()) if area[name].any() else None
            for name in LOBE_ORDER
        },
        "marked_lobes": marked,
        "marked_percent_of_infection": 100 * inside / total if total else None,
        "slices_of_marked_lobes": _balanced_accuracy(
            np.concatenate([np.zeros(0, bool), *calls]), np.concatenate([np.zeros(0, bool), *truth])
        ),
    }


def _balanced_accuracy(called: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Mean of sensitivity and specificity with its interval; None without both classes."""

    def accuracy(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            sensitivity = (weights @ (called & true)) / (weights @ true)
            specificity = (weights @ (~called & ~true)) / (weights @ ~true)
        return np.asarray((sensitivity + specificity) / 2)

    counts = {"n": len(true), "marked": int(true.sum())}
    if not true.any() or true.all():
        return {"balanced_accuracy": None, "low": None, "high": None, **counts}
    low, high = interval(accuracy, len(true))
    whole = value_of(accuracy, len(true))
    return {
        "balanced_accuracy": whole,
        "sensitivity": float((called & true).sum() / true.sum()),
        "specificity": float((~called & ~true).sum() / (~true).sum()),
        "low": low,
        "high": high,
        **counts,
    }
