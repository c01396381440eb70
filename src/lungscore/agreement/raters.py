"""Two raters compared: which cases they share, and their agreement in every measure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lungscore.agreement.ratings import Ratings
from lungscore.errors import InputError, Notice
from lungscore.result.numbers import MEASURES, Number
from lungscore.statistics.agreement import (
    MIN_PAIRS,
    BlandAltman,
    Estimate,
    bland_altman,
    confusion,
    exact_agreement,
    icc_agreement,
    icc_consistency,
    spearman,
    undefined,
    weighted_kappa,
)

#: Cases below which a notice says that the figures tell little.
FEW_CASES = 30

#: Cases, or measures, that a message names.
MOST_NAMED = 10

NOT_ORDINAL = "no score of classes"
NOT_METRIC = "classes have no distances in a unit"


@dataclass(frozen=True)
class MeasureAgreement:
    """Agreement in one measure.

    cases, a, b: the pairs that both have a value for, in the order of names; a, b (cases,).
    missing_a, missing_b: shared cases without a value of that rater. Figures that the measure's
    kind does not have are Estimates without a value.
    """

    measure: Number
    cases: tuple[str, ...]
    a: np.ndarray
    b: np.ndarray
    missing_a: int
    missing_b: int
    bland_altman: BlandAltman
    icc_2_1: Estimate
    icc_3_1: Estimate
    kappa_linear: Estimate
    kappa_quadratic: Estimate
    exact: Estimate
    spearman: Estimate

    @property
    def n(self) -> int:
        """Pairs."""
        return len(self.cases)

    @property
    def outliers(self) -> tuple[tuple[str, float], ...]:
        """Case and difference of the pairs beyond the limits of agreement, farthest first."""
        lower, upper = self.bland_altman.lower.value, self.bland_altman.upper.value
        if lower is None or upper is None or not self.bland_altman.sd:
            return ()
        pairs = zip(self.cases, (float(d) for d in self.a - self.b), strict=True)
        beyond = [(case, d) for case, d in pairs if not lower <= d <= upper]
        middle = (lower + upper) / 2
        return tuple(sorted(beyond, key=lambda pair: (-abs(pair[1] - middle), pair[0])))

    @property
    def confusion(self) -> np.ndarray:
        """(classes, classes) counts of an ordinal measure: rows A, columns B."""
        return confusion(self.a, self.b, highest=int(self.measure.highest))


@dataclass(frozen=True)
class Agreement:
    """Agreement of raters A and B; differences are A − B.

    cases: names of those that both rated; only_a, only_b: those that only one did.
    measures: those that both have, in fixed order.
    """

    a: Ratings
    b: Ratings
    name_a: str
    name_b: str
    cases: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    measures: tuple[MeasureAgreement, ...]
    notices: tuple[Notice, ...]


def compare_raters(a: Ratings, b: Ratings) -> Agreement:
    """Match the cases by name and compare every measure that both have.

    Raises InputError ``too-few-cases`` below three shared cases, ``no-common-measure``.
    """
    shared = tuple(sorted(set(a.values) & set(b.values)))
    only_a, only_b = (
        tuple(sorted(set(rater.values) - set(second.values))) for rater, second in ((a, b), (b, a))
    )
    name_a, name_b = (a.name, b.name) if a.name != b.name else (f"{a.name} (A)", f"{b.name} (B)")
    if len(shared) < MIN_PAIRS:
        raise InputError(
            "too-few-cases",
            f"{name_a} and {name_b} share {count_text(len(shared), 'case')}; "
            + "; ".join(only_text(*names) for names in ((name_a, only_a), (name_b, only_b))),
            expected=f"at least {MIN_PAIRS} cases of the same name",
        )
    names = [name for name in MEASURES if name in a.measures and name in b.measures]
    if not names:
        raise InputError(
            "no-common-measure",
            f"{name_a} has {', '.join(a.measures)}; {name_b} has {', '.join(b.measures)}",
            expected="a column that both have",
        )
    measures = tuple(_compare(MEASURES[name], shared, a, b) for name in names)
    notices = _notices(name_a, name_b, a, b, shared, only_a, only_b, measures)
    return Agreement(a, b, name_a, name_b, shared, only_a, only_b, measures, notices)


def _compare(measure: Number, cases: Sequence[str], a: Ratings, b: Ratings) -> MeasureAgreement:
    pairs = [(case, a.values[case][measure.name], b.values[case][measure.name]) for case in cases]
    both = [(case, first, second) for case, first, second in pairs
            if first is not None and second is not None]  # fmt: skip
    first = np.array([value for _, value, _ in both], np.float64)
    second = np.array([value for _, _, value in both], np.float64)
    both_raters = np.stack([first, second], axis=1)
    n, highest = len(both), int(measure.highest)
    no_distance, no_classes = undefined(n, NOT_METRIC), undefined(n, NOT_ORDINAL)
    metric, ordinal = measure.kind != "class", measure.ordinal
    limits = BlandAltman(no_distance, None, no_distance, no_distance, no_distance, None)
    return MeasureAgreement(
        measure,
        tuple(case for case, _, _ in both),
        first,
        second,
        missing_a=sum(value is None for _, value, _ in pairs),
        missing_b=sum(value is None for _, _, value in pairs),
        bland_altman=bland_altman(first, second) if metric else limits,
        icc_2_1=icc_agreement(both_raters) if metric else no_distance,
        icc_3_1=icc_consistency(both_raters) if metric else no_distance,
        kappa_linear=weighted_kappa(first, second, highest=highest, weights="linear")
        if ordinal
        else no_classes,
        kappa_quadratic=weighted_kappa(first, second, highest=highest, weights="quadratic")
        if ordinal
        else no_classes,
        exact=exact_agreement(first, second) if ordinal else no_classes,
        spearman=spearman(first, second),
    )


def _notices(
    name_a: str,
    name_b: str,
    a: Ratings,
    b: Ratings,
    shared: Sequence[str],
    only_a: Sequence[str],
    only_b: Sequence[str],
    measures: Sequence[MeasureAgreement],
) -> tuple[Notice, ...]:
    notices = few_cases(len(shared))
    for name, only in ((name_a, only_a), (name_b, only_b)):
        if only:
            notices.append(Notice("cases-unmatched", f"Left out: {only_text(name, only)}."))
    missing = [f"{m.measure.name} {len(shared) - m.n}" for m in measures if m.n < len(shared)]
    if missing:
        message = f"Cases without a value, left out of that measure: {shortened(missing)}."
        notices.append(Notice("values-missing", message))
    return (*notices, *columns_ignored(((name_a, a), (name_b, b))))


def few_cases(number: int) -> list[Notice]:
    """The notice of ``number`` cases where they are too few."""
    if number >= FEW_CASES:
        return []
    message = f"{number} cases are too few for firm conclusions; see the confidence intervals."
    return [Notice("few-cases", message)]


def columns_ignored(raters: Iterable[tuple[str, Ratings]]) -> Iterator[Notice]:
    """The notice of each rater, by name, whose table has columns that are not measures."""
    for name, ratings in raters:
        if ratings.unknown:
            columns = ", ".join(ratings.unknown)
            message = f"These columns of {name} are not measures and were not compared: {columns}."
            yield Notice("columns-ignored", message)


def only_text(name: str, cases: Sequence[str], relation: str = "only in") -> str:
    """ "3 cases only in reader 1: P4, P5, P6"."""
    whose = f"{relation} {name}"
    if not cases:
        return f"no case {whose}"
    return f"{count_text(len(cases), 'case')} {whose}: {shortened(cases)}"


def shortened(names: Sequence[str]) -> str:
    """The first MOST_NAMED, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def count_text(number: int, noun: str) -> str:
    """ "no case", "1 case" or "3 cases"."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
