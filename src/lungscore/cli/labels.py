"""lungscore labels: the values of the masks, and colour tables for viewers."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json, summarise
from lungscore.cli.options import AsLine


def labels(
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FOLDER", help="Write a colour table per mask (.ctbl) here."
        ),
    ] = None,
    as_line: AsLine = False,
) -> None:
    """Show the label values of every mask, or write them as colour tables for 3D Slicer."""
    from lungscore.files import atomic_write
    from lungscore.labels import MASK_LABELS, colour_table

    if out is not None:
        for mask, values in MASK_LABELS.items():
            atomic_write(out / f"{mask}.ctbl", colour_table(values))
        summarise(f"Colour tables: {out}")
    elif as_line:
        say_json(
            {mask: [label._asdict() for label in values] for mask, values in MASK_LABELS.items()}
        )
    else:
        for mask, values in MASK_LABELS.items():
            say(f"{mask}.nii.gz")
            for label in values:
                say(f"  {label.value:2}  {label.colour}  {label.title}")
