"""lungscore agree: how well raters agree."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say_json, summarise
from lungscore.cli.options import AsLine, Out, Overwrite
from lungscore.errors import UsageError

_GIVEN = "Two raters or more, each a folder of results or a CSV table with a column named case."


def agree(
    raters: Annotated[list[Path], typer.Argument(metavar="A B [C...]", help=_GIVEN)],
    out: Out,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="A rater's name; give it once for each, in the order of the raters "
            "(default: the file names).",
        ),
    ] = None,
    name_a: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the first rater alone.")
    ] = None,
    name_b: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the second rater alone.")
    ] = None,
    overwrite: Overwrite = False,
    as_line: AsLine = False,
) -> None:
    """Measure how well raters agree on the same cases: readers, or lungscore and a reference."""
    from lungscore.agreement import (
        refuse_existing_agreement,
        text_table,
        write_agreement,
    )
    from lungscore.agreement.content import to_content
    from lungscore.agreement.raters import Agreement, compare_raters
    from lungscore.agreement.ratings import read_ratings
    from lungscore.agreement.several import MOST_RATERS, AgreementOfSeveral, compare_several
    from lungscore.agreement.several_text import text_table_of_several

    if not 2 <= len(raters) <= MOST_RATERS:
        raise UsageError(
            "usage", f"Raters given: {len(raters)}", expected=f"two to {MOST_RATERS} raters"
        )
    names = _names(len(raters), name or [], name_a, name_b)
    refuse_existing_agreement(out, overwrite=overwrite)
    ratings = [read_ratings(path, name=given) for path, given in zip(raters, names, strict=True)]
    agreement: Agreement | AgreementOfSeveral
    if len(ratings) == 2:
        agreement = compare_raters(*ratings)
        text = text_table(agreement)
    else:
        agreement = compare_several(ratings)
        text = text_table_of_several(agreement)
    content = to_content(agreement)
    folder = write_agreement(agreement, content, out, overwrite=overwrite)
    if as_line:
        say_json(content)
        return
    summarise(text)
    summarise(f"Report: {folder / 'report.html'}")


def _names(
    count: int, names: list[str], name_a: str | None, name_b: str | None
) -> list[str | None]:
    """A name for each of ``count`` raters, None for that of its file."""
    if names and (name_a or name_b):
        raise UsageError("usage", "--name and --name-a, --name-b exclude each other")
    if names and len(names) != count:
        raise UsageError(
            "usage",
            f"Raters given: {count}; times --name was given: {len(names)}",
            expected="--name once for each rater, or not at all",
        )
    return [*names] or [name_a, name_b, *[None] * (count - 2)]
