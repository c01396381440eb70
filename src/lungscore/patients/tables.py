"""Models applied to a folder of results: one line per scan, as CSV."""

from collections.abc import Iterable, Mapping, Sequence

from lungscore.files import csv_text
from lungscore.patients.clinical import classes_of
from lungscore.patients.clinical_figures import graver_from
from lungscore.patients.cohort import Measured
from lungscore.patients.detection import probability_of
from lungscore.patients.stored import ClinicalModel, Detector


def detection_csv(results: Mapping[str, Measured], detector: Detector) -> str:
    """case, infection_percent, probability of an infection pattern, whether it reaches the
    operating point, and why there is none. Needs numpy only."""
    rows = []
    for case, measured in results.items():
        probability, reason = probability_of(detector, measured)
        pattern = None if probability is None else probability >= detector.operating_point
        rows.append([case, measured.values["infection_percent"], probability, pattern, reason])
    columns = ["case", "infection_percent", "probability", "infection_pattern", "reason"]
    return _csv(columns, rows)


def clinical_csv(
    results: Mapping[str, Measured],
    model: ClinicalModel,
    *,
    patients: Mapping[str, str],
    table: Mapping[str, Mapping[str, float | None]],
) -> str:
    """case, patient, a probability for each class, the likeliest class, the probability of severe
    or critical, and why there is none. Needs numpy only.

    patients: case -> patient; a case that it does not name is its own patient. table: patient ->
    covariate -> value.
    """
    first = graver_from(model.classes)
    rows: list[list[object]] = []
    for case, measured in results.items():
        patient = patients.get(case, case)
        own = {**measured.values, **table.get(patient, {})}
        chances = None if measured.unsuitable else classes_of(model, own)
        if chances is None:
            reason = _reason(model, measured)
            rows.append([case, patient, *[None] * (len(model.classes) + 2), reason])
            continue
        severe = None if first is None else sum(list(chances.values())[first:])
        likeliest = max(chances, key=lambda name: chances[name])
        rows.append([case, patient, *chances.values(), likeliest, severe, ""])
    columns = [*(f"probability_{name}" for name in model.classes), "likeliest_class"]
    return _csv(["case", "patient", *columns, "probability_severe_or_critical", "reason"], rows)


def _reason(model: ClinicalModel, measured: Measured) -> str:
    if measured.unsuitable:
        return "unsuitable-scan"
    missing = [n for n in model.names if n in measured.values and measured.values[n] is None]
    return "not-computed" if missing else "no-covariate"


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return csv_text(columns, ([_cell(value) for value in row] for row in rows))


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else value
