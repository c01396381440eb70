"""The proportional-odds fit, against likelihoods maximised otherwise, and its intervals."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from lungscore.errors import InputError
from lungscore.patients.clinical import clinical_cohort
from lungscore.patients.cohort import measured
from lungscore.patients.defaults import CLINICAL_FEATURES
from lungscore.patients.logistic import sigmoid
from lungscore.patients.ordinal import fit_ordinal, of_classes
from made_up_patients import CLINICAL, Planted, generate
from tests.patients.made_up import COVARIATES, clinical, made

NAMES = ["a", "b"]


def drawn(n=500, thresholds=(-1.0, 0.5, 2.0), seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (n, 2))
    latent = values @ [1.2, -0.6] + noise * rng.logistic(size=n)
    return values, np.digitize(latent, thresholds)


def likelihood(model_values, classes, coefficients, thresholds):
    edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
    latent = model_values @ coefficients
    upper, lower = sigmoid(edges[classes + 1] - latent), sigmoid(edges[classes] - latent)
    return np.log(np.maximum(upper - lower, 1e-300)).sum()


def test_the_likelihood_is_the_highest_that_scipy_finds():
    values, classes = drawn()
    model = fit_ordinal(NAMES, values, classes)
    x = model.standard.apply(values)

    def loss(p):  # thresholds as a first one and positive steps
        return -likelihood(x, classes, p[:2], np.cumsum([p[2], *np.exp(p[3:])]))

    best = minimize(loss, [0, 0, -1, 0, 0], method="BFGS", options={"gtol": 1e-7})
    assert model.coefficients == pytest.approx(best.x[:2], abs=1e-4)
    assert model.thresholds == pytest.approx(np.cumsum([best.x[2], *np.exp(best.x[3:])]), abs=1e-4)
    # The curvature there, by central differences.
    step, p = 1e-3, best.x
    eye = np.eye(5) * step
    curvature = [
        [
            (loss(p + a + b) - loss(p + a - b) - loss(p - a + b) + loss(p - a - b)) / (4 * step**2)
            for b in eye
        ]
        for a in eye
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)))
    assert model.errors == pytest.approx(errors[:2], rel=1e-3)


def test_two_classes_are_a_logistic_regression():
    values, classes = drawn(thresholds=(0.5,))
    model = fit_ordinal(NAMES, values, classes)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(model.standard.apply(values), classes)
    assert model.coefficients == pytest.approx(oracle.coef_[0], abs=1e-4)
    assert -model.thresholds == pytest.approx(oracle.intercept_, abs=1e-4)
    expected = oracle.predict_proba(model.standard.apply(values))
    assert model.probabilities(values) == pytest.approx(expected, abs=1e-4)


def test_probabilities_are_those_of_the_likelihood_and_sum_to_one():
    values, classes = drawn()
    model = fit_ordinal(NAMES, values, classes)
    chances = model.probabilities(values)
    assert chances.sum(axis=1) == pytest.approx(1)
    assert (chances > 0).all()
    own = np.log(chances[np.arange(len(classes)), classes]).sum()
    x = model.standard.apply(values)
    assert own == pytest.approx(likelihood(x, classes, model.coefficients, model.thresholds))
    assert of_classes(model.at_least(values)) == pytest.approx(chances)


@pytest.mark.parametrize(
    ("values", "classes", "mistake"),
    [
        (np.arange(60.0)[:, None], np.arange(60) // 20, "not determined"),
        pytest.param(
            np.repeat([[0.0], [1], [2]], 20, axis=0),
            np.repeat([0, 1, 2], 20),
            "not determined",
            marks=pytest.mark.slow,
        ),
        (np.ones((60, 1)), np.arange(60) % 3, "a is the same in all cases"),
    ],
)
def test_what_has_no_single_maximum_is_refused(values, classes, mistake):
    with pytest.raises(InputError, match=mistake) as refused:
        fit_ordinal(["a"], values, classes)
    assert refused.value.code == "model-not-identified"


def test_a_number_that_follows_from_others_is_refused():
    values, classes = drawn()
    with pytest.raises(InputError, match="follows from the others") as refused:
        fit_ordinal(["a", "b", "c"], np.column_stack([values, values.sum(axis=1)]), classes)
    assert refused.value.code == "model-not-identified"


def test_numbers_that_nearly_say_the_same_do_not_break_the_fit():
    values, classes = drawn()
    near = values[:, 0] + 0.05 * np.random.default_rng(1).normal(size=len(values))
    single = fit_ordinal(NAMES, values, classes)
    both = fit_ordinal(["a", "b", "c"], np.column_stack([values, near]), classes)
    assert both.errors[0] > 5 * single.errors[0]
    assert (
        np.abs(
            both.probabilities(np.column_stack([values, near])) - single.probabilities(values)
        ).max()
        < 0.1
    )


# What was planted


@pytest.mark.slow
def test_intervals_hold_the_planted_coefficients_as_often_as_they_say():
    """40 cohorts: each 95 % interval holds the planted value in about 95 % of them."""
    planted = Planted(
        {"infection_percent": 0.9, "consolidation_percent": 0.5, "ct_ss": 0.04, "age": 0.03},
        (3.0, 5.5),
        ("Control", "Regular", "Severe"),
    )
    names, cohorts = tuple(planted.coefficients), 40
    truth, held = np.array(list(planted.coefficients.values())), np.zeros(len(names), int)
    for seed in range(cohorts):
        made_up = generate(planted, 250, seed=1000 + seed)
        cohort = clinical_cohort(
            made_up.cases,
            {case: measured(content, case) for case, content in made_up.results.items()},
            classes=("none", "moderate", "severe"),
            table=made_up.covariates,
            covariates=("age",),
        )
        model = fit_ordinal(names, cohort.columns(names), cohort.classes)
        off = np.abs(model.coefficients / model.standard.scale - truth)
        held += off <= 1.959964 * model.errors / model.standard.scale
    # Each alone, and all together: what chance gives at 95 % but once in two thousand times.
    everything = cohorts * len(names)
    assert (held >= binom.ppf(0.0005, cohorts, 0.95)).all()
    assert binom.ppf(0.0005, everything, 0.95) <= held.sum() < everything


@pytest.mark.slow
def test_the_fit_to_many_made_up_patients_finds_every_coefficient():
    cohort = clinical(1500, 7, second_scans=0.1, suspected=0.05, missing=0.05)
    names = (*CLINICAL_FEATURES, *COVARIATES)
    model = fit_ordinal(names, cohort.columns(names), cohort.classes)
    low = (model.coefficients - 3 * model.errors) / model.standard.scale
    high = (model.coefficients + 3 * model.errors) / model.standard.scale
    for index, name in enumerate(names):
        assert 0 < CLINICAL.coefficients[name]
        assert low[index] < CLINICAL.coefficients[name] < high[index]
    truth = made("clinical", 1500, 7, second_scans=0.1, suspected=0.05, missing=0.05).chances
    planted = np.array([truth[case] for case in cohort.cases])
    assert np.abs(model.at_least(cohort.columns(names)) - planted).mean() < 0.03
