"""lungscore compare: one patient at two times."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say_json, summarise
from lungscore.cli.options import (
    AsLine,
    ComputedIn,
    Engine,
    LesionsModel,
    Model,
    Out,
    Overwrite,
    Precision,
    RunBy,
    RunOn,
)

_GIVEN = "A case folder written by analyze or score, or a scan to analyse first."


def compare(
    earlier: Annotated[Path, typer.Argument(metavar="EARLIER", help=_GIVEN)],
    later: Annotated[Path, typer.Argument(metavar="LATER", help=_GIVEN)],
    out: Out,
    earlier_ct: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="The CT of EARLIER, for the pictures; only if EARLIER is a case folder.",
        ),
    ] = None,
    later_ct: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="The CT of LATER, for the pictures; only if LATER is a case folder.",
        ),
    ] = None,
    engine: RunBy = Engine.AUTO,
    precision: ComputedIn = Precision.AUTO,
    device: RunOn = "auto",
    case_id: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the comparison (default: EARLIER-to-LATER)."),
    ] = None,
    model: Model = None,
    lesions_model: LesionsModel = None,
    overwrite: Overwrite = False,
    as_line: AsLine = False,
) -> None:
    """Compare two examinations of one patient, score by score and lobe by lobe."""
    from lungscore.followup import compare as compare_cases
    from lungscore.followup import comparison_name
    from lungscore.followup.outputs import OUTPUTS, write_comparison
    from lungscore.followup.text import text_comparison
    from lungscore.inference import load_segmenter
    from lungscore.report.case_folder import refuse_existing

    # Before minutes of analysis: may the outcome be written?
    name = comparison_name(earlier, later, case_id)
    refuse_existing(out, name, overwrite=overwrite, known=OUTPUTS)
    follow_up = compare_cases(
        earlier,
        later,
        earlier_ct=earlier_ct,
        later_ct=later_ct,
        segmenter=lambda: load_segmenter(
            model, lesions_model, engine=engine.value, precision=precision.value, device=device
        ),
        name=name,
    )
    folder = write_comparison(follow_up, out, overwrite=overwrite)
    if as_line:
        say_json(json.loads(follow_up.comparison.to_json()))
        return
    summarise(text_comparison(follow_up.comparison))
    summarise(f"Report: {folder / 'report.html'}")
