"""Cases in several processes of this computer."""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from lungscore.batch.case import Case, as_case
from lungscore.batch.leftovers import clear_leftovers
from lungscore.batch.one_case import Outcome, analyze_one
from lungscore.batch.settings import AnalyzeSettings
from lungscore.errors import ResourceError
from lungscore.interruption import remove_temporary
from lungscore.scan.dicom.workers import keep_workers
from lungscore.temporary import clear_temporary_folders

#: Outcomes that may wait for an earlier, slower case.
MOST_WAITING = 256

_Waiting = tuple[Path | Case, Future[Outcome] | None]

#: Seconds that a worker which is told to stop has for clearing up.
PATIENCE_S = 1.5

#: In a worker: a case is being analysed; the worker was told to stop and ends with this case.
_busy, _stopping = threading.Event(), threading.Event()


def run_in_processes(
    inputs: Iterable[Path | Case], options: AnalyzeSettings, *, workers: int
) -> Iterator[Outcome]:
    """Analyse ``inputs`` in ``workers`` processes and yield the outcomes in order.

    A process that is killed (memory) takes the pool with it, and nobody says which case it was:
    those under way are then analysed again, one at a time, and only the guilty fail. Few cases wait
    at once, so that memory does not grow with their number. When the caller stops, the workers stop
    too and leave nothing behind.
    """
    left = iter(inputs)
    while True:
        waiting: deque[_Waiting] = deque()
        try:
            with pool_of(workers) as pool:
                yield from _in_order(pool, left, options, waiting, workers=workers)
            return
        except BrokenProcessPool:
            clear_temporary_folders()
        except BaseException:  # what a worker that had to be killed left
            clear_temporary_folders()
            clear_leftovers(options.out)
            raise
        # A case may have been written just before the pool broke: that is its result.
        again = options if options.overwrite else replace(options, resume=True)
        for given, future in waiting:
            yield _outcome(future) or analyze_alone(given, again)


def _in_order(
    pool: ProcessPoolExecutor,
    left: Iterator[Path | Case],
    options: AnalyzeSettings,
    waiting: deque[_Waiting],
    *,
    workers: int,
) -> Iterator[Outcome]:
    """The outcomes of ``left`` in order. ``waiting`` holds those that were not yielded."""
    while True:
        busy = sum(not (future and future.done()) for _, future in waiting)
        for given in islice(left, max(0, min(2 * workers - busy, MOST_WAITING - len(waiting)))):
            waiting.append((given, None))
            waiting[-1] = given, pool.submit(work, given, options)
        if not waiting:
            return
        wait([f for _, f in waiting if f and not f.done()], return_when=FIRST_COMPLETED)
        while waiting and (future := waiting[0][1]) and future.done():
            outcome = future.result()
            waiting.popleft()
            yield outcome


def _outcome(future: Future[Outcome] | None) -> Outcome | None:
    """The outcome of a case that ended before its pool broke."""
    if future is None or not future.done() or future.cancelled() or future.exception() is not None:
        return None
    return future.result()


def analyze_alone(given: Path | Case, options: AnalyzeSettings) -> Outcome:
    """Analyse a case in a process of its own; one that is killed fails itself."""
    case = as_case(given, options.name)
    with pool_of(1) as pool:
        try:
            return pool.submit(work, given, options).result()
        except BrokenProcessPool:
            error = ResourceError(
                "out-of-memory",
                f"{case.path.name}: the process that analysed it was killed",
                expected="enough memory for one scan",
            )
            return Outcome(case.path, error=error, case=case.name)


@contextmanager
def pool_of(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose workers are stopped when the block is left by an exception."""
    earlier = set(active_children())
    # "spawn": engines keep threads, which a forked child would inherit broken.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        yield pool
    except BaseException:
        _end(set(active_children()) - earlier)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _end(workers: Collection[BaseProcess]) -> None:
    """Tell workers to stop. What has not ended in time, or at a second Ctrl-C, is killed."""
    deadline = time.monotonic() + PATIENCE_S
    for worker in workers:
        worker.terminate()
    try:
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            worker.kill()


def _begin() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    keep_workers()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for its next case for ever.

    What it was writing is left to the next run: the other thread may be putting it into its place
    just now, and half of it would appear.
    """
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _stop(*_: Any) -> None:
    """End this worker: from the case at hand through its own clearing up, else at once.

    It must not go back to the pool: a process that was killed may hold the lock of its queue.
    """
    if not _busy.is_set():
        remove_temporary()
        os._exit(1)
    if not _stopping.is_set():
        _stopping.set()
        # Within a callback of a library the exception is lost: then the case goes on to its end.
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt


def work(given: Path | Case, options: AnalyzeSettings) -> Outcome:
    """Analyse a case in this worker."""
    _busy.set()
    try:
        return analyze_one(given, options)
    finally:
        _busy.clear()
        if _stopping.is_set():
            remove_temporary()
            os._exit(1)
