"""The content of agreement.json. The same inputs and version give the same content."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from lungscore.agreement.raters import Agreement, MeasureAgreement
from lungscore.agreement.ratings import Ratings
from lungscore.agreement.several import LETTERS, AgreementOfSeveral, MeasureOfSeveral
from lungscore.evaluation.results import plain
from lungscore.result.numbers import Number
from lungscore.statistics.agreement import BlandAltman
from lungscore.statistics.bootstrap import RESAMPLES, SEED
from lungscore.version import __version__

SCHEMA = "lungscore.agreement/1"


def to_content(agreement: Agreement | AgreementOfSeveral) -> dict[str, Any]:
    """The content of agreement.json.

    Of three raters or more it has every key that it has of two. What only two raters have is null
    there, and stands in ``pairs`` of every measure.
    """
    if isinstance(agreement, AgreementOfSeveral):
        return plain(_of_several(agreement))
    return plain(_of_two(agreement))


def _of_two(agreement: Agreement) -> dict[str, Any]:
    raters = {"a": (agreement.name_a, agreement.a), "b": (agreement.name_b, agreement.b)}
    return {
        **_head(raters, "a - b"),
        "cases": {
            "n": len(agreement.cases),
            "names": agreement.cases,
            "only_a": agreement.only_a,
            "only_b": agreement.only_b,
        },
        "measures": {agreed.measure.name: _measure(agreed) for agreed in agreement.measures},
        "columns_ignored": {"a": agreement.a.unknown, "b": agreement.b.unknown},
        "warnings": [asdict(notice) for notice in agreement.notices],
    }


def _of_several(agreement: AgreementOfSeveral) -> dict[str, Any]:
    letters = LETTERS[: len(agreement.raters)]
    raters = {
        letter: (rater.name, rater) for letter, rater in zip(letters, agreement.raters, strict=True)
    }
    return {
        **_head(raters, "first - second rater of a pair"),
        "cases": {
            "n": len(agreement.cases),
            "names": agreement.cases,
            **{
                f"not_shared_{letter}": cases
                for letter, cases in zip(letters, agreement.not_shared, strict=True)
            },
        },
        "measures": {
            agreed.measure.name: _measure_of_several(agreed, letters)
            for agreed in agreement.measures
        },
        "columns_ignored": {letter: rater.unknown for letter, (_, rater) in raters.items()},
        "warnings": [asdict(notice) for notice in agreement.notices],
    }


def _head(raters: Mapping[str, tuple[str, Ratings]], difference: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "lungscore": __version__,
        "raters": {
            letter: {"name": name, "kind": ratings.kind, "cases": len(ratings.values)}
            for letter, (name, ratings) in raters.items()
        },
        "difference": difference,
        "interval": "95 %",
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
    }


def _measure(agreed: MeasureAgreement) -> dict[str, Any]:
    return {
        **_described(agreed.measure),
        "n": agreed.n,
        "missing": {"a": agreed.missing_a, "b": agreed.missing_b},
        "a": _summary(agreed.a),
        "b": _summary(agreed.b),
        **_figures_of_pair(agreed),
        "confusion": agreed.confusion.tolist() if agreed.measure.kind == "class" else None,
    }


def _measure_of_several(agreed: MeasureOfSeveral, letters: str) -> dict[str, Any]:
    return {
        **_described(agreed.measure),
        "n": agreed.n,
        "missing": dict(zip(letters, agreed.missing, strict=True)),
        **{letter: _summary(agreed.values[:, place]) for place, letter in enumerate(letters)},
        "bland_altman": None,
        "icc_2_1": asdict(agreed.icc_2_1),
        "icc_3_1": asdict(agreed.icc_3_1),
        "kappa_linear": asdict(agreed.kappa_linear),
        "kappa_quadratic": asdict(agreed.kappa_quadratic),
        "exact_agreement": asdict(agreed.exact),
        "krippendorff_alpha": asdict(agreed.alpha),
        "spearman": None,
        "confusion": None,
        "pairs": {
            f"{letters[first]}-{letters[second]}": {"n": pair.n, **_figures_of_pair(pair)}
            for (first, second), pair in agreed.pairs.items()
        },
    }


def _described(measure: Number) -> dict[str, Any]:
    return {
        "title": measure.heading,
        "kind": measure.kind,
        "unit": measure.symbol or None,
        "max": None if measure.unit == "ml" else int(measure.highest),
        "classes": measure.classes or None,
    }


def _figures_of_pair(agreed: MeasureAgreement) -> dict[str, Any]:
    return {
        "bland_altman": _bland_altman(agreed.bland_altman),
        "icc_2_1": asdict(agreed.icc_2_1),
        "icc_3_1": asdict(agreed.icc_3_1),
        "kappa_linear": asdict(agreed.kappa_linear),
        "kappa_quadratic": asdict(agreed.kappa_quadratic),
        "exact_agreement": asdict(agreed.exact),
        "spearman": asdict(agreed.spearman),
    }


def _bland_altman(differences: BlandAltman) -> dict[str, Any]:
    return {
        "bias": asdict(differences.bias),
        "sd": differences.sd,
        "lower_limit": asdict(differences.lower),
        "upper_limit": asdict(differences.upper),
        "slope": asdict(differences.slope),
        "intercept": differences.intercept,
    }


def _summary(values: np.ndarray) -> dict[str, float | None]:
    """Mean, sample standard deviation, median, least and largest of one rater's values."""
    if not len(values):
        return dict.fromkeys(("mean", "sd", "median", "min", "max"))
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "median": float(np.median(values)),
        "min": float(values.min()),
        "max": float(values.max()),
    }
