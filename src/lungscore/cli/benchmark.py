"""lungscore benchmark: run the comparison, and write its page from the result files."""

from pathlib import Path
from typing import Annotated

import typer

from lungscore.cli.console import note, say
from lungscore.errors import InputError
from lungscore.machine import check_device

app = typer.Typer(
    no_args_is_help=True,
    help="Train and compare segmentation methods, and write the benchmark page.",
)

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="Folder with rows.yaml and the experiment files.")
]
Results = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder of the result files (default: ../results/FOLDER)."),
]


@app.command("run")
def run(
    folder: Folder,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ROW", help="Run only this row; may be repeated.")
    ] = None,
    stage: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run only this stage of the plan.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Train only the runs of this seed.")
    ] = None,
    results: Results = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Threads per training (default: all)."),
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            "--at-once",
            min=1,
            metavar="N",
            help="Trainings in parallel, sharing the threads (default: 1; on a graphics card, as "
            "many as its memory holds).",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="auto|cpu|cuda[:N]",
            callback=check_device,
            help="Device that trains: auto is the first graphics card if it works, otherwise the "
            "processor.",
        ),
    ] = "auto",
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="S",
            help="Stop training after so many seconds; the same command continues. Measuring "
            "follows and is not counted.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", metavar="", help="Show what would be trained, and the estimated time."
        ),
    ] = False,
    no_train: Annotated[
        bool, typer.Option("--no-train", metavar="", help="Only measure finished trainings.")
    ] = False,
    no_test: Annotated[
        bool, typer.Option("--no-test", metavar="", help="Do not use the public test slices.")
    ] = False,
) -> None:
    """Train what is missing, measure every finished row, and rewrite the benchmark page.

    Finished runs are kept and interrupted ones continued; a failing run does not stop the others.
    Requires the train extra and LUNGSCORE_DATA. With --results, the page is not written.
    """
    import os
    import time

    ends = None if seconds is None else time.monotonic() + seconds
    # Busy waiting makes two busy threads ten times slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from lungscore.benchmark import whole
    from lungscore.benchmark.results import results_folder
    from lungscore.benchmark.rows import load_rows
    from lungscore.benchmark.run import runs_that_fit
    from lungscore.inference.device import usable_device
    from lungscore.learning.loop import use_threads

    use_threads(threads)
    benchmark = load_rows(folder)
    planned = whole.plan(benchmark, folder, only or [], stage)
    if dry_run:
        whole.dry_run(planned, say)
        return
    failed = dict(planned.wrong)
    for name, reason in failed.items():
        note(f"{name}: {reason}")
    if not no_train:
        trains = usable_device(device, "torch")
        failed |= whole.train(
            planned,
            threads=threads,
            at_once=at_once or runs_that_fit(trains),
            seed=seed,
            device=trains,
            ends=ends,
            report=note,
        )
    command = f"lungscore benchmark run {folder.parent.name}/{folder.name}"
    failed |= whole.measure_finished(
        benchmark,
        planned,
        results or results_folder(folder),
        test=not no_test,
        command=command,
        report=say,
    )
    if results is None:
        _write(folder, results_folder(folder), None, None)
    if failed:
        raise InputError(
            "benchmark-incomplete",
            f"{len(failed)} failed: {', '.join(failed)}",
            hint="See the messages above. The same command continues with what is missing",
        )


@app.command("plan")
def plan(
    folder: Folder,
    results: Results = None,
    seconds: Annotated[
        float, typer.Option(min=1, metavar="S", help="Time for measuring; repeat to go on.")
    ] = 50,
) -> None:
    """Measure step times on one thread, and write what the planned rows take in hours.

    Trains nothing and needs no data. Times that are already in plan.json are kept.
    """
    import time

    from lungscore.benchmark import timing, whole
    from lungscore.benchmark.plan_page import PLAN, read_hours
    from lungscore.benchmark.results import results_folder, write_plan
    from lungscore.benchmark.rows import load_rows
    from lungscore.learning.loop import use_threads

    use_threads(1)
    began, target = time.monotonic(), results or results_folder(folder)
    planned = whole.plan(load_rows(folder), folder)
    stored = read_hours(target) or {"times": {}}
    times = {name: timing.Times(**value) for name, value in stored["times"].items()}
    origin = {"command": f"lungscore benchmark plan {folder.parent.name}/{folder.name}"}
    where = {key: stored[key] for key in ("machine", "load") if key in stored}
    write_plan(target / PLAN, origin | timing.plan_in_hours(planned, times) | where)
    missing = timing.missing_kinds(planned, times)
    for name, config in missing.items():
        if time.monotonic() - began > seconds:
            break
        times[name] = timing.measure_times(config)
        note(f"{name}: {times[name].per_batch:.2f} s per batch")
        write_plan(target / PLAN, origin | timing.plan_in_hours(planned, times))
    left = len(timing.missing_kinds(planned, times))
    say(f"Plan: {target / PLAN}" + (f", {left} kinds of training not timed" if left else ""))


@app.command("table")
def table(
    folder: Folder,
    results: Results = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="The page (default: docs/benchmarks.md)."),
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file whose verdicts are updated (default: README.md)."
        ),
    ] = None,
) -> None:
    """Write docs/benchmarks.md and the verdicts in README.md from the result files."""
    from lungscore.benchmark.results import results_folder

    _write(folder, results or results_folder(folder), out, readme)


def _write(folder: Path, results: Path, out: Path | None, readme: Path | None) -> None:
    from lungscore.benchmark.page import write_pages

    root = folder.absolute().parents[1]
    page = out or root / "docs" / "benchmarks.md"
    write_pages(folder.absolute(), results, page, readme or root / "README.md")
    say(f"Page: {page}")
