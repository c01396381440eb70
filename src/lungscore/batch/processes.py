"""Cases in several processes of this computer."""

import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from lungscore.batch import Options, Outcome, analyze_one
from lungscore.errors import ResourceError

#: In a worker: a case is being analysed; the worker was told to stop and begins no other.
_busy, _stopping = threading.Event(), threading.Event()


def run_in_processes(
    inputs: Sequence[Path], options: Options, *, workers: int
) -> Iterator[Outcome]:
    """Analyse ``inputs`` in ``workers`` processes and yield the outcomes in order.

    A process that is killed (memory) takes the pool with it, and nobody says which case it was:
    those without an outcome are then analysed again, one at a time, and only the guilty fail. When
    the caller stops, the workers stop too and leave nothing behind.
    """
    with _pool(workers) as pool:
        waiting = deque((path, pool.submit(_work, path, options)) for path in inputs)
        try:
            while waiting:
                outcome = waiting[0][1].result()
                waiting.popleft()
                yield outcome
        except BrokenProcessPool:
            pass
    for path, future in waiting:
        yield _outcome(future) or _alone(path, options)


def _outcome(future: Future[Outcome]) -> Outcome | None:
    """The outcome of a case that ended before its pool broke."""
    if not future.done() or future.cancelled() or future.exception() is not None:
        return None
    return future.result()


def _alone(path: Path, options: Options) -> Outcome:
    with _pool(1) as pool:
        try:
            return pool.submit(_work, path, options).result()
        except BrokenProcessPool:
            error = ResourceError(
                "out-of-memory",
                f"{path.name}: the process that analysed it was killed",
                expected="enough memory for one scan",
            )
            return Outcome(path, error=error)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose workers are told to stop when the block is left by an exception."""
    others = set(active_children())
    # "spawn": engines keep threads, which a forked child would inherit broken.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_obey_signals)
    try:
        yield pool
    except BaseException:
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _obey_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(*_: Any) -> None:
    """Leave the case at hand, through its own clearing up, and begin no other."""
    told_before = _stopping.is_set()
    _stopping.set()
    if _busy.is_set() and not told_before:
        raise KeyboardInterrupt


def _work(path: Path, options: Options) -> Outcome:
    if _stopping.is_set():
        raise KeyboardInterrupt
    _busy.set()
    try:
        return analyze_one(path, options)
    finally:
        _busy.clear()
