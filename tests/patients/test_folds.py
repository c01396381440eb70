"""Cross-validation parts patients, never their scans."""

import numpy as np
import pytest

from lungscore.errors import InputError, UsageError
from lungscore.patients.folds import out_of_fold, patient_folds


def cohort(n=120, seed=0):
    rng = np.random.default_rng(seed)
    patients = [f"p{number}" for number in rng.integers(0, 60, n)]
    classes = np.array([int(p[1:]) % 3 for p in patients])
    return classes, patients


def test_every_case_is_held_out_once_and_no_patient_is_on_both_sides():
    classes, patients = cohort()
    parts = patient_folds(classes, patients)
    assert sorted(np.concatenate([held for _, held in parts])) == list(range(120))
    owners = np.array(patients)
    for train, held in parts:
        assert not set(owners[train]) & set(owners[held])
        assert set(classes[train]) == {0, 1, 2}


def test_the_seed_decides_the_folds():
    classes, patients = cohort()
    first, same, reseeded = (patient_folds(classes, patients, seed=s) for s in (1, 1, 2))
    assert all((a[1] == b[1]).all() for a, b in zip(first, same, strict=True))
    assert any(
        len(a[1]) != len(b[1]) or (a[1] != b[1]).any() for a, b in zip(first, reseeded, strict=True)
    )


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_scikit_learn_does_not_take_is_refused(seed):
    with pytest.raises(UsageError) as caught:
        patient_folds(*cohort(), seed=seed)
    assert str(seed) in caught.value.found


def test_predictions_come_back_in_the_order_of_the_cases():
    classes, patients = cohort()
    parts = patient_folds(classes, patients)
    predictions = out_of_fold(parts, lambda train, held: np.stack([held, held * 2], axis=1))
    assert predictions[:, 0].tolist() == list(range(120))
    assert predictions[:, 1].tolist() == list(range(0, 240, 2))


def test_a_class_of_one_patient_is_refused():
    classes = np.array([0] * 30 + [1] * 6)
    patients = [f"p{n}" for n in range(30)] + ["q"] * 6
    with pytest.raises(InputError) as refused:
        patient_folds(classes, patients)
    assert refused.value.code == "too-few-patients"
