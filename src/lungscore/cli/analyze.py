"""lungscore analyze: from scans to severity, masks and reports."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lungscore.batch import AnalyzeSettings, Outcome, run
from lungscore.batch.shards import parse_shard
from lungscore.cli.console import (
    as_json,
    complain,
    describe,
    detail,
    exit_with,
    note,
    say_json,
    summarise,
    verbosity,
)
from lungscore.cli.options import (
    COHORT,
    INFERENCE,
    OBJECTS,
    AsJson,
    Case,
    ComputedIn,
    Engine,
    LesionsModel,
    Model,
    NoRanges,
    Out,
    Overwrite,
    Pdf,
    Precision,
    Regions,
    RunBy,
    RunOn,
    Size,
    SizeOfReport,
    StatedEtiology,
    WithIdentifiers,
)
from lungscore.errors import UsageError, sentence
from lungscore.report.settings import ReportSettings
from lungscore.scan.dicom.workers import started_early

if TYPE_CHECKING:
    from lungscore.batch.case import Case as CohortCase
    from lungscore.batch.cohort import Progress


def analyze(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="One or more scans: a DICOM folder or file, a zip of one, NIfTI, NRRD, MetaImage, "
            "a PNG or JPG slice, or a folder of slices. Or a cohort: a folder of scans, or a "
            "manifest (lungscore data prepare).",
        ),
    ],
    out: Out,
    engine: RunBy = Engine.AUTO,
    precision: ComputedIn = Precision.AUTO,
    device: RunOn = "auto",
    series: Annotated[
        str | None,
        typer.Option(metavar="UID", help="DICOM series to analyse (see lungscore inspect)."),
    ] = None,
    allow_gaps: Annotated[
        bool,
        typer.Option(
            "--allow-gaps",
            metavar="",
            help="Interpolate missing slices instead of rejecting the scan.",
        ),
    ] = False,
    lobes: Annotated[Path | None, typer.Option(metavar="FILE", help="Use this lobe mask.")] = None,
    lungs: Annotated[Path | None, typer.Option(metavar="FILE", help="Use this lung mask.")] = None,
    case_id: Case = None,
    model: Model = None,
    lesions_model: LesionsModel = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Add the probability of an infection pattern, from a detector you trained "
            "(lungscore detection train).",
            rich_help_panel=INFERENCE,
        ),
    ] = None,
    no_ranges: NoRanges = False,
    dicom: Annotated[
        bool,
        typer.Option(
            "--dicom",
            metavar="",
            help="Also write DICOM objects into dicom/ beside each result (see lungscore dicom).",
            rich_help_panel=OBJECTS,
        ),
    ] = False,
    regions: Regions = False,
    etiology: StatedEtiology = None,
    fhir: Annotated[
        bool,
        typer.Option(
            "--fhir",
            metavar="",
            help="Also write fhir.json beside each result: a FHIR DiagnosticReport.",
            rich_help_panel=OBJECTS,
        ),
    ] = False,
    bids: Annotated[
        bool,
        typer.Option(
            "--bids",
            metavar="",
            help="Also write the masks and numbers of all cases as a BIDS dataset into bids/.",
            rich_help_panel=OBJECTS,
        ),
    ] = False,
    report_size: SizeOfReport = Size.FULL,
    pdf: Pdf = False,
    identifiers: WithIdentifiers = False,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar="",
            help="Skip cases that already have results.",
            rich_help_panel=COHORT,
        ),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of scans analysed in parallel.",
            rich_help_panel=COHORT,
        ),
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="local|ADDRESS",
            help="Run the workers with Ray, on this computer or on an existing cluster.",
            rich_help_panel=COHORT,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="i/N",
            help="Analyse only the i-th of N shares of the scans, for job arrays.",
            rich_help_panel=COHORT,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Threads per scan (default: all, shared by the workers).",
            rich_help_panel=COHORT,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            metavar="SECONDS",
            help="Skip a scan that takes longer than this.",
            rich_help_panel=COHORT,
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            metavar="train|validation|test",
            help="Analyse only this group of a manifest; may be repeated.",
            rich_help_panel=COHORT,
        ),
    ] = None,
    as_lines: AsJson = False,
) -> None:
    """Segment lungs and infection in chest CTs, score their severity and write reports.

    A cohort also gets tables and a summary page of all its cases.
    """
    from lungscore.batch.cohort import cohort_cases

    # Masks are mostly zeros that are never written to. In pages of 2 MiB, which NumPy asks for by
    # itself, they would still take all of their memory.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    of_one = bool(case_id or series or lungs or lobes)
    if len(inputs) > 1 and of_one:
        raise _belongs_to_one()
    if overwrite and resume:
        raise UsageError("usage", "--overwrite and --resume exclude each other")
    if (regions and not dicom) or (etiology and not (dicom or fhir)):
        raise UsageError("usage", "--regions applies to --dicom, --etiology to --dicom and --fhir")
    options = AnalyzeSettings(
        out=out,
        engine=engine.value,
        precision=precision.value,
        device=device,
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
        dicom=dicom,
        fhir=fhir,
        regions=regions,
        etiology=etiology.value if etiology else None,
        report=ReportSettings(report_size.value, pdf, identifiers),
    )
    # What decodes starts while the rest of the program loads.
    with started_early(inputs[0]) if len(inputs) == 1 else nullcontext():
        cases, cohort = cohort_cases(inputs, group or ())
        if cohort and of_one:
            raise _belongs_to_one()
        if shard is not None:
            every, cases = len(cases), parse_shard(shard).of(cases)
            note(f"Share {shard}: {len(cases)} of {every} scans.")
        if bids:
            from lungscore.pacs.bids import refuse_bids

            if shard is not None:
                raise UsageError("usage", "--bids needs all cases: leave --shard out")
            refuse_bids(out, replace=overwrite or resume)
        if cohort:
            code = _run_cohort(
                cases, options, shard is None, as_lines=as_lines, workers=workers, ray=ray
            )
        else:
            code = _run_few(cases, options, as_lines=as_lines, workers=workers, ray=ray)
        if bids:
            _write_bids(out, replace=overwrite or resume)
    exit_with(code)


def _run_few(
    cases: "Sequence[Path | CohortCase]",
    options: AnalyzeSettings,
    *,
    as_lines: bool,
    workers: int,
    ray: str | None,
) -> int:
    """Analyse scans that are not a cohort, and print each; gives the exit code."""
    outcomes = []
    for outcome in run(cases, options, workers=workers, ray=ray):
        outcomes.append(outcome)
        _print(outcome, as_lines)
    failed = [outcome for outcome in outcomes if outcome.error]
    if len(outcomes) > 1:
        done = len(outcomes) - len(failed)
        note(f"{done} of {len(outcomes)} analysed, {len(failed)} rejected.")
        for outcome in failed:
            note(f"  {outcome.input}: {outcome.error.code}")  # type: ignore[union-attr]
    return max((outcome.error.exit_code for outcome in failed if outcome.error), default=0)


def _write_bids(out: Path, *, replace: bool) -> None:
    from lungscore.pacs.bids import write_bids

    if any(out.glob("*/result.json")):
        note(f"BIDS dataset: {write_bids(out, replace=replace)}")


def _belongs_to_one() -> UsageError:
    return UsageError(
        "usage",
        "--case-id, --series, --lungs and --lobes apply to a single scan",
        expected="one INPUT when any of them is given",
    )


def _run_cohort(
    cases: "Sequence[Path | CohortCase]",
    options: AnalyzeSettings,
    whole: bool,
    *,
    as_lines: bool,
    workers: int,
    ray: str | None,
) -> int:
    """Analyse a cohort, or where it is not ``whole`` a share of one, which has no tables.

    Gives the exit code.
    """
    from lungscore.batch.cohort import run_cohort, run_share
    from lungscore.cli.progress import progress_of

    with progress_of(len(cases)) as show:

        def report(progress: "Progress", outcome: Outcome) -> None:
            if as_lines:
                _say_line(outcome)
            if outcome.error:
                fault = sentence(outcome.error.found)
                show.complain(f"{outcome.case}: error [{outcome.error.code}] {fault}")
            if outcome.trace and verbosity().debug:
                show.complain(outcome.trace)
            _detail(outcome)
            show.update(progress)

        start = run_cohort if whole else run_share
        progress = start(cases, options, workers=workers, ray=ray, report=report)
    failed = progress.failures.values()
    before = f" ({progress.skipped} of them in an earlier run)" if progress.skipped else ""
    done = len(cases) - len(failed)
    note(f"{done} of {len(cases)} analysed{before}, {len(failed)} failed.")
    for code, count in sorted(Counter(error.code for error in failed).items()):
        note(f"  {code}: {count}")
    if whole:
        note(f"Summary page: {options.out / 'cohort.html'}")
    return max((error.exit_code for error in failed), default=0)


def _say_line(outcome: Outcome) -> None:
    if outcome.error:
        say_json(as_json(outcome.error, outcome.input, case=outcome.case))
    elif outcome.folder:
        say_json(json.loads((outcome.folder / "result.json").read_text(encoding="utf-8")))


def _print(outcome: Outcome, as_lines: bool) -> None:
    if as_lines:
        _say_line(outcome)
    if outcome.error:
        complain(describe(outcome.error, outcome.input))
        if outcome.trace and verbosity().debug:
            complain(outcome.trace)
    elif as_lines:
        pass
    elif outcome.skipped:
        summarise(f"{outcome.input}: skipped, results exist already.")
    elif outcome.folder:
        summarise(outcome.table)
        report = outcome.folder / "report.html"
        summarise(f"Report: {report}" if report.exists() else f"Results: {outcome.folder}")
    _detail(outcome)


def _detail(outcome: Outcome) -> None:
    """Faults of the scan; engine, models, seconds and memory of a case, for --verbose."""
    for fault in outcome.faults:
        note(f"{outcome.case}: the scan itself violates DICOM: {fault}.")
    if outcome.folder is None or outcome.skipped or not verbosity().verbose:
        return
    from lungscore.result.schema import engine_text

    result, run_record = (
        json.loads((outcome.folder / name).read_text(encoding="utf-8"))
        for name in ("result.json", "run.json")
    )
    engine, models = result["engine"], result["models"]
    read_with = ", ".join(f"{model['name']} {model['version']}" for model in models)
    if engine:
        detail(f"{outcome.case}: {engine_text(engine)}, models {read_with}")
    stages = ", ".join(f"{stage} {time:.1f} s" for stage, time in run_record["seconds"].items())
    memory = run_record["peak_memory_mib"]
    detail(f"{outcome.case}: {stages}" + (f"; peak memory {memory} MiB" if memory else ""))
