"""Many scans: one after the other or in several processes, each isolated from the others."""

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lungscore.errors import LungscoreError, ResourceError, UsageError

if TYPE_CHECKING:
    from lungscore.inference import Segmenter
    from lungscore.patients.stored import Detector

_FEWER_WORKERS = "use fewer --workers"
_REPORT = "run again with --debug and report what it prints"


@dataclass(frozen=True)
class Options:
    """What ``analyze`` was asked for, for every case alike."""

    out: Path
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    series: str | None = None
    allow_gaps: bool = False
    lungs: Path | None = None
    lobes: Path | None = None
    name: str | None = None
    overwrite: bool = False
    resume: bool = False
    model: str | None = None
    lesions_model: str | None = None
    ranges: bool = True
    detector: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How one case ended: a folder of results, or an error.

    table: the severity as text. trace: the traceback of a bug of ours, which may hold paths.
    """

    input: Path
    folder: Path | None = None
    table: str = ""
    skipped: bool = False
    error: LungscoreError | None = None
    trace: str = ""


def run(
    inputs: Sequence[Path], options: Options, *, workers: int = 1, ray: str | None = None
) -> Iterator[Outcome]:
    """Analyse every input and yield its outcome in order; a failed case stops no other.

    ray: the address of a Ray cluster, or ``local`` (ray_cluster.py); outcomes come as cases end.

    Raises UsageError before anything is read where two inputs would be written to one folder, and
    ResourceError where the detector cannot be read.
    """
    check_names(inputs, options.name)
    if options.detector is not None:
        _detector(options.detector)
    if ray is not None:
        from lungscore.batch.ray_cluster import run_on_ray

        yield from run_on_ray(inputs, options, address=ray, workers=workers)
        return
    workers = min(workers, len(inputs))
    if workers > 1:
        from lungscore.batch.processes import run_in_processes
        from lungscore.machine import available_threads

        if options.threads is None:
            options = replace(options, threads=max(1, available_threads() // workers))
        yield from run_in_processes(inputs, options, workers=workers)
    else:
        for path in inputs:
            yield analyze_one(path, options)


def check_names(inputs: Sequence[Path], name: str | None = None) -> None:
    """Raise UsageError where two of ``inputs`` have one case name on some file system."""
    from lungscore.scan.names import case_name

    named: dict[str, Path] = {}
    for path in inputs:
        folder = case_name(path, name)
        other = named.setdefault(folder.casefold(), path)
        if other is not path:
            raise UsageError(
                "usage",
                f"two inputs would both be written to {folder}",
                expected="inputs whose own names differ",
                hint="analyse them one by one with --case-id, or into different folders",
            )


def analyze_one(path: Path, options: Options) -> Outcome:
    """Analyse and write one case. Every failure becomes the outcome's error."""
    try:
        return _analyze_one(path, options)
    except LungscoreError as error:
        return Outcome(path, error=error)
    except MemoryError:
        found = f"{path.name} does not fit into memory"
        return Outcome(path, error=ResourceError("out-of-memory", found, hint=_FEWER_WORKERS))
    except Exception as error:  # a bug of ours must not end the others' analysis
        bug = LungscoreError("internal", f"{type(error).__name__} in lungscore", hint=_REPORT)
        return Outcome(path, error=bug, trace=traceback.format_exc())


def _analyze_one(path: Path, options: Options) -> Outcome:
    from lungscore.analysis import analyze
    from lungscore.report import text_table, write_outputs
    from lungscore.report.outputs import refuse_existing
    from lungscore.scan.names import case_name

    case = case_name(path, options.name)
    finished = options.out / case
    if options.resume and (finished / "result.json").is_file():
        return Outcome(path, finished, skipped=True)
    refuse_existing(options.out, case, overwrite=options.overwrite)
    detector = None if options.detector is None else _detector(options.detector)
    analysis = analyze(
        path,
        segmenter=lambda: _segmenter(
            options.model,
            options.lesions_model,
            options.engine,
            options.precision,
            options.threads,
        ),
        series=options.series,
        allow_gaps=options.allow_gaps,
        lungs=options.lungs,
        lobes=options.lobes,
        name=options.name,
        ranges=options.ranges,
    )
    if detector is not None:
        from lungscore.patients.detect import detect

        analysis = replace(analysis, detected=detect(analysis, *detector))
    folder = write_outputs(analysis, options.out, overwrite=options.overwrite)
    return Outcome(path, folder, text_table(analysis))


@lru_cache(maxsize=1)
def _detector(path: Path) -> "tuple[Detector, str]":
    """The user's detector and the hash of its file, read once in each process."""
    from lungscore.patients.stored import Detector, read_model

    return read_model(path, Detector)


@lru_cache(maxsize=1)
def _segmenter(
    model: str | None,
    lesions_model: str | None,
    engine: str,
    precision: str,
    threads: int | None,
) -> "Segmenter":
    """The models, loaded once in each process."""
    from lungscore.inference import load_segmenter

    return load_segmenter(model, lesions_model, engine=engine, precision=precision, threads=threads)
