"""lungscore clinical: which clinical severity class is a patient in?"""

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
    labels_of,
    names_of,
    read,
    refuse,
    report,
    save_model,
)
from lungscore.errors import UsageError
from lungscore.patients.defaults import CLASSES, CLINICAL_FEATURES

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
    seed: Seed = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit a proportional-odds model, cross-validate it by patient, and write it as JSON.

    One scan per patient is used, the one with the most infection. Requires the study extra.
    """
    from lungscore.patients.clinical import LABELS, clinical_cohort, train_clinical
    from lungscore.patients.figures import left_out_content
    from lungscore.patients.folds import SEED
    from lungscore.patients.text import clinical_table, coefficient_table

    refuse(out, overwrite=overwrite)
    mapping = LABELS if labels is None else labels_of(labels)
    chosen, inputs, also = names_of(classes), names_of(features), names_of(covariates)
    given = _covariates(table, also)
    cohort = clinical_cohort(
        *read(cases, results, group),
        labels=mapping,
        classes=chosen,
        names=inputs,
        table=given,
        covariates=also,
    )
    model = train_clinical(
        cohort,
        labels=mapping,
        classes=chosen,
        names=inputs,
        covariates=also,
        name=name or out.stem,
        seed=SEED if seed is None else seed,
    )
    save_model(model, out)
    say(clinical_table({**model.cross_validated, "left_out": left_out_content(cohort)}))
    say(coefficient_table(model.features, model.thresholds))
    say(f"Model: {out}")


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
    seed: Seed = None,
    out: FiguresOut = None,
    overwrite: Overwrite = False,
    as_line: AsJson = False,
) -> None:
    """Cross-validate by patient, or evaluate a model on other patients.

    CT-SS alone is shown for comparison.
    """
    from lungscore.patients.clinical import LABELS, applied, clinical_cohort, cross_validated
    from lungscore.patients.figures import left_out_content
    from lungscore.patients.folds import SEED
    from lungscore.patients.stored import ClinicalModel, read_model
    from lungscore.patients.text import clinical_table

    refuse(out, overwrite=overwrite)
    mapping = LABELS if labels is None else labels_of(labels)
    chosen, inputs, also = names_of(classes), names_of(features), names_of(covariates)
    stored = None
    if model is not None:
        stored, _ = read_model(model, ClinicalModel)
        chosen, also = tuple(stored.classes), tuple(stored.covariates)
        inputs = tuple(name for name in stored.names if name not in also)
    given = _covariates(table, also)
    cohort = clinical_cohort(
        *read(cases, results, group),
        labels=mapping,
        classes=chosen,
        names=inputs,
        table=given,
        covariates=also,
    )
    if stored is not None:
        figures = applied(cohort, stored)
    else:
        seed = SEED if seed is None else seed
        figures = cross_validated(cohort, classes=chosen, inputs=(*inputs, *also), seed=seed)
    figures |= {"left_out": left_out_content(cohort)}
    text = clinical_table(figures)
    report("lungscore clinical evaluate", figures, table=text, out=out, as_line=as_line)


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
    from lungscore.files import atomic_write
    from lungscore.patients.cases import read_cases
    from lungscore.patients.cohort import read_measured
    from lungscore.patients.stored import ClinicalModel, read_model
    from lungscore.patients.tables import clinical_csv

    refuse(out, overwrite=overwrite)
    stored, _ = read_model(model, ClinicalModel)
    given = _covariates(table, tuple(stored.covariates))
    patients = {case.case: case.patient for case in read_cases(cases)} if cases else {}
    atomic_write(out, clinical_csv(read_measured(results), stored, patients=patients, table=given))
    say(f"Table: {out}")


def _covariates(table: Path | None, names: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    """patient -> covariate -> value."""
    from lungscore.patients.covariates import read_covariates

    if bool(names) != (table is not None):
        found = (
            "Covariates are named, but no table is given"
            if names
            else "A table is given, but no covariates are named"
        )
        raise UsageError("usage", found, expected="--table FILE together with --covariates NAMES")
    return {} if table is None else read_covariates(table, names)
