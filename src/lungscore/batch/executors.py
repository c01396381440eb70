"""What runs the cases: this process, several, or a Ray cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lungscore.batch.case import Case, as_case
from lungscore.batch.one_case import Outcome, analyze_one, load_detector
from lungscore.batch.settings import AnalyzeSettings
from lungscore.errors import UsageError


def run(
    inputs: Sequence[Path | Case],
    options: AnalyzeSettings,
    *,
    workers: int = 1,
    isolated: bool = False,
    ray: str | None = None,
) -> Iterator[Outcome]:
    """Analyse every input and yield its outcome in order; a failed case stops no other.

    isolated: use a process of its own for one worker, too, so that a case which is killed ends
        itself alone.
    ray: the address of a Ray cluster, or ``local`` (ray_cluster.py); outcomes come as cases end.
    This is the one place where what runs the cases is chosen.

    Raises UsageError before anything is read where two inputs would be written to one folder, and
    ResourceError where the detector cannot be read.
    """
    check_names(inputs, options.name)
    if options.detector is not None:
        load_detector(options.detector)
    if not inputs:  # as in a share of a small cohort
        return
    if ray is not None:
        from lungscore.batch.ray_cluster import run_on_ray

        yield from run_on_ray(inputs, options, address=ray, workers=workers)
        return
    workers = min(workers, len(inputs))
    if workers > 1 or isolated:
        from lungscore.batch.processes import run_in_processes
        from lungscore.machine import available_threads

        if options.threads is None:
            options = replace(options, threads=max(1, available_threads() // workers))
        yield from run_in_processes(inputs, options, workers=workers)
    else:
        for given in inputs:
            yield analyze_one(given, options)


def check_names(inputs: Sequence[Path | Case], name: str | None = None) -> None:
    """Raise UsageError where two of ``inputs`` have one case name on some file system."""
    named: set[str] = set()
    for given in inputs:
        folder = as_case(given, name).name
        if folder.casefold() in named:
            raise UsageError(
                "usage",
                f"Two inputs would be written to the same folder: {folder}",
                expected="inputs with different names",
                hint="Analyse them one by one with --case-id, or write them to different folders",
            )
        named.add(folder.casefold())
