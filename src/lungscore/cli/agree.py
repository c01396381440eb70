"""lungscore agree: how well two raters agree."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json
from lungscore.cli.options import AsJson, Out, Overwrite

_GIVEN = "Folder of results, or a CSV table with a column called case."


def agree(
    a: Annotated[Path, typer.Argument(metavar="A", help=_GIVEN)],
    b: Annotated[Path, typer.Argument(metavar="B", help=_GIVEN)],
    out: Out,
    name_a: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of A instead of its file's.")
    ] = None,
    name_b: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of B instead of its file's.")
    ] = None,
    overwrite: Overwrite = False,
    as_line: AsJson = False,
) -> None:
    """Compare two raters, or a reference and lungscore, over the cases that both have."""
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
    say(text_table(agreement))
    say(f"Report: {folder / 'report.html'}")
