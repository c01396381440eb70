"""One case, analysed and written, isolated from the others."""

import traceback
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lungscore.batch.case import Case, as_case
from lungscore.batch.settings import AnalyzeSettings, ModelSettings
from lungscore.batch.time_limit import TimedOut, time_limit
from lungscore.errors import InputError, LungscoreError, ResourceError, UsageError, escaped
from lungscore.files import atomic_write
from lungscore.guard import unforeseen
from lungscore.interruption import is_told
from lungscore.scan.dicom.workers import started_early

if TYPE_CHECKING:
    from lungscore.inference import Segmenter
    from lungscore.patients.stored import Detector

_FEWER_WORKERS = "Use fewer --workers"


@dataclass(frozen=True)
class Outcome:
    """How one case ended: a folder of results, or an error.

    table: the severity as text. faults: what the scan itself violates of DICOM, where DICOM objects
    were made of it. trace: the traceback of a bug of ours, which may hold paths. case:
    the name of its folder.
    """

    input: Path
    folder: Path | None = None
    table: str = ""
    skipped: bool = False
    error: LungscoreError | None = None
    trace: str = ""
    case: str = ""
    faults: tuple[str, ...] = ()


def analyze_one(given: Path | Case, options: AnalyzeSettings) -> Outcome:
    """Analyse and write one case. Every failure becomes the outcome's error."""
    case = as_case(given, options.name)
    trace = ""
    try:
        if case.error is not None:
            raise case.error
        with time_limit(options.timeout):
            return replace(_analyze_one(case, options), case=case.name)
    except LungscoreError as failure:
        error = _without_folders(failure, case.path)
    except TimedOut:
        fault = f"{_own_name(case.path)} took longer than {options.timeout:g} seconds"
        error = ResourceError("timed-out", fault, hint="Allow more time with --timeout")
    except MemoryError:
        fault = f"{_own_name(case.path)} does not fit into memory"
        error = ResourceError("out-of-memory", fault, hint=_FEWER_WORKERS)
    except ModuleNotFoundError as missing:
        error = ResourceError("library-missing", f"{missing.name} is not installed")
    except Exception as bug:  # a bug of ours must not end the others' analysis
        if is_told():  # an interruption that a library took for a failure of its own
            raise KeyboardInterrupt from bug
        error = unforeseen(_own_name(case.path), bug)
        trace = traceback.format_exc()
    return Outcome(case.path, error=error, trace=trace, case=case.name)


def _without_folders(error: LungscoreError, path: Path) -> LungscoreError:
    """``error`` with the own name of ``path`` only: messages are kept in files."""
    fault = error.found
    if len(path.parts) > 1:  # a lone name has no folders, and "." stands in many a number
        fault = fault.replace(escaped(str(path)), escaped(_own_name(path)))
    return type(error)(error.code, fault, expected=error.expected, hint=error.hint)


def _own_name(path: Path) -> str:
    """The last part of ``path``; that of the folder itself where it is relative, as "." is."""
    return path.name if path.name not in ("", "..") else path.resolve().name


def _analyze_one(case: Case, options: AnalyzeSettings) -> Outcome:
    from lungscore.report.case_folder import refuse_existing

    path, finished = case.path, options.out / case.name
    stored = finished / "result.json"
    if options.resume and stored.is_file():
        _check_stored(stored, case.name)
        faults = _write_objects(path, finished, options)
        return Outcome(path, finished, skipped=True, faults=faults)
    refuse_existing(options.out, case.name, overwrite=options.overwrite)
    if options.dicom:
        from lungscore.pacs.source import check_source

        check_source(path, options.series)  # not after minutes of analysis
    if options.report.pdf:
        from lungscore.report.pdf import weasyprint

        weasyprint()  # that it is missing should not be said after the work
    detector = None if options.detector is None else load_detector(options.detector)
    with started_early(path):
        from lungscore.analysis import analyze

        analysis = analyze(
            path,
            segmenter=lambda: _segmenter(options.models),
            name=case.name,
            **options.of_scan,
        )
    # Not before: they have loaded beside reading, with the models.
    from lungscore.report.outputs import write_outputs
    from lungscore.report.text import text_table

    if detector is not None:
        from lungscore.patients.detect import detect

        analysis = replace(analysis, detected=detect(analysis, *detector))
    try:
        folder = write_outputs(
            analysis, options.out, overwrite=options.overwrite, settings=options.report
        )
    except UsageError:
        # Another run wrote it meanwhile: the last breath of one that was killed, or a second job.
        if options.resume and stored.is_file():
            return Outcome(path, finished, skipped=True)
        raise
    faults = _write_objects(path, folder, options)
    return Outcome(path, folder, text_table(analysis), faults=faults)


def _write_objects(path: Path, folder: Path, options: AnalyzeSettings) -> tuple[str, ...]:
    """FHIR and DICOM objects beside a result, where they were asked for and are not there.

    They are written after the result: whatever fails here, the result stays. Gives what the scan
    itself violates of DICOM.
    """
    if options.fhir:
        from lungscore.pacs.fhir import FHIR, fhir_bytes
        from lungscore.result.stored import RESULT, read_stored

        result = read_stored(folder / RESULT, f"{RESULT} of {folder.name}")
        atomic_write(folder / FHIR, fhir_bytes(result, etiology=options.etiology))
    if options.dicom:
        from lungscore.pacs.write import ObjectSettings, write_objects
        from lungscore.report.case_folder import DICOM

        if not (folder / DICOM).exists():
            settings = ObjectSettings(options.regions, options.etiology)
            return write_objects(folder, path, folder / DICOM, settings=settings).faults
    return ()


def _check_stored(stored: Path, case: str) -> None:
    """Raise InputError where a result that is there already cannot be read.

    One of another version stays as it is.
    """
    from lungscore.result.stored import read_stored

    try:
        read_stored(stored, f"result.json of {case}")
    except InputError as error:
        if error.code == "schema-mismatch":
            return
        raise InputError(
            error.code,
            error.found,
            expected=error.expected,
            hint="Remove its folder and use --resume, or replace all with --overwrite",
        ) from None


@lru_cache(maxsize=1)
def load_detector(path: Path) -> "tuple[Detector, str]":
    """The user's detector and the hash of its file, read once in each process."""
    from lungscore.patients.stored import Detector, read_model

    return read_model(path, Detector)


@lru_cache(maxsize=1)
def _segmenter(models: ModelSettings) -> "Segmenter":
    """The models, loaded once in each process, and beside reading what writing will need."""
    from lungscore.inference import load_segmenter

    import_module("lungscore.report.outputs")
    return load_segmenter(
        models.model,
        models.lesions_model,
        engine=models.engine,
        precision=models.precision,
        threads=models.threads,
        device=models.device,
    )
