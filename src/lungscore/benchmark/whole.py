"""The comparison as a whole: train what is missing, measure what is finished."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lungscore.benchmark.estimates import Estimates
from lungscore.benchmark.measure import measure, weights_of
from lungscore.benchmark.plan import Run, in_order, runs_of
from lungscore.benchmark.provenance import check_weights
from lungscore.benchmark.results import Result, read_result, read_results, result_file, write_result
from lungscore.benchmark.rows import Benchmark, Row
from lungscore.benchmark.run import describe, state_of, train_in_process, train_missing
from lungscore.errors import InputError
from lungscore.machine import available_threads

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """The rows that are asked for, with their runs; wrong: rows whose experiment cannot be read."""

    rows: list[tuple[Row, list[Run]]]
    wrong: dict[str, str]

    @property
    def runs(self) -> list[Run]:
        """All runs of all rows, each after those that it builds on."""
        return in_order(run for _, runs in self.rows for run in runs)


def plan(
    benchmark: Benchmark, folder: Path, only: Sequence[str] = (), stage: int | None = None
) -> Plan:
    """The rows named in ``only``, or all (of a stage) but those that say why not.

    Raises UsageError.
    """
    planned = [row for row in benchmark.rows if row.not_run is None and stage in (None, row.stage)]
    planned.sort(key=lambda row: row.stage)
    chosen = Plan([], {})
    for row in [benchmark.row(name) for name in only] or planned:
        try:
            runs = runs_of(row, folder)
            in_order(runs)
            chosen.rows.append((row, runs))
        except InputError as error:
            chosen.wrong[row.name] = error.message
    return chosen


def dry_run(planned: Plan, report: Report) -> None:
    """Say what would be trained and how long that takes."""
    state = state_of(planned.runs)
    for name, reason in (planned.wrong | state.wrong).items():
        report(f"{name}: {reason}")
    for line in describe(state.missing, Estimates(state.finished)):
        report(line)


def train(
    planned: Plan,
    *,
    threads: int | None,
    at_once: int = 1,
    seed: int | None = None,
    device: str | None = None,
    ends: float | None = None,
    report: Report,
) -> dict[str, str]:
    """Train what is missing; returns what failed, by name, with the reason.

    threads: of each of the ``at_once`` trainings; by default they share what there is. seed: the
    rows' trainings of this seed alone. device, ends: see train_in_process.
    """
    if threads is None and at_once > 1:
        threads = max(1, available_threads() // at_once)
    execute = partial(train_in_process, threads=threads, device=device, ends=ends)
    runs = planned.runs
    if seed is not None:
        last = [run for _, runs in planned.rows for run in runs]
        runs = in_order(run for run in last if run.config.training.seed == seed)
    return train_missing(state_of(runs), execute, at_once=at_once, ends=ends, report=report)


def measure_finished(
    benchmark: Benchmark, planned: Plan, results: Path, *, test: bool, command: str, report: Report
) -> dict[str, str]:
    """Write the result of every row that has a seed with all its folds finished.

    The test slices are measured once all its listed seeds are. A result whose weights are still
    the same stays as it is. A row that was trained from other weights than those measured fails.
    Returns what failed, by name, with the reason.
    """
    failed = {}
    for row, runs in planned.rows:
        try:
            stored = read_results(results, benchmark.rows)
            text = _measure_row(row, runs, results, stored, test=test, command=command)
        except InputError as error:
            failed[row.name] = text = error.message
        report(f"{row.name}: {text}")
    return failed


def _measure_row(
    row: Row,
    runs: list[Run],
    results: Path,
    stored: Mapping[str, Result],
    *,
    test: bool,
    command: str,
) -> str:
    finished = {run.folder for run in state_of(runs).finished}
    missing = {run.config.training.seed for run in runs if run.folder not in finished}
    done = [run for run in runs if run.config.training.seed not in missing]
    if not done:
        return "not finished"
    test = test and not missing
    before = read_result(results, row.name)
    if before is not None:
        same = [run["weights_sha256"] for run in before["runs"]] == weights_of(done)
        if same and (before["test"] is not None or not test):
            return "measured before"
    check_weights(done, {name: result for name, result in stored.items() if name != row.name})
    result = measure(row, done, test=test, command=f"{command} --only {row.name}")
    write_result(result_file(results, row.name), result)
    seeds = f"{len(result['seeds'])} of {len(row.seeds)} seeds"
    return f"measured, {seeds}, {'with' if test else 'without'} the test slices"
