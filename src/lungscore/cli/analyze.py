"""lungscore analyze: from scans to severity, masks and reports."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lungscore.batch import AnalyzeSettings, Outcome, run
from lungscore.batch.shards import parse_shard
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

if TYPE_CHECKING:
    from lungscore.batch.case import Case as CohortCase
    from lungscore.batch.cohort import Progress


def analyze(
    context: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="DICOM folder or file, zip, NIfTI, NRRD, MetaImage, a PNG/JPG slice or a folder "
            "of slices; or many: a folder of scans, or a manifest (lungscore data prepare).",
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
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Give a scan up after this time."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="train|validation|test", help="Only this part of a manifest."),
    ] = None,
    as_lines: AsJson = False,
) -> None:
    """Find lungs and infection in chest CTs, score the severity and write a report for each.

    Of a folder of scans or a manifest also tables and a page of all cases.
    """
    from lungscore.batch.cohort import cohort_cases

    # Masks are mostly zeros that are never written to. In pages of 2 MiB, which NumPy asks for by
    # itself, they would still take all of their memory.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    of_one = bool(case_id or series or lungs or lobes)
    if len(inputs) > 1 and of_one:
        raise _belongs_to_one()
    if overwrite and resume:
        raise UsageError("usage", "--overwrite and --resume contradict each other")
    options = AnalyzeSettings(
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
        timeout=timeout,
    )
    cases, cohort = cohort_cases(inputs, group or ())
    if cohort and of_one:
        raise _belongs_to_one()
    if shard is not None:
        every, cases = len(cases), parse_shard(shard).of(cases)
        note(f"share {shard}: {len(cases)} of {every} scans")
    if cohort:
        _run_cohort(
            cases,
            options,
            shard is None,
            as_lines=as_lines,
            debug=bool(context.obj),
            workers=workers,
            ray=ray,
        )
        return
    outcomes = []
    for outcome in run(cases, options, workers=workers, ray=ray):
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


def _belongs_to_one() -> UsageError:
    return UsageError(
        "usage",
        "--case-id, --series, --lungs and --lobes belong to one scan",
        expected="a single INPUT with them",
    )


def _run_cohort(
    cases: "Sequence[Path | CohortCase]",
    options: AnalyzeSettings,
    whole: bool,
    *,
    as_lines: bool,
    debug: bool,
    workers: int,
    ray: str | None,
) -> None:
    """Analyse a cohort, or where it is not ``whole`` a share of one, which has no tables."""
    from lungscore.batch.cohort import run_cohort, run_share
    from lungscore.cli.progress import progress_of

    with progress_of(len(cases)) as show:

        def report(progress: "Progress", outcome: Outcome) -> None:
            if as_lines:
                _say_line(outcome)
            if outcome.error:
                show.note(f"{outcome.case}: {outcome.error.code}: {outcome.error.found}")
            if outcome.trace and debug:
                show.note(outcome.trace)
            show.update(progress)

        start = run_cohort if whole else run_share
        progress = start(cases, options, workers=workers, ray=ray, report=report)
    failed = progress.failures.values()
    before = f" ({progress.skipped} of them before)" if progress.skipped else ""
    done = len(cases) - len(failed)
    note(f"{done} of {len(cases)} analysed{before}, {len(failed)} failed")
    for code, count in sorted(Counter(error.code for error in failed).items()):
        note(f"  {code}: {count}")
    if whole:
        note(f"Cohort: {options.out / 'cohort.html'}")
    exit_with(max((error.exit_code for error in failed), default=0))


def _say_line(outcome: Outcome) -> None:
    if outcome.error:
        say_json(as_json(outcome.error, outcome.input))
    elif outcome.folder:
        say_json(json.loads((outcome.folder / "result.json").read_text(encoding="utf-8")))


def _print(outcome: Outcome, as_lines: bool) -> None:
    if as_lines:
        _say_line(outcome)
    if outcome.error:
        note(f"{outcome.input.name}: {describe(outcome.error)}")
    elif as_lines:
        return
    elif outcome.skipped:
        say(f"{outcome.input.name}: done already, skipped")
    elif outcome.folder:
        say(outcome.table)
        say(f"Report: {outcome.folder / 'report.html'}")
