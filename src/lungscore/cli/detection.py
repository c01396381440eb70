"""lungscore detection: does a scan show an infection pattern?"""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.options import AsJson, Overwrite
from lungscore.cli.patients import (
    Cases,
    Features,
    FiguresOut,
    Group,
    ModelOut,
    Name,
    Results,
    ResultsArgument,
    Seed,
    TableOut,
    keep,
    names_of,
    read,
    refuse,
    report,
    stored,
    write_table,
)
from lungscore.errors import UsageError
from lungscore.patients.defaults import DETECTION_FEATURES, SEED

app = typer.Typer(
    no_args_is_help=True,
    help="Train and apply a detector of infection patterns, on your own results.\n\nNo detector is "
    "shipped. Pneumonias of other causes look alike: this is not a diagnosis of any disease.",
)

Infected = Annotated[
    str, typer.Option(metavar="LABELS", help="Comma-separated labels of infected cases.")
]
Clean = Annotated[
    str, typer.Option(metavar="LABELS", help="Comma-separated labels of cases without infection.")
]

_FEATURES = ",".join(DETECTION_FEATURES)


@app.command("train")
def train(
    cases: Cases,
    results: Results,
    out: ModelOut,
    infected: Infected,
    clean: Clean,
    features: Features = _FEATURES,
    group: Group = "",
    name: Name = None,
    seed: Seed = SEED,
    overwrite: Overwrite = False,
) -> None:
    """Train a detector, cross-validate it by patient, and write it as JSON.

    Cases with other labels are left out and counted. Requires the study extra.
    """
    from lungscore.patients.detection import detection_cohort, train_detector
    from lungscore.patients.text import detection_table

    refuse(out, overwrite=overwrite)
    labels, names = _labels(infected, clean), names_of(features)
    cohort = detection_cohort(*read(cases, results, group), labels=labels, names=names)
    detector = train_detector(cohort, labels=labels, names=names, name=name or out.stem, seed=seed)
    keep(detector, cohort, out, table=detection_table, title="Detector")


@app.command("evaluate")
def evaluate(
    cases: Cases,
    results: Results,
    infected: Infected,
    clean: Clean,
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Evaluate this detector on patients it was not trained on."
        ),
    ] = None,
    features: Features = _FEATURES,
    group: Group = "",
    seed: Seed = SEED,
    out: FiguresOut = None,
    overwrite: Overwrite = False,
    as_line: AsJson = False,
) -> None:
    """Cross-validate by patient, or evaluate a detector on other patients."""
    from lungscore.patients.detection import applied, cross_validated, detection_cohort
    from lungscore.patients.stored import Detector
    from lungscore.patients.text import detection_table

    refuse(out, overwrite=overwrite)
    model = None if detector is None else stored(detector, Detector)
    labels = _labels(infected, clean)
    names = names_of(features) if model is None else model.names
    cohort = detection_cohort(*read(cases, results, group), labels=labels, names=names)
    if model is None:
        figures = cross_validated(cohort, names=names, seed=seed)
    else:
        figures = applied(cohort, model)
    command = "lungscore detection evaluate"
    report(command, figures, cohort, table=detection_table, out=out, as_line=as_line)


@app.command("apply")
def apply(
    detector: Annotated[
        Path,
        typer.Argument(metavar="DETECTOR", help="Detector written by lungscore detection train."),
    ],
    results: ResultsArgument,
    out: TableOut,
    overwrite: Overwrite = False,
) -> None:
    """Write a CSV with the probability of an infection pattern for every result in a folder."""
    from lungscore.patients.cohort import read_measured
    from lungscore.patients.stored import Detector
    from lungscore.patients.tables import detection_csv

    refuse(out, overwrite=overwrite)
    model = stored(detector, Detector)
    write_table(detection_csv(read_measured(results), model), out)


def _labels(infected: str, clean: str) -> dict[str, str]:
    positive, negative = names_of(infected), names_of(clean)
    both = set(positive) & set(negative)
    if both or not positive or not negative:
        fault = f"{min(both)} is both infected and clean" if both else "A class has no label"
        raise UsageError("usage", fault, expected="labels in --infected and others in --clean")
    return {**dict.fromkeys(positive, "infected"), **dict.fromkeys(negative, "clean")}
