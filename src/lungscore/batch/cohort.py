"""A cohort: many cases into one folder, and what was found in all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from lungscore.batch.case import Case, as_case
from lungscore.batch.executors import run
from lungscore.batch.one_case import Outcome
from lungscore.batch.settings import AnalyzeSettings
from lungscore.errors import InputError, LungscoreError, ResourceError, UsageError
from lungscore.scan.names import case_name

#: So many failures of the computer, one after the other, end a run: the next would fail alike.
FAILURES_IN_A_ROW = 5

#: Failures of the computer that one large or slow scan can cause.
_OF_ONE_SCAN = ("out-of-memory", "timed-out", "worker-lost")


@dataclass
class Progress:
    """How far a run is. failures: case -> why it failed."""

    cases: int
    analysed: int = 0
    skipped: int = 0
    failures: dict[str, LungscoreError] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return self.analysed + self.skipped + len(self.failures)


def cohort_cases(
    inputs: Sequence[Path], groups: Sequence[str] = ()
) -> tuple[Sequence[Path | Case], bool]:
    """The cases of ``inputs``, and whether they are a cohort.

    They are one where an input is a manifest or a folder of several scans. Raises UsageError where
    ``groups`` are asked for without a manifest, and InputError as reading a manifest does.
    """
    from lungscore.batch.find import find_cases
    from lungscore.batch.manifest_cases import GROUPS, is_manifest

    manifests = [is_manifest(path) for path in inputs]
    if unknown := [group for group in groups if group not in GROUPS]:
        expected = " | ".join(GROUPS)
        raise UsageError("usage", f"Unknown group: {unknown[0]!r}", expected=expected)
    if groups and not all(manifests):
        raise UsageError(
            "usage", "--group applies to manifests only", expected="only manifests as INPUT"
        )
    of_inputs = [
        _manifest(path, groups) if manifest else list(find_cases(path))
        for path, manifest in zip(inputs, manifests, strict=True)
    ]
    cases = list(chain.from_iterable(of_inputs))
    faulty = [case for case in cases if case.error is not None]
    if len(cases) > len(inputs) or (any(manifests) and len(faulty) < len(cases)):
        return cases, True
    return [case if case.error is not None else case.path for case in cases], False


def _manifest(path: Path, groups: Sequence[str]) -> list[Case]:
    """The cases of a manifest; one that cannot be read is a case that fails, beside the others."""
    from lungscore.batch.manifest_cases import manifest_cases

    try:
        return list(manifest_cases(path, groups))
    except InputError as error:
        return [Case(case_name(path), path, error)]


def run_cohort(
    cases: Sequence[Path | Case],
    options: AnalyzeSettings,
    *,
    workers: int = 1,
    ray: str | None = None,
    report: Callable[[Progress, Outcome], None] = lambda progress, outcome: None,
) -> Progress:
    """Analyse all cases, then write the tables and the page of the cohort.

    ray: as of ``batch.run``. report: is told of every outcome. Raises UsageError ``output-exists``
    before any work where a table would replace a file that is not ours, or without ``overwrite``
    and ``resume`` any; ResourceError where the folder cannot be written, or as ``run_share``: then
    there are no tables, and ``resume`` goes on.
    """
    from lungscore.batch.leftovers import clear_leftovers
    from lungscore.batch.table import refuse_tables, write_cohort

    refuse_tables(options.out, overwrite=options.overwrite, resume=options.resume)
    clear_leftovers(options.out)
    try:
        progress = run_share(cases, options, workers=workers, ray=ray, report=report)
    finally:
        clear_leftovers(options.out)
    names = (as_case(case).name for case in cases)
    progress.failures = write_cohort(options.out, names, progress.failures)
    return progress


def run_share(
    cases: Sequence[Path | Case],
    options: AnalyzeSettings,
    *,
    workers: int = 1,
    ray: str | None = None,
    report: Callable[[Progress, Outcome], None] = lambda progress, outcome: None,
) -> Progress:
    """Analyse some cases of a cohort and write nothing of the whole.

    Other computers may be writing into the same folder: nothing there is cleared up. Raises
    ResourceError where the computer fails ``FAILURES_IN_A_ROW`` times in a row.
    """
    progress, in_a_row = Progress(len(cases)), 0
    for outcome in run(cases, options, workers=workers, isolated=True, ray=ray):
        error = outcome.error
        if error is not None:
            progress.failures[outcome.case] = error
        elif outcome.skipped:
            progress.skipped += 1
        else:
            progress.analysed += 1
        report(progress, outcome)
        in_a_row = in_a_row + 1 if error and _of_the_computer(error) else 0
        if error is not None and in_a_row == FAILURES_IN_A_ROW:
            raise ResourceError(
                error.code,
                f"{in_a_row} cases in a row failed alike. The last one: {error.found}",
                expected=error.expected,
                hint=f"{error.hint or 'put it right'}; then go on with --resume",
            )
    return progress


def _of_the_computer(error: LungscoreError) -> bool:
    return isinstance(error, ResourceError) and error.code not in _OF_ONE_SCAN
