"""What the commands about patients, detection and clinical, share."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from lungscore.cli.console import say, say_json
from lungscore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lungscore.patients.cases import Case
    from lungscore.patients.cohort import Cohort, Measured
    from lungscore.patients.stored import StoredModel

M = TypeVar("M", bound="StoredModel")

Cases = Annotated[
    Path,
    typer.Argument(
        metavar="CASES", help="Manifest (.csv or .parquet) with case, patient, label, …"
    ),
]
Results = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Folder of results written by lungscore analyze.")
]
ResultsArgument = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="Folder of results written by lungscore analyze.")
]
Group = Annotated[
    str,
    typer.Option(
        metavar="NAMES", help="Use only these groups of the manifest: train,validation,test."
    ),
]
Features = Annotated[
    str, typer.Option(metavar="NAMES", help="Comma-separated numbers of the results to use.")
]
Name = Annotated[
    str | None, typer.Option(metavar="NAME", help="Model name (default: the file name).")
]
Seed = Annotated[
    int,
    typer.Option(min=0, metavar="N", help="Random seed of the split of patients into folds."),
]
ModelOut = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Model file (JSON).")]
FiguresOut = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FILE", help="Write the figures to this file (JSON)."),
]
TableOut = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Table (CSV).")]


def names_of(text: str) -> tuple[str, ...]:
    """ "age, sex" as ("age", "sex")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def refuse(path: Path | None, *, overwrite: bool) -> None:
    """Raise UsageError where the output is there already."""
    from lungscore.files import refuse_existing_file

    if path is not None:
        refuse_existing_file(path, overwrite=overwrite)


def read(cases: Path, results: Path, group: str) -> "tuple[list[Case], dict[str, Measured]]":
    """The cases of a manifest, and what a folder of results says of each."""
    from lungscore.patients.cases import read_cases
    from lungscore.patients.cohort import read_measured

    return read_cases(cases, groups=names_of(group)), read_measured(results)


def labels_of(text: str) -> dict[str, str]:
    """ "Mild=mild, Regular=moderate" as a mapping."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    labels = {label.strip(): name.strip() for label, _, name in pairs}
    if len(labels) < len(pairs) or not all(sign and label for label, sign, _ in pairs):
        raise UsageError(
            "usage", f"Invalid labels: {text!r}", expected="LABEL=CLASS pairs, separated by commas"
        )
    return labels


def keep(
    model: "StoredModel",
    cohort: "Cohort",
    path: Path,
    *,
    table: "Callable[[Mapping[str, Any]], str]",
    title: str,
    details: str = "",
) -> None:
    """Write a trained model, and say the figures of its cross-validation.

    table: the figures as text. title: what the model is called. details: said after the figures.
    """
    from lungscore.files import atomic_write
    from lungscore.patients.figures import left_out_content

    atomic_write(path, model.to_json())
    say(table({**model.cross_validated, "left_out": left_out_content(cohort)}))
    if details:
        say(details)
    say(f"{title}: {path}")


def stored(path: Path, kind: "type[M]") -> "M":
    """The model in a file."""
    from lungscore.patients.stored import read_model

    return read_model(path, kind)[0]


def write_table(text: str, path: Path) -> None:
    """Write the table of ``apply``, and say where."""
    from lungscore.files import atomic_write

    atomic_write(path, text)
    say(f"Table: {path}")


def report(
    command: str,
    figures: "Mapping[str, Any]",
    cohort: "Cohort",
    *,
    table: "Callable[[Mapping[str, Any]], str]",
    out: Path | None,
    as_line: bool,
) -> None:
    """Write the figures as JSON where they are asked for, and say them.

    table: the figures as text.
    """
    from lungscore.files import atomic_write
    from lungscore.patients.figures import left_out_content
    from lungscore.version import __version__

    figures = {**figures, "left_out": left_out_content(cohort)}
    content = {"command": command, "lungscore": __version__, **figures}
    if out is not None:
        atomic_write(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if as_line:
        say_json(content)
    else:
        say(table(figures))
        if out is not None:
            say(f"Figures: {out}")
