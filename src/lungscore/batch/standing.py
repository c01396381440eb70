"""Workers that stay: cases come one at a time, over days."""

import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType

from lungscore.batch.case import Case
from lungscore.batch.leftovers import clear_leftovers
from lungscore.batch.one_case import Outcome
from lungscore.batch.processes import analyze_alone, pool_of, work
from lungscore.batch.settings import AnalyzeSettings
from lungscore.machine import available_threads
from lungscore.temporary import clear_temporary_folders


class StandingWorkers:
    """Processes that analyse cases for several threads; their models stay loaded.

    A process that is killed takes its pool with it: there is then a new one, and each case that was
    under way is analysed again in a process of its own, so that only the guilty fail. When the
    block ends, the processes do.
    """

    def __init__(self, options: AnalyzeSettings, *, workers: int) -> None:
        threads = options.threads or max(1, available_threads() // workers)
        self._options, self._workers = replace(options, threads=threads), workers
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "StandingWorkers":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    def analyze(self, case: Case) -> Outcome:
        """Analyse and write one case, in whatever worker is free."""
        pool, future = self._submit(case)
        try:
            return future.result()
        except BrokenProcessPool:
            self._replace(pool)
            return analyze_alone(case, self._options)

    def _submit(self, case: Case) -> tuple[ProcessPoolExecutor, Future[Outcome]]:
        with self._lock:
            if self._pool is None:
                self._pool = self._stack.enter_context(pool_of(self._workers))
            try:
                return self._pool, self._pool.submit(work, case, self._options)
            except BrokenProcessPool:  # it broke while nobody was waiting for it
                broken: Future[Outcome] = Future()
                broken.set_exception(BrokenProcessPool())
                return self._pool, broken

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        """Have the next case start a new pool, unless another thread has seen to it."""
        with self._lock:
            if self._pool is broken:
                self._pool = None
                self._stack.close()
                clear_temporary_folders()
                clear_leftovers(self._options.out)
