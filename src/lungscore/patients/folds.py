"""Cross-validation that never parts the scans of one patient."""

from collections.abc import Callable, Sequence

import numpy as np

from lungscore.errors import InputError, UsageError
from lungscore.patients.defaults import SEED

FOLDS = 5

#: Patients below which there is no model, in all and of a class: one of each class in every fold.
MIN_PATIENTS, MIN_OF_CLASS = 20, FOLDS


def patient_folds(
    classes: np.ndarray, patients: Sequence[str], *, folds: int = FOLDS, seed: int = SEED
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices of the training and of the held-out cases of each fold, balanced by class.

    classes: (n,). Every case is held out once, and all cases of a patient together. Raises
    InputError ``too-few-patients`` where a training part lacks a class, UsageError for a seed that
    scikit-learn does not take.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if not 0 <= seed < 2**32:
        raise UsageError("usage", f"The seed is {seed}", expected="a seed from 0 to 4294967295")
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    splits = list(split.split(np.zeros(len(classes)), classes, np.asarray(patients)))
    if any(set(classes[train]) != set(classes) for train, _ in splits):
        raise InputError(
            "too-few-patients",
            "A class is missing in the training part of a fold",
            expected="the cases of each class spread over more patients",
        )
    return splits


def out_of_fold(
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """What ``predict(train, held_out)`` returns for the held-out cases, in the order of all cases.

    The first axis of what it returns is that of the held-out cases.
    """
    predictions = [(held_out, predict(train, held_out)) for train, held_out in splits]
    together = np.concatenate([values for _, values in predictions])
    ordered = np.empty_like(together)
    ordered[np.concatenate([held_out for held_out, _ in predictions])] = together
    return ordered
