"""lungscore score: severity from masks, without a network."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json
from lungscore.cli.options import AsJson, Case, Overwrite


def score(
    lungs: Annotated[Path, typer.Option(help="Lung mask: 1 right, 2 left.")],
    lesions: Annotated[Path, typer.Option(help="Lesion mask: 1 GGO, 2 consolidation.")],
    lobes: Annotated[
        Path | None, typer.Option(help="Lobe mask, numbered as lungmask or TotalSegmentator.")
    ] = None,
    ct: Annotated[Path | None, typer.Option(help="The CT, for numbers that need HU.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for result and report.")
    ] = None,
    case_id: Case = None,
    overwrite: Overwrite = False,
    as_line: AsJson = False,
) -> None:
    """Score the severity from masks (NIfTI, NRRD or MetaImage) that lie in one geometry."""
    from lungscore.analysis import score as score_masks
    from lungscore.report.outputs import write_outputs
    from lungscore.report.text import text_table
    from lungscore.result import to_result

    analysis = score_masks(lungs, lesions, lobes=lobes, ct=ct, name=case_id)
    folder = None if out is None else write_outputs(analysis, out, overwrite=overwrite)
    if as_line:
        say_json(json.loads(to_result(analysis).to_json()))
        return
    say(text_table(analysis))
    if folder:
        say(f"Report: {folder / 'report.html'}")
