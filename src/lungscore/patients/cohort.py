"""Cases, results and covariates brought together; what is left out is counted and named."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.patients.cases import Case
from lungscore.patients.features import features, slice_percents, unsuitable
from lungscore.result.stored import damaged, place_of, read_results

#: Why a case is left out, in the order in which it is asked: code -> what it means.
REASONS: dict[str, str] = {
    "no-label": "the table gives the case no label",
    "label-not-used": "its label is none of those that are used",
    "two-labels": "the cases of its patient are of different classes",
    "no-result": "there is no result of the case",
    "unsuitable-scan": "the scan cannot say whether its patient is infected",
    "not-computed": "a number that is needed was not computed",
    "no-covariate": "its patient has no value of a covariate",
    "milder-scan": "another scan of its patient has more infection",
    "not-in-table": "a result of a case that is not in the table",
}


@dataclass(frozen=True)
class Measured:
    """What a result and the table of covariates say of one case.

    values: features and covariates by name, None where missing. slices: infected percent of each
    slice with lung.
    """

    values: Mapping[str, float | None]
    slices: tuple[float, ...]
    unsuitable: bool = False


@dataclass(frozen=True)
class Cohort:
    """The cases that are used.

    cases, patients: (n,) names. classes: (n,) int, 0 upwards. values: (n, names) finite. slices:
    infected percents of each case's slices. left_out: reason -> the cases that it leaves out.
    labels_not_used: how many cases have each label that was not used.
    """

    cases: tuple[str, ...]
    patients: tuple[str, ...]
    classes: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray
    slices: tuple[tuple[float, ...], ...]
    left_out: Mapping[str, tuple[str, ...]]
    labels_not_used: Mapping[str, int]

    def column(self, name: str) -> np.ndarray:
        """(n,) values of one name."""
        return self.values[:, self.names.index(name)]

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """(n, names) values."""
        return self.values[:, [self.names.index(name) for name in names]]

    @property
    def patients_of_class(self) -> dict[int, int]:
        """How many patients each class has."""
        pairs = set(zip(self.classes.tolist(), self.patients, strict=True))
        return {c: sum(pair[0] == c for pair in pairs) for c in {pair[0] for pair in pairs}}


def read_measured(folder: Path) -> dict[str, Measured]:
    """case -> what its result says, of every result in a folder. Raises InputError."""
    found = {}
    for case, path, content in read_results(folder):
        found[case] = measured(content, place_of(path))
    return found


def measured(content: Mapping[str, Any], called: str) -> Measured:
    """What one result says. called: its name in messages. Raises InputError ``case-damaged``."""
    try:
        return Measured(features(content), slice_percents(content), unsuitable(content))
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(called, f"it lacks {error}") from None


def gather(
    cases: Iterable[Case],
    results: Mapping[str, Measured],
    *,
    classes: Mapping[str, int],
    needed: Sequence[str],
    covariates: Mapping[str, Mapping[str, float | None]] | None = None,
    one_a_patient: bool = False,
) -> Cohort:
    """The cases that can be used, in their order.

    classes: label -> class. needed: names of the features and covariates that a case must have.
    covariates: patient -> name -> value. one_a_patient: of several scans of a patient only the one
        with most infection is used, the first of equals.
    """
    left_out: dict[str, list[str]] = defaultdict(list)
    not_used: dict[str, int] = defaultdict(int)
    labelled = []
    listed = set()
    for case in cases:
        listed.add(case.case)
        if case.label is None:
            left_out["no-label"].append(case.case)
        elif case.label not in classes:
            left_out["label-not-used"].append(case.case)
            not_used[case.label] += 1
        else:
            labelled.append((case, classes[case.label]))
    of_patient: dict[str, set[int]] = defaultdict(set)
    for case, number in labelled:
        of_patient[case.patient].add(number)

    rows: list[tuple[Case, int, list[float], tuple[float, ...]]] = []
    for case, number in labelled:
        found = results.get(case.case)
        own = dict(found.values) if found else {}
        own |= (covariates or {}).get(case.patient, {})
        values = [own.get(name) for name in needed]
        if len(of_patient[case.patient]) > 1:
            left_out["two-labels"].append(case.case)
        elif found is None:
            left_out["no-result"].append(case.case)
        elif found.unsuitable:
            left_out["unsuitable-scan"].append(case.case)
        elif not found.slices or any(name in found.values and own[name] is None for name in needed):
            left_out["not-computed"].append(case.case)
        elif any(value is None for value in values):
            left_out["no-covariate"].append(case.case)
        else:
            rows.append((case, number, [v for v in values if v is not None], found.slices))
    if one_a_patient:
        rows = _fullest(rows, list(needed).index("infection_percent"), left_out["milder-scan"])
    left_out["not-in-table"] += sorted(set(results) - listed)
    return Cohort(
        tuple(case.case for case, *_ in rows),
        tuple(case.patient for case, *_ in rows),
        np.array([number for _, number, *_ in rows], np.intp),
        tuple(needed),
        np.array([values for *_, values, _ in rows], np.float64).reshape(len(rows), len(needed)),
        tuple(slices for *_, slices in rows),
        {reason: tuple(left_out[reason]) for reason in REASONS if left_out.get(reason)},
        dict(not_used),
    )


def _fullest(rows: list, burden: int, left_out: list[str]) -> list:
    """Of each patient the row with most infection; the names of the others go to ``left_out``."""
    best: dict[str, Any] = {}
    for row in rows:
        patient = row[0].patient
        if patient not in best or row[2][burden] > best[patient][2][burden]:
            best[patient] = row
    left_out += [row[0].case for row in rows if best[row[0].patient] is not row]
    return [row for row in rows if best[row[0].patient] is row]


def refuse_too_few(cohort: Cohort, classes: Sequence[str], *, patients: int, of_class: int) -> None:
    """Raise InputError ``too-few-patients`` below ``patients`` or, of a class, ``of_class``."""
    counts = cohort.patients_of_class
    told = ", ".join(f"{name} {counts.get(number, 0)}" for number, name in enumerate(classes))
    small = any(counts.get(number, 0) < of_class for number in range(len(classes)))
    if sum(counts.values()) < patients or small:
        raise InputError(
            "too-few-patients",
            f"there are too few patients: {told}",
            expected=f"at least {patients}, and {of_class} of each class",
            hint=_told(cohort),
        )


def _told(cohort: Cohort) -> str:
    """What left out most cases."""
    if not cohort.left_out:
        return ""
    reason, cases = max(cohort.left_out.items(), key=lambda item: len(item[1]))
    labels = ", ".join(sorted(cohort.labels_not_used)[:10]) if reason == "label-not-used" else ""
    return f"{len(cases)} cases were left out: {REASONS[reason]}" + (labels and f" ({labels})")
