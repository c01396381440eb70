"""How well a network finds what was marked in one's own images, and whether better than another."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from lungscore.evaluation.metrics import confusion, overlap_scores
from lungscore.inference.readings import THRESHOLD
from lungscore.statistics.bootstrap import estimate, mean_of
from lungscore.statistics.estimate import Estimate

#: Figures of a slice that shows infection.
MEASURES = ("dice", "sensitivity")


#: Patients below whom an interval over patients says nothing: not even all signs alike would be
#: significant at 5 % (2 × 0.5⁵ = 0.06).
FEWEST = 6


class LabelledMap(NamedTuple):
    """What two networks find in one slice, and what is marked in it.

    truth: (H, W) bool. probability, reference: (H, W) in 0…1, of the network that is measured and
    of the one that it is compared with.
    """

    name: str
    patient: str
    truth: np.ndarray
    probability: np.ndarray
    reference: np.ndarray


def compare_on_labels(maps: Iterable[LabelledMap]) -> dict[str, Any]:
    """Figures of both networks on the same slices, with 95 % intervals over patients.

    infected: of the slices that show infection, for "measured", "reference" and their "difference"
    the mean dice and sensitivity; negative: of the others, the percent of the picture that is
    called infected. slices: a row each; patients are numbered.
    """
    numbers: dict[str, int] = {}
    rows = []
    for slice_map in maps:
        patient = numbers.setdefault(slice_map.patient, len(numbers) + 1)
        row: dict[str, Any] = {"name": slice_map.name, "patient": patient}
        row["infected"] = bool(slice_map.truth.any())
        for key, values in (
            ("measured", slice_map.probability),
            ("reference", slice_map.reference),
        ):
            row[key] = _scores(values >= THRESHOLD, slice_map.truth)
        rows.append(row)
    infected = [row for row in rows if row["infected"]]
    negative = [row for row in rows if not row["infected"]]
    return {
        "patients": len(numbers),
        "infected": {measure: _three(infected, measure) for measure in MEASURES},
        "negative": {"infected_percent": _three(negative, "infected_percent")},
        "slices": rows,
    }


def _scores(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """dice and sensitivity where there is infection; infected_percent of the picture where not."""
    if not truth.any():
        return {"infected_percent": 100 * float(predicted.mean())}
    scores = overlap_scores(confusion(predicted, truth))
    return {measure: scores[measure] for measure in MEASURES}


def _three(rows: Sequence[dict[str, Any]], measure: str) -> dict[str, Any]:
    measured, reference = (
        np.array([row[key][measure] for row in rows]) for key in ("measured", "reference")
    )
    patients = [row["patient"] for row in rows]
    values = {"measured": measured, "reference": reference, "difference": measured - reference}
    return {
        key: asdict(estimate(mean_of(array), patients, reason="there is no such slice"))
        for key, array in values.items()
    }


def verdict(figures: dict[str, Any]) -> str:
    """In words, by the interval of the difference in Dice: better, worse, or neither shown."""
    difference = Estimate.read(figures["infected"]["dice"]["difference"])
    if difference.value is None:
        return "nothing can be said: no slice shows infection"
    patients = len({row["patient"] for row in figures["slices"] if row["infected"]})
    if patients < FEWEST:
        return f"nothing can be said: fewer than {FEWEST} patients show infection"
    # Without an interval all patients have the one value.
    low, high = (difference.value if x is None else x for x in (difference.low, difference.high))
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no difference is shown"


def card_lines(figures: dict[str, Any], *, where: str, reference: str) -> list[dict[str, str]]:
    """What a model card and the screen say: each figure with n and interval.

    where: the slices, in words. reference: what it is compared with.
    """
    of = f"{_patients(figures, infected=True)}"
    lines = []
    for measure, name in (("dice", "Dice at 0.5"), ("sensitivity", "sensitivity")):
        figure = figures["infected"][measure]
        if not figure["measured"]["n"]:
            continue
        text = Estimate.read(figure["measured"]).text(with_n=True)
        lines.append({"name": f"{where}, {name}", "text": f"{text} slices of {of}"})
    dice = figures["infected"]["dice"]
    if dice["measured"]["n"]:
        text = Estimate.read(dice["difference"]).text(signed=True, with_n=True)
        before = Estimate.read(dice["reference"]).text()
        lines.append(
            {
                "name": f"{where}, Dice compared with {reference}",
                "text": f"{text} slices of {of} ({verdict(figures)}; {reference}: {before})",
            }
        )
    silence = figures["negative"]["infected_percent"]
    if silence["measured"]["n"]:
        of = _patients(figures, infected=False)
        text = Estimate.read(silence["measured"]).text(2, unit=" %", with_n=True)
        before = Estimate.read(silence["reference"]).text(2, unit=" %")
        lines.append(
            {
                "name": f"{where}, called infected where nothing is marked",
                "text": f"{text} slices of {of} ({reference}: {before})",
            }
        )
    return lines


def _patients(figures: dict[str, Any], *, infected: bool) -> str:
    count = len({row["patient"] for row in figures["slices"] if row["infected"] is infected})
    return f"{count} patient{'' if count == 1 else 's'}"
