"""lungscore score: severity from masks, without a network."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import say, say_json, summarise
from lungscore.cli.options import AsLine, Case, Overwrite, Pdf, Size, SizeOfReport
from lungscore.report.settings import ReportSettings


def score(
    lungs: Annotated[Path, typer.Option(metavar="FILE", help="Lung mask: 1 right, 2 left.")],
    lesions: Annotated[
        Path, typer.Option(metavar="FILE", help="Lesion mask: 1 GGO, 2 consolidation.")
    ],
    lobes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Lobe mask, with the labels of lungmask or TotalSegmentator."
        ),
    ] = None,
    ct: Annotated[
        Path | None,
        typer.Option(metavar="FILE|FOLDER", help="The CT, for the scores that need HU values."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FOLDER", help="Write result and report here."),
    ] = None,
    case_id: Case = None,
    report_size: SizeOfReport = Size.FULL,
    pdf: Pdf = False,
    overwrite: Overwrite = False,
    as_line: AsLine = False,
) -> None:
    """Score severity from existing masks, without a network.

    Masks are NIfTI, NRRD or MetaImage files that share one geometry.
    """
    from lungscore.analysis import score as score_masks
    from lungscore.report.outputs import write_outputs
    from lungscore.report.text import text_table
    from lungscore.result import to_result

    settings = ReportSettings(report_size.value, pdf)
    analysis = score_masks(lungs, lesions, lobes=lobes, ct=ct, name=case_id)
    folder = None
    if out is not None:
        folder = write_outputs(analysis, out, overwrite=overwrite, settings=settings)
    if as_line:
        say_json(json.loads(to_result(analysis).to_json()))
        return
    (say if folder is None else summarise)(text_table(analysis))
    if folder:
        report = folder / "report.html"
        summarise(f"Report: {report}" if report.exists() else f"Results: {folder}")
