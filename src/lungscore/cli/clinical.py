"""lungscore clinical: which clinical severity class is a patient in?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    labels_of,
    names_of,
    read,
    refuse,
    report,
    stored,
    write_table,
)
from lungscore.errors import UsageError
from lungscore.patients.defaults import CLASSES, CLINICAL_FEATURES, SEED

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    no_args_is_help=True,
    help="Train and apply a model of clinical severity, on your own results.\n\nIt predicts a "
    "class from none to critical, from CT measurements and, if given, age, sex and laboratory "
    "values. No clinical model is shipped; what you train holds for patients like yours. It is "
    "not a prognosis.",
)

Table = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="CSV table of covariates; its first column is named patient."
    ),
]
Covariates = Annotated[
    str, typer.Option(metavar="NAMES", help="Comma-separated columns of --table to use.")
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="LABEL=CLASS,…", help="Class of each label (default: those of iCTCF)."),
]
Classes = Annotated[
    str, typer.Option(metavar="NAMES", help="Comma-separated classes, mildest first.")
]

_FEATURES, _CLASSES = ",".join(CLINICAL_FEATURES), ",".join(CLASSES)


@app.command("train")
def train(
    cases: Cases,
    results: Results,
    out: ModelOut,
    table: Table = None,
    covariates: Covariates = "",
    labels: Labels = None,
    classes: Classes = _CLASSES,
    features: Features = _FEATURES,
    group: Group = "",
    name: Name = None,
    seed: Seed = SEED,
    overwrite: Overwrite = False,
) -> None:
    """Fit a proportional-odds model, cross-validate it by patient, and write it as JSON.

    One scan per patient is used, the one with the most infection. Requires the study extra.
    """
    from lungscore.patients.clinical import clinical_cohort, train_clinical
    from lungscore.patients.text import clinical_table, coefficient_table

    refuse(out, overwrite=overwrite)
    columns = names_of(covariates)
    terms: dict[str, Any] = {
        "labels": _mapping(labels),
        "classes": names_of(classes),
        "names": names_of(features),
        "covariates": columns,
    }
    values = _covariates(table, columns)
    cohort = clinical_cohort(*read(cases, results, group), **terms, table=values)
    model = train_clinical(cohort, **terms, name=name or out.stem, seed=seed)
    coefficients = coefficient_table(model.features, model.thresholds)
    keep(model, cohort, out, table=clinical_table, title="Model", details=coefficients)


@app.command("evaluate")
def evaluate(
    cases: Cases,
    results: Results,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Evaluate this model on patients it was not trained on."),
    ] = None,
    table: Table = None,
    covariates: Covariates = "",
    labels: Labels = None,
    classes: Classes = _CLASSES,
    features: Features = _FEATURES,
    group: Group = "",
    seed: Seed = SEED,
    out: FiguresOut = None,
    overwrite: Overwrite = False,
    as_line: AsJson = False,
) -> None:
    """Cross-validate by patient, or evaluate a model on other patients.

    CT-SS alone is shown for comparison.
    """
    from lungscore.patients.clinical import applied, clinical_cohort, cross_validated
    from lungscore.patients.stored import ClinicalModel
    from lungscore.patients.text import clinical_table

    refuse(out, overwrite=overwrite)
    fitted = None if model is None else stored(model, ClinicalModel)
    names, columns, ordered = names_of(features), names_of(covariates), names_of(classes)
    if fitted is not None:
        columns, ordered = tuple(fitted.covariates), tuple(fitted.classes)
        names = tuple(name for name in fitted.names if name not in columns)
    cohort = clinical_cohort(
        *read(cases, results, group),
        labels=_mapping(labels),
        classes=ordered,
        names=names,
        table=_covariates(table, columns),
        covariates=columns,
    )
    if fitted is None:
        figures = cross_validated(cohort, classes=ordered, inputs=(*names, *columns), seed=seed)
    else:
        figures = applied(cohort, fitted)
    command = "lungscore clinical evaluate"
    report(command, figures, cohort, table=clinical_table, out=out, as_line=as_line)


@app.command("apply")
def apply(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model written by lungscore clinical train.")
    ],
    results: ResultsArgument,
    out: TableOut,
    table: Table = None,
    cases: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Manifest that assigns cases to patients (default: one patient per case).",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a CSV with the probability of each class for every result in a folder."""
    from lungscore.patients.cases import read_cases
    from lungscore.patients.cohort import read_measured
    from lungscore.patients.stored import ClinicalModel
    from lungscore.patients.tables import clinical_csv

    refuse(out, overwrite=overwrite)
    fitted = stored(model, ClinicalModel)
    values = _covariates(table, tuple(fitted.covariates))
    patients = {case.case: case.patient for case in read_cases(cases)} if cases else {}
    text = clinical_csv(read_measured(results), fitted, patients=patients, table=values)
    write_table(text, out)


def _mapping(labels: str | None) -> "Mapping[str, str]":
    """label -> class."""
    from lungscore.patients.clinical import LABELS

    return LABELS if labels is None else labels_of(labels)


def _covariates(table: Path | None, names: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    """patient -> covariate -> value."""
    from lungscore.patients.covariates import read_covariates

    if bool(names) != (table is not None):
        fault = (
            "Covariates are named, but no table is given"
            if names
            else "A table is given, but no covariates are named"
        )
        raise UsageError("usage", fault, expected="--table FILE together with --covariates NAMES")
    return {} if table is None else read_covariates(table, names)
