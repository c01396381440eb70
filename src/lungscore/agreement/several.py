"""Three raters or more: their agreement as a whole in every measure, and that of every pair."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from lungscore.agreement.raters import (
    NOT_METRIC,
    NOT_ORDINAL,
    Agreement,
    MeasureAgreement,
    columns_ignored,
    compare_raters,
    count_text,
    few_cases,
    only_text,
    shortened,
)
from lungscore.agreement.ratings import Ratings
from lungscore.errors import InputError, Notice
from lungscore.result.numbers import MEASURES, Number
from lungscore.statistics.agreement import MIN_PAIRS, icc_agreement, icc_consistency
from lungscore.statistics.estimate import Estimate, undefined
from lungscore.statistics.several_raters import all_agree, krippendorff_alpha, mean_kappa

#: What raters are called in tables: the keys of agreement.json, too.
LETTERS = "abcdefghij"
MOST_RATERS = len(LETTERS)

#: Two raters, by their places.
Pair = tuple[int, int]


@dataclass(frozen=True)
class MeasureOfSeveral:
    """Agreement of all raters in one measure.

    cases: those that all have a value for, in the order of names; values: (cases, raters).
    missing: shared cases without a value of each rater. kappa_linear, kappa_quadratic: means over
    pairs. alpha: of every case that two raters or more have a value for. pairs: the agreement of
    any two, over the cases that these two have. Figures that the measure's kind does not have are
    Estimates without a value.
    """

    measure: Number
    cases: tuple[str, ...]
    values: np.ndarray
    missing: tuple[int, ...]
    icc_2_1: Estimate
    icc_3_1: Estimate
    kappa_linear: Estimate
    kappa_quadratic: Estimate
    alpha: Estimate
    exact: Estimate
    pairs: Mapping[Pair, MeasureAgreement]

    @property
    def n(self) -> int:
        """Cases with a value of every rater."""
        return len(self.cases)


@dataclass(frozen=True)
class AgreementOfSeveral:
    """Agreement of three raters or more.

    names: of the raters, no two alike. cases: names of those that all rated; not_shared: for each
    rater, those of its cases that another did not rate. measures: those that all have, in fixed
    order. pairs: the agreement of any two raters in these measures.
    """

    raters: tuple[Ratings, ...]
    cases: tuple[str, ...]
    not_shared: tuple[tuple[str, ...], ...]
    measures: tuple[MeasureOfSeveral, ...]
    pairs: Mapping[Pair, Agreement]
    notices: tuple[Notice, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The raters' names."""
        return tuple(rater.name for rater in self.raters)


def compare_several(raters: Sequence[Ratings]) -> AgreementOfSeveral:
    """Match the cases of three raters or more by name, and compare every measure that all have.

    Raises InputError ``too-few-cases`` below three cases that all rated, ``no-common-measure``.
    """
    raters = _named_apart(raters)
    shared = tuple(sorted(set.intersection(*(set(rater.values) for rater in raters))))
    not_shared = tuple(tuple(sorted(set(rater.values) - set(shared))) for rater in raters)
    if len(shared) < MIN_PAIRS:
        raise InputError(
            "too-few-cases",
            f"The {len(raters)} raters share {count_text(len(shared), 'case')}; "
            + "; ".join(
                f"{rater.name} has {count_text(len(rater.values), 'case')}" for rater in raters
            ),
            expected=f"at least {MIN_PAIRS} cases of the same name in all",
        )
    names = [name for name in MEASURES if all(name in rater.measures for rater in raters)]
    if not names:
        raise InputError(
            "no-common-measure",
            "; ".join(f"{rater.name} has {', '.join(rater.measures)}" for rater in raters),
            expected="a column that all have",
        )
    raters = tuple(replace(rater, measures=tuple(names)) for rater in raters)
    pairs = {
        (first, second): compare_raters(raters[first], raters[second])
        for first, second in combinations(range(len(raters)), 2)
    }
    measures = tuple(
        _compare(
            MEASURES[name], shared, raters, {pair: pairs[pair].measures[place] for pair in pairs}
        )
        for place, name in enumerate(names)
    )
    notices = _notices(raters, shared, not_shared, measures)
    return AgreementOfSeveral(raters, shared, not_shared, measures, pairs, notices)


def _named_apart(raters: Sequence[Ratings]) -> tuple[Ratings, ...]:
    """The raters; those that share a name get their letters added to it."""
    times = Counter(rater.name for rater in raters)
    return tuple(
        replace(rater, name=f"{rater.name} ({letter.upper()})") if times[rater.name] > 1 else rater
        for rater, letter in zip(raters, LETTERS, strict=False)
    )


def _compare(
    measure: Number,
    shared: Sequence[str],
    raters: Sequence[Ratings],
    pairs: Mapping[Pair, MeasureAgreement],
) -> MeasureOfSeveral:
    def values_of(cases: Sequence[str]) -> np.ndarray:
        """(cases, raters), NaN where a value is missing."""
        rows = [[_number(rater, case, measure) for rater in raters] for case in cases]
        return np.array(rows, np.float64).reshape(len(cases), len(raters))

    values = values_of(shared)
    given = ~np.isnan(values)
    complete = given.all(axis=1)
    rated, n = values[complete], int(complete.sum())
    metric, ordinal, highest = measure.kind != "class", measure.ordinal, int(measure.highest)
    no_distance, no_classes = undefined(n, NOT_METRIC), undefined(n, NOT_ORDINAL)
    every_case = sorted({case for rater in raters for case in rater.values})
    return MeasureOfSeveral(
        measure,
        tuple(case for case, whole in zip(shared, complete, strict=True) if whole),
        rated,
        tuple(int(count) for count in (~given).sum(axis=0)),
        icc_2_1=icc_agreement(rated) if metric else no_distance,
        icc_3_1=icc_consistency(rated) if metric else no_distance,
        kappa_linear=mean_kappa(rated, highest=highest, weights="linear")
        if ordinal
        else no_classes,
        kappa_quadratic=mean_kappa(rated, highest=highest, weights="quadratic")
        if ordinal
        else no_classes,
        alpha=krippendorff_alpha(values_of(every_case)) if ordinal else no_classes,
        exact=all_agree(rated) if ordinal else no_classes,
        pairs=pairs,
    )


def _number(rater: Ratings, case: str, measure: Number) -> float:
    value = rater.values.get(case, {}).get(measure.name)
    return float("nan") if value is None else value


def _notices(
    raters: Sequence[Ratings],
    shared: Sequence[str],
    not_shared: Sequence[Sequence[str]],
    measures: Sequence[MeasureOfSeveral],
) -> tuple[Notice, ...]:
    notices = few_cases(len(shared))
    for rater, cases in zip(raters, not_shared, strict=True):
        if cases:
            message = f"Not rated by all: {only_text(rater.name, cases, 'of')}."
            notices.append(Notice("cases-unmatched", message))
    missing = [f"{m.measure.name} {len(shared) - m.n}" for m in measures if m.n < len(shared)]
    if missing:
        counts = shortened(missing)
        message = f"Cases without a value of every rater, left out of that measure: {counts}."
        notices.append(Notice("values-missing", message))
    return (*notices, *columns_ignored((rater.name, rater) for rater in raters))
