"""Clinical severity: figures against oracles, and what is refused."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    confusion_matrix,
    precision_score,
    recall_score,
    roc_auc_score,
)

from lungscore.datasets.ictcf_patients import CLASSES as ICTCF_CLASSES
from lungscore.errors import InputError, UsageError
from lungscore.patients.clinical import (
    CLASSES,
    LABELS,
    applied,
    check_classes,
    classes_of,
    clinical_cohort,
    cross_validated,
    train_clinical,
)
from lungscore.patients.clinical_figures import figures, graver_from
from lungscore.patients.cohort import measured
from lungscore.patients.defaults import CLINICAL_FEATURES
from lungscore.patients.folds import patient_folds
from lungscore.patients.ordinal import of_classes
from tests.patients.made_up import COVARIATES, clinical, made

INPUTS = (*CLINICAL_FEATURES, *COVARIATES)


@pytest.fixture(scope="module")
def cohort():
    return clinical(second_scans=0.1, suspected=0.05, missing=0.05)


@pytest.fixture(scope="module")
def model(cohort):
    return train_clinical(cohort, covariates=COVARIATES, name="made-up")


@pytest.fixture(scope="module")
def predicted(cohort):
    """Figures of predictions that are right now and then."""
    rng = np.random.default_rng(1)
    latent = cohort.classes + rng.normal(0, 1.2, len(cohort.classes))
    at_least = 1 / (1 + np.exp(-1.5 * (latent[:, None] - [0.5, 1.5, 2.5, 3.5])))
    return at_least, figures(cohort, CLASSES, at_least, np.full(len(latent), 0.4))


def test_the_labels_are_those_of_ictcf():
    assert set(LABELS) < set(ICTCF_CLASSES)
    unused = set(ICTCF_CLASSES) - set(LABELS)
    assert all(name.startswith(("Suspected", "Control (Community")) for name in unused)
    assert list(LABELS.values()) == list(CLASSES)


def test_every_patient_is_one_row_and_the_rest_is_counted(cohort):
    assert len(set(cohort.patients)) == len(cohort.patients)
    assert set(cohort.left_out) == {"label-not-used", "no-covariate", "milder-scan"}
    assert cohort.labels_not_used == {"Suspected": len(cohort.left_out["label-not-used"])}
    assert len(cohort.cases) + sum(map(len, cohort.left_out.values())) == len(
        made("clinical", second_scans=0.1, suspected=0.05, missing=0.05).cases
    )


def test_figures_of_the_classes_are_those_of_scikit_learn(cohort, predicted):
    at_least, content = predicted
    truth, classified = cohort.classes, of_classes(at_least).argmax(axis=1)
    classes = content["classes"]
    assert classes["accuracy"]["value"] == pytest.approx(
        accuracy_score(truth, classified), abs=1e-6
    )
    kappa = cohen_kappa_score(truth, classified, weights="quadratic")
    assert classes["quadratic_kappa"]["value"] == pytest.approx(kappa, abs=1e-6)
    assert classes["confusion"] == confusion_matrix(truth, classified).tolist()
    recalls, precisions = (
        recall_score(truth, classified, average=None),
        precision_score(truth, classified, average=None),
    )
    for c, name in enumerate(CLASSES):
        rates = classes["by_class"][name]
        assert rates["recall"]["value"] == pytest.approx(recalls[c], abs=1e-6)
        assert rates["precision"]["value"] == pytest.approx(precisions[c], abs=1e-6)
        assert rates["n"] == rates["recall"]["n"] == (truth == c).sum()


def test_figures_of_the_thresholds_are_those_of_scikit_learn(cohort, predicted):
    at_least, content = predicted
    assert list(content["calibration"]) == [
        "mild or graver",
        "moderate or graver",
        "severe or graver",
        "critical",
    ]
    for c, line in enumerate(content["calibration"].values(), start=1):
        expected = brier_score_loss(cohort.classes >= c, at_least[:, c - 1])
        assert line["brier"]["value"] == pytest.approx(expected, abs=1e-6)
    severe, positive = content["severe_or_critical"], cohort.classes >= 3
    area = roc_auc_score(positive, at_least[:, 2])
    assert severe["auc"]["value"] == pytest.approx(area, abs=1e-6)
    ct_ss, alone = cohort.column("ct_ss"), severe["ct_ss_alone"]
    assert alone["auc"]["value"] == pytest.approx(roc_auc_score(positive, ct_ss), abs=1e-6)
    gain = severe["auc"]["value"] - alone["auc"]["value"]
    assert alone["auc_difference"]["value"] == pytest.approx(gain, abs=2e-6)
    cut = alone["above_19.5"]
    assert cut["sensitivity"]["value"] == pytest.approx((ct_ss[positive] >= 20).mean(), abs=1e-6)
    assert cut["specificity"]["value"] == pytest.approx((ct_ss[~positive] < 20).mean(), abs=1e-6)


def test_the_rule_by_slices_stands_beside(cohort, predicted):
    rule = predicted[1]["slice_rule"]
    assert rule["slices"]["micro_f1"]["n"] == sum(map(len, cohort.slices))
    assert rule["patients_by_worst_slice"]["micro_f1"]["n"] == len(cohort.patients)


def test_a_class_that_is_never_found_has_no_precision_and_says_why(cohort):
    at_least = np.tile([0.9, 0.8, 0.1, 0.05], (len(cohort.cases), 1))
    classes = figures(cohort, CLASSES, at_least, np.full(len(at_least), 0.5))["classes"]
    assert classes["by_class"]["mild"]["precision"]["value"] is None
    assert classes["by_class"]["mild"]["precision"]["reason"]
    assert classes["accuracy"]["value"] == classes["by_class"]["moderate"]["precision"]["value"]


def test_cross_validation_finds_what_was_planted_and_no_more(cohort):
    result = cross_validated(cohort, classes=CLASSES, inputs=INPUTS)
    chances = made("clinical", second_scans=0.1, suspected=0.05, missing=0.05).chances
    planted = np.array([chances[case][2] for case in cohort.cases])
    best = roc_auc_score(cohort.classes >= 3, planted)
    assert abs(result["severe_or_critical"]["auc"]["value"] - best) < 0.05
    for line in result["calibration"].values():
        assert line["slope"]["low"] < 1 < line["slope"]["high"]


@pytest.mark.slow
def test_held_out_patients_decide_nothing_about_themselves(cohort, monkeypatch):
    parts = patient_folds(cohort.classes, cohort.patients)
    seen = {}
    monkeypatch.setattr(
        "lungscore.patients.clinical.figures",
        lambda cohort, classes, at_least, point: seen.update(p=at_least, point=point) or {},
    )
    monkeypatch.setattr("lungscore.patients.clinical.patient_folds", lambda *a, **k: parts)
    cross_validated(cohort, classes=CLASSES, inputs=INPUTS)
    before, point = seen["p"], seen["point"]
    held = parts[0][1]
    turned = cohort.classes.copy()
    turned[held] = 4 - turned[held]
    cross_validated(dataclasses.replace(cohort, classes=turned), classes=CLASSES, inputs=INPUTS)
    assert (seen["p"][held] == before[held]).all()
    assert (seen["point"][held] == point[held]).all()


def test_the_model_says_what_it_learned_from(cohort, model):
    assert model.names == INPUTS
    assert model.covariates == list(COVARIATES)
    assert model.trained_on.patients == model.trained_on.scans == len(cohort.cases)
    assert model.trained_on.labels["moderate"] == ["Regular"]
    assert model.left_out["label-not-used"]["labels"] == cohort.labels_not_used
    for feature in model.features:
        assert feature.low < feature.coefficient < feature.high
        half = 1.96 * feature.standard_error
        assert feature.high - feature.coefficient == pytest.approx(half, rel=1e-3)
    for name in cohort.cases[:3]:
        assert name not in model.to_json()


def test_one_patient_gets_the_probabilities_of_the_model(cohort, model):
    values = dict(zip(cohort.names, cohort.values[0], strict=True))
    probabilities = classes_of(model, values)
    expected = model.model.probabilities(cohort.columns(model.names)[:1])[0]
    assert probabilities == pytest.approx(dict(zip(CLASSES, expected, strict=True)))
    assert classes_of(model, values | {"age": None}) is None


def test_a_model_is_judged_on_others_only(cohort, model):
    assert applied(clinical(120, 9), model)["how"] == "applied"
    with pytest.raises(UsageError, match="trained on these very cases"):
        applied(cohort, model)


def test_joined_classes_are_a_model_of_their_own():
    given = made("clinical", 200, 5)
    results = {case: measured(content, case) for case, content in given.results.items()}
    classes = ("none", "moderate", "severe")
    labels = {
        "Control": "none",
        "Mild": "none",
        "Regular": "moderate",
        "Severe": "severe",
        "Critically ill": "severe",
    }
    cohort = clinical_cohort(given.cases, results, labels=labels, classes=classes)
    model = train_clinical(cohort, labels=labels, classes=classes, name="three")
    assert len(model.thresholds) == 2
    assert model.trained_on.labels["severe"] == ["Critically ill", "Severe"]
    assert model.cross_validated["severe_or_critical"]["n"] == (cohort.classes == 2).sum()


def test_without_milder_classes_there_is_no_question_of_severe():
    assert graver_from(CLASSES) == 3
    assert graver_from(("none", "critical")) == 1
    assert graver_from(("severe", "critical")) is None
    assert graver_from(("none", "mild")) is None
    given = made("clinical", 200, 5)
    results = {case: measured(content, case) for case, content in given.results.items()}
    cohort = clinical_cohort(given.cases, results, classes=("severe", "critical"))
    result = cross_validated(cohort, classes=("severe", "critical"), inputs=CLINICAL_FEATURES)
    assert result["severe_or_critical"] is None
    assert list(result["calibration"]) == ["critical"]


@pytest.mark.parametrize(
    ("classes", "labels", "mistake"),
    [
        (("mild", "none"), LABELS, "Invalid classes: mild, none"),
        (("mild",), LABELS, "Invalid classes: mild\\."),
        (("none", "awful"), LABELS, "Invalid classes: none, awful"),
        (("none", "mild"), {"Control": "none"}, "No label is mapped to mild"),
        (("none", "mild"), LABELS | {"Bad": "awful"}, "A label is mapped to awful"),
    ],
)
def test_classes_and_labels_that_do_not_fit_are_refused(classes, labels, mistake):
    with pytest.raises(UsageError, match=mistake):
        check_classes(classes, labels)


def test_a_feature_is_no_covariate():
    with pytest.raises(UsageError, match="ct_ss is a feature"):
        clinical_cohort([], {}, covariates=["ct_ss"])


def test_few_patients_of_a_class_are_refused():
    with pytest.raises(InputError) as refused:
        clinical(25)
    assert refused.value.code == "too-few-patients"
