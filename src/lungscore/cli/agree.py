"""lungscore agree: how well two raters agree."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say_json, summarise
from lungscore.cli.options import AsLine, Out, Overwrite

_GIVEN = "Folder of results, or a CSV table with a column named case."


def agree(
    a: Annotated[Path, typer.Argument(metavar="A", help=_GIVEN)],
    b: Annotated[Path, typer.Argument(metavar="B", help=_GIVEN)],
    out: Out,
    name_a: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of rater A (default: its file name).")
    ] = None,
    name_b: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of rater B (default: its file name).")
    ] = None,
    overwrite: Overwrite = False,
    as_line: AsLine = False,
) -> None:
    """Measure how well two raters agree, or lungscore and a reference, on shared cases."""
    from lungscore.agreement import (
        refuse_existing_agreement,
        text_table,
        write_agreement,
    )
    from lungscore.agreement.raters import compare_raters, to_content
    from lungscore.agreement.ratings import read_ratings

    refuse_existing_agreement(out, overwrite=overwrite)
    agreement = compare_raters(read_ratings(a, name=name_a), read_ratings(b, name=name_b))
    content = to_content(agreement)
    folder = write_agreement(agreement, content, out, overwrite=overwrite)
    if as_line:
        say_json(content)
        return
    summarise(text_table(agreement))
    summarise(f"Report: {folder / 'report.html'}")
