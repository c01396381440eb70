"""lungscore analyze: from scans to severity, masks and reports."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lungscore.batch import Options, Outcome, run
from lungscore.batch.shards import Shard, parse_shard
from lungscore.cli.console import as_json, describe, exit_with, note, say, say_json
from lungscore.cli.options import (
    AsJson,
    Case,
    ComputedIn,
    Engine,
    LesionsModel,
    Model,
    NoRanges,
    Out,
    Overwrite,
    Precision,
    RunBy,
)
from lungscore.errors import UsageError


def analyze(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="DICOM folder or file, zip, NIfTI, NRRD, MetaImage, a PNG/JPG slice or a folder of"
            " slices.",
        ),
    ],
    out: Out,
    engine: RunBy = Engine.AUTO,
    precision: ComputedIn = Precision.AUTO,
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="The DICOM series to use.")
    ] = None,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Interpolate missing slices.")
    ] = False,
    lobes: Annotated[Path | None, typer.Option(help="Your own lobe mask.")] = None,
    lungs: Annotated[Path | None, typer.Option(help="Your own lung mask.")] = None,
    case_id: Case = None,
    model: Model = None,
    lesions_model: LesionsModel = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your detector (lungscore detection train): the probability of an infection "
            "pattern.",
        ),
    ] = None,
    no_ranges: NoRanges = False,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip cases whose results are there already.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Scans analysed at once.")] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="local|ADDRESS", help="Run the workers on Ray: here, or on a cluster you have."
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="i/N", help="Only the i-th of N shares of the scans, for job arrays."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads for each scan; all by default.")
    ] = None,
    as_lines: AsJson = False,
) -> None:
    """Find lungs and infection in chest CTs, score the severity and write a report for each."""
    if len(inputs) > 1 and (case_id or series or lungs or lobes):
        raise UsageError(
            "usage",
            "--case-id, --series, --lungs and --lobes belong to one scan",
            expected="a single INPUT with them",
        )
    if overwrite and resume:
        raise UsageError("usage", "--overwrite and --resume contradict each other")
    options = Options(
        out=out,
        engine=engine.value,
        precision=precision.value,
        threads=threads,
        series=series,
        allow_gaps=allow_gaps,
        lungs=lungs,
        lobes=lobes,
        name=case_id,
        overwrite=overwrite,
        resume=resume,
        model=model,
        lesions_model=lesions_model,
        ranges=not no_ranges,
        detector=detector,
    )
    if shard is not None:
        inputs = _share(inputs, parse_shard(shard))
    outcomes = []
    for outcome in run(inputs, options, workers=workers, ray=ray):
        outcomes.append(outcome)
        _print(outcome, as_lines)
        if outcome.trace and context.obj:
            note(outcome.trace)
    failed = [outcome for outcome in outcomes if outcome.error]
    if len(outcomes) > 1:
        note(f"{len(outcomes) - len(failed)} of {len(outcomes)} analysed, {len(failed)} rejected")
        for outcome in failed:
            note(f"  {outcome.input.name}: {outcome.error.code}")  # type: ignore[union-attr]
    exit_with(max((outcome.error.exit_code for outcome in failed if outcome.error), default=0))


def _share(inputs: list[Path], shard: Shard) -> list[Path]:
    share = shard.of(inputs)
    note(f"share {shard.number}/{shard.total}: {len(share)} of {len(inputs)} scans")
    return share


def _print(outcome: Outcome, as_lines: bool) -> None:
    if outcome.error:
        if as_lines:
            say_json(as_json(outcome.error, outcome.input))
        note(f"{outcome.input.name}: {describe(outcome.error)}")
    elif as_lines and outcome.folder:
        say_json(json.loads((outcome.folder / "result.json").read_text(encoding="utf-8")))
    elif outcome.skipped:
        say(f"{outcome.input.name}: done already, skipped")
    elif outcome.folder:
        say(outcome.table)
        say(f"Report: {outcome.folder / 'report.html'}")
