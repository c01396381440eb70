"""What the commands about patients, detection and clinical, share."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lungscore.cli.console import say, say_json
from lungscore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lungscore.patients.cases import Case
    from lungscore.patients.cohort import Measured
    from lungscore.patients.stored import StoredModel

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
    int | None,
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
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    labels = {label.strip(): name.strip() for label, _, name in pairs}
    if len(labels) < len(pairs) or not all(sign and label for label, sign, _ in pairs):
        raise UsageError(
            "usage", f"Invalid labels: {text!r}", expected="LABEL=CLASS pairs, separated by commas"
        )
    return labels


def save_model(model: "StoredModel", path: Path) -> None:
    """Write a model."""
    from lungscore.files import atomic_write

    atomic_write(path, model.to_json())


def report(
    command: str,
    figures: "Mapping[str, Any]",
    *,
    table: str,
    out: Path | None,
    as_line: bool,
) -> None:
    """Write the figures as JSON where they are asked for, and say them."""
    from lungscore.files import atomic_write
    from lungscore.version import __version__

    content = {"command": command, "lungscore": __version__, **figures}
    if out is not None:
        atomic_write(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    if as_line:
        say_json(content)
    else:
        say(table)
        if out is not None:
            say(f"Figures: {out}")
