"""Detection: planted chances are found, judged without looking at the held-out patients."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from lungscore.errors import InputError, UsageError
from lungscore.patients.cohort import Measured, measured
from lungscore.patients.defaults import DETECTION_FEATURES
from lungscore.patients.detection import (
    applied,
    cross_validated,
    detection_cohort,
    figures,
    probability_of,
    train_detector,
)
from lungscore.patients.features import FEATURES
from lungscore.patients.folds import patient_folds
from lungscore.patients.logistic import fit_logistic
from lungscore.patients.stored import data_sha256
from lungscore.statistics.calibration import operating_point
from tests.patients.made_up import LABELS, detection, made


@pytest.fixture(scope="module")
def cohort():
    return detection(second_scans=0.2)


@pytest.fixture(scope="module")
def detector(cohort):
    return train_detector(cohort, labels=LABELS, name="made-up")


@pytest.mark.slow
def test_what_was_planted_is_found():
    cohort = detection(1500, 11)
    chances = made("detection", 1500, 11).chances
    planted = np.array([chances[case][0] for case in cohort.cases])
    result = cross_validated(cohort)
    best = roc_auc_score(cohort.classes, planted)
    assert abs(result["auc"]["value"] - best) < 0.015
    slope, intercept = (result["calibration"][name] for name in ("slope", "intercept"))
    assert slope["low"] < 1 < slope["high"]
    assert intercept["low"] < 0 < intercept["high"]
    model = fit_logistic(
        DETECTION_FEATURES, cohort.columns(DETECTION_FEATURES), cohort.classes == 1
    )
    assert np.abs(model.probability(cohort.columns(DETECTION_FEATURES)) - planted).mean() < 0.03


def test_figures_are_those_of_scikit_learn(cohort):
    rng = np.random.default_rng(0)
    chance = np.clip(rng.normal(0.4 + 0.2 * cohort.classes, 0.2), 0, 1)
    content = figures(cohort, chance, np.full(len(chance), 0.5))
    truth = cohort.classes == 1
    assert content["auc"]["value"] == pytest.approx(roc_auc_score(truth, chance), abs=1e-6)
    brier = content["calibration"]["brier"]["value"]
    assert brier == pytest.approx(brier_score_loss(truth, chance), abs=1e-6)
    rates = content["at_operating_point"]
    assert rates["sensitivity"]["value"] == pytest.approx((chance[truth] >= 0.5).mean(), abs=1e-6)
    assert rates["specificity"]["value"] == pytest.approx((chance[~truth] < 0.5).mean(), abs=1e-6)
    alone = content["burden_alone"]
    burden = cohort.column("infection_percent")
    assert alone["auc"]["value"] == pytest.approx(roc_auc_score(truth, burden), abs=1e-6)
    gain = content["auc"]["value"] - alone["auc"]["value"]
    assert alone["auc_difference"]["value"] == pytest.approx(gain, abs=2e-6)
    assert alone["at_1_percent"]["sensitivity"]["value"] == pytest.approx(
        (burden[truth] >= 1).mean(), abs=1e-6
    )
    assert (content["patients"], content["scans"]) == (200, len(chance))


def test_a_difference_to_itself_is_nothing(cohort):
    burden = cohort.column("infection_percent")
    alone = figures(cohort, burden / 100, np.full(len(burden), 0.5))["burden_alone"]
    difference = alone["auc_difference"]
    assert (difference["value"], difference["n"]) == (0, len(burden))
    assert difference["low"] is difference["high"] is None


def test_held_out_patients_decide_nothing_about_themselves(cohort, monkeypatch):
    """Other labels of a fold's held-out patients leave its predictions and its point alone."""
    parts = patient_folds(cohort.classes, cohort.patients)
    seen = {}
    monkeypatch.setattr(
        "lungscore.patients.detection.figures",
        lambda cohort, probability, point: seen.update(p=probability, point=point) or {},
    )
    monkeypatch.setattr("lungscore.patients.detection.patient_folds", lambda *a, **k: parts)
    cross_validated(cohort)
    before, point = seen["p"], seen["point"]
    held = parts[2][1]
    turned = cohort.classes.copy()
    turned[held] = 1 - turned[held]
    cross_validated(dataclasses.replace(cohort, classes=turned))
    assert (seen["p"][held] == before[held]).all()
    assert (seen["point"][held] == point[held]).all()
    training = np.setdiff1d(np.arange(len(before)), held)
    assert (seen["p"][training] != before[training]).any()
    # And the point is the training patients' own.
    train = parts[2][0]
    values, positive = cohort.columns(DETECTION_FEATURES), cohort.classes == 1
    model = fit_logistic(DETECTION_FEATURES, values[train], positive[train])
    assert point[held[0]] == operating_point(model.probability(values[train]), positive[train])


def test_the_detector_says_what_it_learned_from(cohort, detector):
    trained = detector.trained_on
    assert (trained.patients, trained.scans) == (200, len(cohort.cases))
    assert trained.labels == {"clean": ["Normal"], "infected": ["NCP"]}
    assert sum(trained.by_class.values()) == 200
    assert detector.cross_validated["auc"]["value"] > 0.7
    assert "infection pattern" in detector.meaning
    for name in cohort.cases[:3]:
        assert name not in detector.to_json()


def test_the_hash_is_of_the_cases_and_not_of_their_order(cohort):
    turned = dataclasses.replace(
        cohort, cases=cohort.cases[::-1], classes=cohort.classes[::-1], values=cohort.values[::-1]
    )
    assert data_sha256(turned) == data_sha256(cohort)
    relabelled = dataclasses.replace(cohort, classes=1 - cohort.classes)
    assert data_sha256(relabelled) != data_sha256(cohort)


def test_a_detector_is_judged_on_others_only(cohort, detector):
    strangers = detection(120, 6)
    judged = applied(strangers, detector)
    assert judged["how"] == "applied"
    assert judged["at_operating_point"]["points"] == [round(detector.operating_point, 6)]
    with pytest.raises(UsageError, match="trained on these very cases"):
        applied(cohort, detector)


def test_the_probability_of_one_scan_is_that_of_the_model(cohort, detector):
    content = next(iter(made("detection", second_scans=0.2).results.values()))
    probability, reason = probability_of(detector, measured(content, "r"))
    expected = detector.model.probability(cohort.columns(detector.names))[0]
    assert (probability, reason) == (pytest.approx(expected), "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"unsuitable": True}, "unsuitable-scan"), ({"values": {}}, "not-computed")],
)
def test_a_scan_that_cannot_say_gets_no_probability(detector, change, reason):
    full = Measured(dict.fromkeys(FEATURES, 1.0), (1.0,))
    assert probability_of(detector, full)[1] == ""
    assert probability_of(detector, dataclasses.replace(full, **change)) == (None, reason)


@pytest.mark.parametrize("names", [("infection",), (), ("ct_ss", "ct_ss")])
def test_features_that_are_none_are_refused(names):
    with pytest.raises(UsageError) as refused:
        detection_cohort([], {}, labels=LABELS, names=names)
    assert "ct_ss" in refused.value.expected


def test_few_patients_are_refused():
    with pytest.raises(InputError) as refused:
        detection(18)
    assert refused.value.code == "too-few-patients"
