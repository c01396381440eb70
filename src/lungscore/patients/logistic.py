"""Logistic regression with an L2 penalty: from features to a probability of infection."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lungscore.patients.standard import Standard, learn_standard

#: C of the penalty, the variance of a normal prior on each coefficient of a standardised number.
#: The default of scikit-learn: weak beside the data, and enough for numbers that say the same.
STRENGTH = 1.0


@dataclass(frozen=True)
class Logistic:
    """logit P = intercept + standardised values · coefficients."""

    standard: Standard
    coefficients: np.ndarray
    intercept: float

    def probability(self, values: np.ndarray) -> np.ndarray:
        """(n,) probabilities of (n, p) raw values. Needs numpy only."""
        return sigmoid(self.intercept + self.standard.apply(values) @ self.coefficients)


def fit_logistic(names: Sequence[str], values: np.ndarray, positive: np.ndarray) -> Logistic:
    """The fit to (n, p) raw values and (n,) bool, both classes present."""
    from sklearn.linear_model import LogisticRegression

    standard = learn_standard(names, values)
    model = LogisticRegression(C=STRENGTH, tol=1e-8, max_iter=1000)
    model.fit(standard.apply(values), np.asarray(positive, bool))
    return Logistic(standard, model.coef_[0].astype(np.float64), float(model.intercept_[0]))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(−x)), without overflow."""
    return 0.5 * (1 + np.tanh(np.asarray(x, np.float64) / 2))
