"""Cases on Ray: workers that keep the models, on this computer or on many."""

import os
import secrets
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lungscore.batch.case import Case, as_case
from lungscore.batch.one_case import Outcome, analyze_one
from lungscore.batch.settings import AnalyzeSettings
from lungscore.errors import ResourceError, UsageError
from lungscore.machine import available_threads
from lungscore.version import __version__

LOCAL = "local"
#: Ray keeps outcomes only, which are a few lines each; it wants 75 MiB at least.
OBJECT_STORE_BYTES = 80 * 2**20
#: How long free cores are waited for while nothing runs: a cloud needs minutes for a computer.
PATIENCE_S = 600.0
#: How long the cases at hand may still take after Ctrl-C, and a shared folder to show a result.
GRACE_S, SHOWN_WITHIN_S = 30.0, 3.0
#: A socket's path has some 100 letters at most, of which Ray and our folder in it take 80.
_LONGEST_FOLDER = 20


def run_on_ray(
    inputs: Sequence[Path | Case], options: AnalyzeSettings, *, address: str = LOCAL, workers: int
) -> Iterator[Outcome]:
    """Analyse ``inputs`` with ``workers`` workers of a Ray cluster; yield outcomes as cases end.

    address: ``local`` starts a cluster on this computer and ends it again; ``auto`` or HOST:PORT
    joins one, which is left running. A worker takes ``options.threads`` cores (by default its
    share of this computer, or one of a cluster) and one case at a time, so that no more cases
    than workers are under way. Where a worker is lost (killed, or with its computer), another
    takes its place and the case is tried once more, then reported as ``worker-lost``.

    Paths must mean the same on every computer, the folder for the results above all. Only paths
    and options travel, never images or models. Raises ResourceError ``cluster-unusable``, and
    ModuleNotFoundError without Ray.
    """
    if not inputs:
        return
    workers = min(workers, len(inputs))
    if options.threads is None:
        own = available_threads() // workers if address == LOCAL else 1
        options = replace(options, threads=max(1, own))
    with cluster(address, cores=workers * (options.threads or 1)) as ray:
        yield from _Crew(ray, inputs, options).outcomes(workers)


@contextmanager
def cluster(address: str, *, cores: int) -> Iterator[Any]:
    """The module ``ray``, connected; what was started here is ended with the block."""
    if address not in (LOCAL, "auto") and not address.rpartition(":")[2].isdigit():
        raise UsageError("usage", f"--ray {address}", expected="local, auto or HOST:PORT")
    ray = _import_ray(private=address == LOCAL)
    if ray.is_initialized():  # the caller's own connection
        yield ray
        return
    with tempfile.TemporaryDirectory(
        prefix="lungscore-", dir=_short_folder(), ignore_cleanup_errors=True
    ) as folder:
        # Sessions would otherwise stay in /tmp/ray, with names of files in their logs.
        started = {
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_temp_dir": folder,
        }
        try:
            with _signals_kept():
                ray.init(
                    address=address,
                    log_to_driver=False,
                    logging_level="ERROR",
                    **(started if address == LOCAL else {}),
                )
        except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
            raise ResourceError(
                "cluster-unusable",
                f"No usable Ray cluster at {address} ({type(error).__name__})",
                expected="a running cluster of the same Ray and Python, and its RAY_AUTH_TOKEN",
                hint="Try `ray status` on this computer; docs/clusters.md",
            ) from error
        try:
            yield ray
        finally:
            ray.shutdown()


def _import_ray(*, private: bool) -> Any:
    """Ray, which reads its settings from the environment as it is imported: first, silence."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # What Ray prints of workers would stand among our results on standard output.
    os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "(?s).*"
    if private:
        # Ray listens on every network interface: nobody else may give it work.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    else:
        # Twenty by default: a wrong address would be tried for a quarter of an hour.
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    import ray

    return ray


def _short_folder() -> str | None:
    """Where Ray's sockets may lie; None for the usual temporary folder."""
    usual = tempfile.gettempdir()
    return "/tmp" if os.name == "posix" and len(usual) > _LONGEST_FOLDER else None  # noqa: S108


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself as it starts; afterwards it is the caller's again."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class Worker:
    """A process of the cluster. ``analyze_one`` keeps the models in it."""

    def ready(self) -> None:
        """Return once the worker has started."""

    def analyze(self, case: Case, options: AnalyzeSettings, version: str) -> Outcome:
        """Analyse one case; ``version`` is that of the lungscore which asks."""
        if version != __version__:
            error = ResourceError(
                "cluster-unusable",
                f"A computer of the cluster has lungscore {__version__}",
                expected=f"lungscore {version} on all of them",
            )
            return Outcome(case.path, error=error, case=case.name)
        return analyze_one(case, options)


@dataclass(frozen=True)
class _Task:
    case: Case
    again: bool = False


class _Crew:
    """The workers and what each is doing: starting (None) or analysing a case."""

    def __init__(self, ray: Any, inputs: Sequence[Path | Case], options: AnalyzeSettings) -> None:
        self.ray, self.options, self.there = ray, options, _anywhere(options)
        self.waiting = deque(_Task(as_case(given, options.name)) for given in inputs)
        self.doing: dict[Any, tuple[Any, _Task | None]] = {}
        cores = options.threads or 1
        # Ray's own restarts and retries would be silent and uncounted.
        self.hire = ray.remote(num_cpus=cores, max_restarts=0, max_task_retries=0)(Worker).remote

    def outcomes(self, workers: int) -> Iterator[Outcome]:
        unfinished, failed_starts = len(self.waiting), 0
        try:
            for _ in range(workers):
                self._start_worker()
            while unfinished:
                worker, task, outcome, error = self._next_end()
                if error is None:
                    self._give_work(worker)
                else:
                    self.ray.kill(worker)
                    self._start_worker()
                if task is None:
                    failed_starts = 0 if error is None else failed_starts + 1
                    if failed_starts > 2 * workers:
                        raise _no_worker_starts(error)
                elif error is not None and not task.again:
                    self.waiting.appendleft(replace(task, again=True))
                else:
                    unfinished -= 1
                    if outcome is None:
                        yield _lost(task.case, error)
                    else:
                        yield seen_from_here(outcome, task.case, self.options.out)
        except BaseException:
            # Cases at hand end whole, rather than leave half of one in the folder for results.
            at_hand = [reference for reference, (_, task) in self.doing.items() if task]
            if at_hand:
                self.ray.wait(at_hand, num_returns=len(at_hand), timeout=GRACE_S)
            raise
        finally:
            for worker, _ in self.doing.values():
                self.ray.kill(worker)

    def _next_end(self) -> tuple[Any, _Task | None, Outcome | None, Exception | None]:
        """Wait until a worker has started, ended a case, or is lost."""
        at_work = any(task for _, task in self.doing.values())
        ended, _ = self.ray.wait(list(self.doing), timeout=None if at_work else PATIENCE_S)
        if not ended:
            raise ResourceError(
                "cluster-unusable",
                f"No computer of the cluster had {self.options.threads} free cores "
                f"in {PATIENCE_S / 60:.0f} minutes",
                hint="Use fewer --threads, or wait until others are done (see `ray status`)",
            )
        worker, task = self.doing.pop(ended[0])
        try:
            return worker, task, self.ray.get(ended[0]), None
        except self.ray.exceptions.RayError as error:
            return worker, task, None, error

    def _start_worker(self) -> None:
        worker = self.hire()
        self.doing[worker.ready.remote()] = worker, None

    def _give_work(self, worker: Any) -> None:
        if not self.waiting:
            self.ray.kill(worker)
            return
        task = self.waiting.popleft()
        options = self.there
        if task.again and not options.overwrite:
            # The lost worker may have written the case whole before it ended.
            options = replace(options, resume=True)
        case = replace(task.case, path=task.case.path.absolute())
        self.doing[worker.analyze.remote(case, options, __version__)] = worker, task


def _anywhere(options: AnalyzeSettings) -> AnalyzeSettings:
    """``options`` for a process with another working folder."""
    from lungscore.inference.bundle import list_bundles

    def model(name: str | None) -> str | None:
        own = name is not None and name not in list_bundles()
        return str(Path(name).absolute()) if own else name  # type: ignore[arg-type]

    paths = {
        name: path and path.absolute()
        for name in ("lungs", "lobes", "detector")
        if (path := getattr(options, name)) is not None
    }
    return replace(
        options,
        out=options.out.absolute(),
        model=model(options.model),
        lesions_model=model(options.lesions_model),
        **paths,
    )


def seen_from_here(outcome: Outcome, case: Case, out: Path) -> Outcome:
    """A worker's outcome with the paths that were given here, where its result can be seen here."""
    if outcome.folder is None:
        return replace(outcome, input=case.path)
    folder = out / outcome.folder.name
    if _appears(folder / "result.json"):
        return replace(outcome, input=case.path, folder=folder)
    error = ResourceError(
        "cluster-unusable",
        f"{folder.name} was written on another computer and is not in the output folder here",
        expected="an output folder that all computers share under one path",
    )
    return Outcome(case.path, error=error, case=case.name)


def _appears(file: Path) -> bool:
    """Whether ``file`` is there, or is soon: network folders show what is new a little later."""
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while not file.is_file():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
        if file.parent.parent.is_dir():
            list(file.parent.parent.glob(file.parent.name))  # asks the server again
    return True


def _lost(case: Case, error: Exception | None) -> Outcome:
    if type(error).__name__ == "OutOfMemoryError":
        fault = f"{case.path.name}: Ray ended the process that analysed it, for want of memory"
        lost = ResourceError("out-of-memory", fault, hint="Use fewer --workers or more --threads")
    else:
        lost = ResourceError(
            "worker-lost",
            f"{case.path.name}: the process or computer that analysed it was lost, twice",
            hint="Run the command again with --resume and fewer --workers; lack of memory is the "
            "usual reason",
        )
    return Outcome(case.path, error=lost, case=case.name)


def _no_worker_starts(error: Exception | None) -> ResourceError:
    return ResourceError(
        "cluster-unusable",
        f"The workers stop immediately after starting ({type(error).__name__})",
        expected=f"lungscore {__version__} on every computer of the cluster",
    )
