"""The severity of a slice by the share of its lung that is infected, as a draft paper had it.

The rule stands here as a baseline. It is made from binary masks and a lung that holds its lesions,
with closed bins; docs/patients.md says what the published code did instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lungscore.patients.figures import content_of
from lungscore.statistics.bootstrap import estimate, rate, share_of

#: Infected share of a slice's lung from which it counts as class 1, and as class 2.
EDGES = (0.01, 0.5)

#: Clinical class -> what the rule is judged by; all others are 0.
TRUTH = {"severe": 1, "critical": 2}


def class_of_slice(percent: np.ndarray) -> np.ndarray:
    """0 for a share below 0.01, 1 from 0.01 on, 2 from 0.5 to 1. percent: 0–100, any shape."""
    share = np.asarray(percent, np.float64) / 100
    if ((share < 0) | (share > 1)).any():
        raise ValueError("a percent lies in 0–100")
    return np.searchsorted(EDGES, share, side="right")


def slice_rule(
    slices: Sequence[Sequence[float]], classes: Sequence[str], patients: Sequence[str]
) -> dict[str, Any]:
    """Figures of the rule: micro F1 over slices, and over patients by their worst slice.

    slices: infected percents of each patient's slices. classes: the clinical class of each. Every
    slice bears its patient's class. Micro F1 of single labels is accuracy.
    """
    truth = np.array([TRUTH.get(name, 0) for name in classes])
    of_patient = np.array([class_of_slice(np.array(each)).max() for each in slices])
    counts = [len(each) for each in slices]
    found = class_of_slice(np.concatenate([np.asarray(each) for each in slices]))
    true = np.repeat(truth, counts)
    owners = [p for p, count in zip(patients, counts, strict=True) for _ in range(count)]
    return {
        "truth": "0 none, mild, moderate; 1 severe; 2 critical",
        "slices": {
            "micro_f1": content_of(estimate(share_of(found == true), owners)),
            "always_0": content_of(estimate(share_of(true == 0), owners)),
            "confusion": _confusion(true, found),
        },
        "patients_by_worst_slice": {
            "micro_f1": content_of(rate(of_patient == truth, patients)),
            "always_0": content_of(rate(truth == 0, patients)),
            "confusion": _confusion(truth, of_patient),
        },
    }


def _confusion(true: np.ndarray, found: np.ndarray) -> list[list[int]]:
    table = np.zeros((3, 3), int)
    np.add.at(table, (true, found), 1)
    return [[int(cell) for cell in row] for row in table]
