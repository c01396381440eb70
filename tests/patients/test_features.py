"""Features are what a result says, and None where it says nothing."""

import copy
import json

import numpy as np
import pytest

from lungscore.patients.features import FEATURES, features, slice_percents, unsuitable
from lungscore.patients.standard import learn_standard
from lungscore.result import Result
from lungscore.severity.category import UNSUITABLE, WITHHOLDING
from tests.patients.made_up import made


@pytest.fixture
def result() -> dict:
    return copy.deepcopy(next(iter(made("clinical").results.values())))


def test_made_up_results_are_whole_results(result):
    stored = json.loads(json.dumps(result))
    assert json.loads(Result.model_validate(stored).to_json()) == stored


def test_every_feature_is_a_number_of_a_whole_result(result):
    result["burden"] |= {"infection_percent": 12.5, "ggo_percent": 10, "consolidation_percent": 2.5}
    result["scores"]["ct_ss"]["total"] = 14
    result["distribution"] |= {"lobes_affected": 4, "bilateral": True}
    for row, percent in zip(result["slices"], (0, 0.99, 1, 40.5), strict=False):
        row["infection_percent"] = percent
    for row in result["slices"][4:]:
        row["infection_percent"] = None
    assert features(result) == {
        "infection_percent": 12.5,
        "ggo_percent": 10,
        "consolidation_percent": 2.5,
        "ct_ss": 14,
        "lobes_infected": 4,
        "bilateral": 1,
        "peak_slice_percent": 40.5,
        "infected_slices_percent": 50,
    }
    assert slice_percents(result) == (0, 0.99, 1, 40.5)


def test_what_a_result_does_not_say_is_none(result):
    result["scores"]["ct_ss"]["total"] = None
    result["distribution"] |= {"lobes_affected": None, "bilateral": None}
    for row in result["slices"]:
        row["infection_percent"] = None
    values = features(result)
    missing = {name for name, value in values.items() if value is None}
    assert missing == {
        "ct_ss",
        "lobes_infected",
        "bilateral",
        "peak_slice_percent",
        "infected_slices_percent",
    }
    assert set(values) == set(FEATURES)


@pytest.mark.parametrize("code", WITHHOLDING)
def test_only_some_reasons_make_a_scan_unsuitable(result, code):
    result["severity"]["withheld"] = [code]
    assert unsuitable(result) == (code in UNSUITABLE)
    assert not unsuitable(result | {"severity": {"withheld": []}})


def test_percents_enter_as_logarithms_and_all_standardised():
    values = np.array([[0.0, 3], [np.expm1(2), 5], [np.expm1(4), 7]])
    standard = learn_standard(["infection_percent", "ct_ss"], values)
    assert standard.mean == pytest.approx([2, 5])
    assert standard.apply(values) == pytest.approx(
        np.sqrt(1.5) * np.array([[-1] * 2, [0] * 2, [1] * 2])
    )


def test_a_number_that_never_differs_does_no_harm():
    standard = learn_standard(["age"], np.full((4, 1), 40.0))
    assert standard.apply(np.array([[40.0], [41.0]])).tolist() == [[0], [1]]
