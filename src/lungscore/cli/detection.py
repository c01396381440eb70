"""lungscore detection: does a scan show an infection pattern?"""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say
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
    names_of,
    read,
    refuse,
    report,
    save_model,
)
from lungscore.errors import UsageError
from lungscore.patients.defaults import DETECTION_FEATURES

app = typer.Typer(
    no_args_is_help=True,
    help="Does a scan show an infection pattern? Learned from the numbers of your own results; "
    "no such model is shipped. Other pneumonias look alike: it is no diagnosis of any disease.",
)

Infected = Annotated[
    str, typer.Option(metavar="LABELS", help="Labels of infected cases, parted by commas.")
]
Clean = Annotated[str, typer.Option(metavar="LABELS", help="Labels of cases without infection.")]

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
    seed: Seed = None,
    overwrite: Overwrite = False,
) -> None:
    """Learn a detector, cross-validate it by patient, and write it as JSON. Needs lungscore[study].

    Cases with other labels are left out and counted.
    """
    from lungscore.patients.detection import detection_cohort, train_detector
    from lungscore.patients.figures import left_out_content
    from lungscore.patients.folds import SEED
    from lungscore.patients.text import detection_table

    refuse(out, overwrite=overwrite)
    labels, names = _labels(infected, clean), names_of(features)
    cohort = detection_cohort(*read(cases, results, group), labels=labels, names=names)
    seed = SEED if seed is None else seed
    detector = train_detector(cohort, labels=labels, names=names, name=name or out.stem, seed=seed)
    save_model(detector, out)
    say(detection_table({**detector.cross_validated, "left_out": left_out_content(cohort)}))
    say(f"Detector: {out}")


@app.command("evaluate")
def evaluate(
    cases: Cases,
    results: Results,
    infected: Infected,
    clean: Clean,
    detector: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge this detector, on patients it has not seen."),
    ] = None,
    features: Features = _FEATURES,
    group: Group = "",
    seed: Seed = None,
    out: FiguresOut = None,
    overwrite: Overwrite = False,
    as_line: AsJson = False,
) -> None:
    """Cross-validate by patient, or judge a detector on other patients."""
    from lungscore.patients.detection import applied, cross_validated, detection_cohort
    from lungscore.patients.figures import left_out_content
    from lungscore.patients.folds import SEED
    from lungscore.patients.stored import Detector, read_model
    from lungscore.patients.text import detection_table

    refuse(out, overwrite=overwrite)
    labels, names = _labels(infected, clean), names_of(features)
    given = None
    if detector is not None:
        given, _ = read_model(detector, Detector)
        names = given.names
    cohort = detection_cohort(*read(cases, results, group), labels=labels, names=names)
    if given is not None:
        figures = applied(cohort, given)
    else:
        figures = cross_validated(cohort, names=names, seed=SEED if seed is None else seed)
    figures |= {"left_out": left_out_content(cohort)}
    table = detection_table(figures)
    report("lungscore detection evaluate", figures, table=table, out=out, as_line=as_line)


@app.command("apply")
def apply(
    detector: Annotated[
        Path, typer.Argument(metavar="DETECTOR", help="What lungscore detection train wrote.")
    ],
    results: ResultsArgument,
    out: TableOut,
    overwrite: Overwrite = False,
) -> None:
    """Write the probability of an infection pattern of every result of a folder, as CSV."""
    from lungscore.files import atomic_write
    from lungscore.patients.cohort import read_measured
    from lungscore.patients.stored import Detector, read_model
    from lungscore.patients.tables import detection_csv

    refuse(out, overwrite=overwrite)
    model, _ = read_model(detector, Detector)
    atomic_write(out, detection_csv(read_measured(results), model))
    say(f"Table: {out}")


def _labels(infected: str, clean: str) -> dict[str, str]:
    positive, negative = names_of(infected), names_of(clean)
    both = set(positive) & set(negative)
    if both or not positive or not negative:
        found = f"{min(both)} is both infected and clean" if both else "a class has no label"
        raise UsageError("usage", found, expected="labels in --infected and others in --clean")
    return {**dict.fromkeys(positive, "infected"), **dict.fromkeys(negative, "clean")}
