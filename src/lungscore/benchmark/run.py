"""Training what is missing, each run in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lungscore.benchmark.estimates import Estimates
from lungscore.benchmark.plan import Run, built_on
from lungscore.errors import InputError
from lungscore.learning.loop import finished
from lungscore.machine import available_threads

#: The exit code of a training that was stopped because the time was over.
STOPPED = 75

#: The variable by which CUDA lets a process see some cards alone.
VISIBLE = "CUDA_VISIBLE_DEVICES"

#: What a training is reckoned to take of a graphics card's memory, CUDA's own share included. An
#: estimate for batches of eight slices; nothing was measured.
RUN_BYTES = 4 * 2**30


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


def train_in_process(
    run: Run, threads: int | None = None, device: str | None = None, ends: float | None = None
) -> int:
    """Train ``run`` in a process of its own, which prints to standard error; its exit code.

    device: "cpu" or "cuda:N", where None leaves the choice to the training. ends: of
    time.monotonic(), when it is stopped, to be resumed by another; the code is then STOPPED.
    """
    words = [sys.executable, "-m", "lungscore", *command(run, threads)]
    environment = None if device is None else os.environ | visible_cards(device, os.environ)
    with subprocess.Popen(words, stdout=sys.stderr, env=environment) as training:  # noqa: S603 (our own)
        try:
            return training.wait(None if ends is None else max(0.0, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            training.kill()  # checkpoints are written atomically, after every epoch
            return STOPPED


def visible_cards(device: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What tells a process to see ``device`` ("cpu" or "cuda:N") as its only one.

    environment: where cards may already have been chosen, of which N is a number then.
    """
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return {VISIBLE: ""}
    cards = environment.get(VISIBLE, "").split(",")
    return {VISIBLE: cards[int(number)] if int(number) < len(cards) and cards[0] else number}


def runs_that_fit(device: str) -> int:
    """How many trainings to run side by side on ``device``: one on the processor, on a graphics
    card what its free memory and the processor's threads, one each at least, allow."""
    if device == "cpu":
        return 1
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(free // RUN_BYTES, available_threads()))


def train_missing(
    state: State,
    execute: Callable[[Run], int],
    *,
    at_once: int = 1,
    ends: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """Train what is missing, in order; a failure does not stop the others.

    at_once: how many are trained side by side; none starts before those that it builds on are done,
    nor after ``ends`` (of time.monotonic()).
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
            if ends is not None and time.monotonic() >= ends:
                fail(ready, "not begun, the time is over")
            elif reason := _lacks(ready, failed):
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
    if code == STOPPED:
        return "stopped, the time is over"
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
