"""Training what is missing, each run in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lungscore.benchmark.estimates import Estimates
from lungscore.benchmark.plan import Run, built_on
from lungscore.errors import InputError
from lungscore.learning.loop import finished


@dataclass(frozen=True)
class State:
    """Runs by how they stand. wrong: the message of those whose folder holds another experiment."""

    finished: list[Run]
    missing: list[Run]
    wrong: dict[str, str]


def state_of(runs: Iterable[Run]) -> State:
    """How ``runs`` stand, in their order."""
    state = State([], [], {})
    for run in runs:
        try:
            (state.finished if finished(run.config, run.folder) else state.missing).append(run)
        except InputError as error:
            state.wrong[run.name] = error.message
    return state


def command(run: Run, threads: int | None = None) -> list[str]:
    """The arguments of lungscore that train ``run``."""
    config = run.config
    words = ["train" if config.pretraining is None else "pretrain", str(run.file)]
    if config.data.fold is not None:
        words += ["--fold", str(config.data.fold)]
    words += ["--seed", str(config.training.seed), "--resume"]
    return words + (["--threads", str(threads)] if threads else [])


def train_in_process(run: Run, threads: int | None = None) -> int:
    """Train ``run`` in a process of its own, which prints to standard error; its exit code."""
    words = [sys.executable, "-m", "lungscore", *command(run, threads)]
    return subprocess.run(words, check=False, stdout=sys.stderr).returncode  # noqa: S603 (our own)


def train_missing(
    state: State,
    execute: Callable[[Run], int],
    *,
    at_once: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """Train what is missing, in order; a failure does not stop the others.

    at_once: how many are trained side by side; none starts before those that it builds on are done.
    Returns the names of the runs that failed, those that build on them among them, with reasons.
    """
    failed = dict(state.wrong)
    for name, reason in failed.items():
        report(f"{name}: {reason}")
    estimates = Estimates(state.finished)
    waiting, running = list(state.missing), dict[Future[int], Run]()

    def fail(run: Run, reason: str) -> None:
        failed[run.name] = reason
        report(f"{run.name}: {reason}")

    with ThreadPoolExecutor(at_once) as pool:
        while waiting or running:
            unfinished = {run.name for run in (*waiting, *running.values())}
            ready = next((run for run in waiting if not _names(run) & unfinished), None)
            if ready is None or len(running) == at_once:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    run = running.pop(future)
                    if reason := _failure(future.result()):
                        fail(run, reason)
                    else:
                        estimates.learn(run)
                continue
            left = estimates.hours([*running.values(), *waiting])
            position = f"[{len(state.missing) - len(waiting) + 1}/{len(state.missing)}]"
            left = None if left is None else left / at_once
            report(f"{position} {ready.name}" + _about(left, " left in all"))
            waiting.remove(ready)
            if reason := _lacks(ready, failed):
                fail(ready, reason)
            else:
                running[pool.submit(execute, ready)] = ready
    return failed


def _names(run: Run) -> set[str]:
    """What ``run`` builds on."""
    return {earlier.name for earlier in built_on(run)}


def _lacks(run: Run, failed: Iterable[str]) -> str:
    names = _names(run) & set(failed)
    return f"not run, since it builds on {min(names)}" if names else ""


def _failure(code: int) -> str:
    return f"ended with exit code {code}" if code else ""


def describe(runs: Sequence[Run], estimates: Estimates) -> list[str]:
    """A line for each experiment that would be trained, and one for all."""
    lines = []
    for name in dict.fromkeys(run.config.name for run in runs):
        same = [run for run in runs if run.config.name == name]
        folders = ", ".join(run.folder.name for run in same)
        lines.append(f"{name}: {len(same)} runs{_about(estimates.hours(same))} ({folders})")
    return [*lines, f"{len(runs)} runs to train{_about(estimates.hours(runs))}"]


def _about(hours: float | None, suffix: str = "") -> str:
    if hours is None:
        return ", time unknown"
    return (
        f", about {hours:.1f} h{suffix}" if hours >= 1 else f", about {hours * 60:.0f} min{suffix}"
    )
