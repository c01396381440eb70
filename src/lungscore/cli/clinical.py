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
    help="Clinical severity, none to critical, from the numbers of your own results and, if given, "
    "age, sex and laboratory values. No clinical model is shipped with lungscore: what you train "
    "holds for patients like yours. It is no prognosis.",
)

Table = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="CSV of covariates; its first column is called patient."),
]
Covariates = Annotated[
    str, typer.Option(metavar="NAMES", help="Columns of --table to use, parted by commas.")
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="LABEL=CLASS,…", help="Which class each label is; iCTCF's by default."),
]
Classes = Annotated[str, typer.Option(metavar="NAMES", help="The classes, mildest first.")]

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

    Needs lungscore[study]. One scan a patient is used, the one with most infection.
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
        typer.Option(metavar="FILE", help="Judge this model, on patients it has not seen."),
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
    """Cross-validate by patient, or judge a model on other patients; beside CT-SS alone."""
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
        Path, typer.Argument(metavar="MODEL", help="What lungscore clinical train wrote.")
    ],
    results: ResultsArgument,
    out: TableOut,
    table: Table = None,
    cases: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST", help="Whose scan each case is; else each is its own."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the probability of each class for every result of a folder, as CSV."""
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
        found = "covariates are named, but no table" if names else "a table, but no covariates"
        raise UsageError("usage", found, expected="--table FILE together with --covariates NAMES")
    return {} if table is None else read_covariates(table, names)
