"""The proportional-odds model: from features and covariates to ordered classes.

McCullagh P, "Regression models for ordinal data", J R Stat Soc B 1980;42:109–142.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.patients.logistic import sigmoid
from lungscore.patients.standard import Standard, learn_standard

#: Standard error of a coefficient, in log odds for a standard deviation of its number, beyond which
#: the cases do not determine it: they part the classes completely, or two numbers say the same.
LARGEST_ERROR = 10.0

_MOST_STEPS = 500


@dataclass(frozen=True)
class Ordinal:
    """logit P(class ≥ k) = standardised values · coefficients − thresholds[k − 1], k = 1…K − 1.

    coefficients, errors: (p,), and their standard errors (from the curvature of the likelihood).
    thresholds: (K − 1,) ascending.
    """

    standard: Standard
    coefficients: np.ndarray
    errors: np.ndarray
    thresholds: np.ndarray

    def at_least(self, values: np.ndarray) -> np.ndarray:
        """(n, K − 1) probabilities of class 1 or graver, 2 or graver, … of (n, p) raw values.

        Needs numpy only.
        """
        latent = self.standard.apply(values) @ self.coefficients
        return sigmoid(latent[:, None] - self.thresholds)

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """(n, K) probabilities of the classes. Needs numpy only."""
        return of_classes(self.at_least(values))


def of_classes(at_least: np.ndarray) -> np.ndarray:
    """(n, K) probabilities of classes from (n, K − 1) probabilities of each or a graver one."""
    n = len(at_least)
    return -np.diff(np.hstack([np.ones((n, 1)), at_least, np.zeros((n, 1))]), axis=1)


def fit_ordinal(names: Sequence[str], values: np.ndarray, classes: np.ndarray) -> Ordinal:
    """Maximum likelihood for (n, p) raw values and (n,) classes 0…K − 1, all of which occur.

    Raises InputError ``model-not-identified`` where the likelihood has no single, finite maximum.
    """
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    standard = learn_standard(names, values)
    design = standard.apply(values)
    if constant := [n for n, spread in zip(names, design.std(axis=0), strict=True) if not spread]:
        raise _not_identified(f"{constant[0]} is the same in all cases")
    if np.linalg.matrix_rank(design, tol=1e-6 * np.sqrt(len(design))) < len(names):
        raise _not_identified("one of the numbers follows from the others")
    model = OrderedModel(np.asarray(classes, int), design, distr="logit")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say is found out below
            start = model.fit(method="bfgs", disp=0, maxiter=_MOST_STEPS, skip_hessian=True)
            fitted = model.fit(start.params, method="newton", disp=0, maxiter=_MOST_STEPS)
            errors = np.asarray(fitted.bse, np.float64)
    except np.linalg.LinAlgError:
        raise _not_identified("its likelihood has no single maximum") from None
    return _checked(names, standard, model, fitted, errors)


def _checked(
    names: Sequence[str], standard: Standard, model: Any, fitted: Any, errors: np.ndarray
) -> Ordinal:
    p = len(names)
    params = np.asarray(fitted.params, np.float64)
    if not fitted.mle_retvals["converged"] or not np.isfinite([*params, *errors]).all():
        raise _not_identified("the fit did not converge")
    if errors.max() > LARGEST_ERROR:
        worst = names[int(errors[:p].argmax())] if errors[:p].max() > LARGEST_ERROR else "a class"
        raise _not_identified(f"the cases leave {worst} open: its standard error is too large")
    return Ordinal(
        standard, params[:p], errors[:p], np.asarray(model.transform_threshold_params(params)[1:-1])
    )


def _not_identified(found: str) -> InputError:
    return InputError(
        "model-not-identified",
        f"The model is not determined: {found}",
        expected="classes that overlap, and numbers of which none follows from the others",
        hint="Use fewer features or covariates, join rare classes, or give more cases",
    )
