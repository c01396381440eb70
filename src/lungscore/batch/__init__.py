"""Many scans: one after the other or in several processes, each isolated from the others."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from lungscore.errors import LungscoreError, ResourceError


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


@dataclass(frozen=True)
class Outcome:
    """How one case ended: a folder of results, or an error."""

    input: Path
    folder: Path | None = None
    table: str = ""
    skipped: bool = False
    error: LungscoreError | None = None


def run(inputs: Sequence[Path], options: Options, *, workers: int = 1) -> Iterator[Outcome]:
    """Analyse every input and yield its outcome in order; a failed case stops no other."""
    if workers <= 1 or len(inputs) <= 1:
        for path in inputs:
            yield analyze_one(path, options)
        return
    # "spawn": engines keep threads, which a forked child would inherit broken.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(analyze_one, path, options) for path in inputs]
        for path, future in zip(inputs, futures, strict=True):
            try:
                yield future.result()
            except BrokenProcessPool:
                error = ResourceError(
                    "out-of-memory",
                    f"{path.name}: the process that analysed it, or one beside it, was killed",
                    hint="use fewer --workers",
                )
                yield Outcome(path, error=error)


def analyze_one(path: Path, options: Options) -> Outcome:
    """Analyse and write one case. Expected failures become the outcome's error."""
    from lungscore.analysis import analyze
    from lungscore.report import text_table, write_outputs
    from lungscore.report.outputs import refuse_existing
    from lungscore.scan.names import case_name

    try:
        case = case_name(path, options.name)
        finished = options.out / case
        if options.resume and (finished / "result.json").is_file():
            return Outcome(path, finished, skipped=True)
        refuse_existing(options.out, case, overwrite=options.overwrite)
        analysis = analyze(
            path,
            segmenter=_segmenter(options.model, options.engine, options.precision, options.threads),
            series=options.series,
            allow_gaps=options.allow_gaps,
            lungs=options.lungs,
            lobes=options.lobes,
            name=options.name,
        )
        folder = write_outputs(analysis, options.out, overwrite=options.overwrite)
        return Outcome(path, folder, text_table(analysis))
    except LungscoreError as error:
        return Outcome(path, error=error)
    except MemoryError:
        error = ResourceError(
            "out-of-memory", f"{path.name} does not fit into memory", hint="use fewer --workers"
        )
        return Outcome(path, error=error)


@lru_cache(maxsize=1)
def _segmenter(model: str | None, engine: str, precision: str, threads: int | None) -> object:
    """The model, loaded once in each process."""
    from lungscore.inference import Segmenter, load_bundle

    bundle = load_bundle(model) if model else None
    return Segmenter(bundle, engine=engine, precision=precision, threads=threads)
