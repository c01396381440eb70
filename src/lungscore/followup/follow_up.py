"""One patient at two times: both cases, however they are given, and their comparison."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path

from lungscore.analysis import analyze
from lungscore.errors import UsageError
from lungscore.followup.case import Case, case_of, is_case_folder, read_case, read_result
from lungscore.followup.comparison import Comparison, compare_results
from lungscore.inference import Segmenter
from lungscore.result import Analysis
from lungscore.scan.names import case_name, safe_name

AnyPath = str | PathLike[str]
Source = AnyPath | Analysis


@dataclass(frozen=True)
class FollowUp:
    """Two examinations of one patient and what changed between them.

    Parameters
    ----------
    earlier, later : Case
        Result and masks of each examination.
    comparison : Comparison
        The change of every number.
    """

    earlier: Case
    later: Case
    comparison: Comparison


def compare(
    earlier: Source,
    later: Source,
    *,
    earlier_ct: AnyPath | None = None,
    later_ct: AnyPath | None = None,
    segmenter: Segmenter | Callable[[], Segmenter] = Segmenter,
    name: str | None = None,
) -> FollowUp:
    """Compare two examinations of one patient.

    Parameters
    ----------
    earlier, later : path or Analysis
        A case folder written by ``analyze`` or ``score``, a scan, which is then analysed, or an
        Analysis. The caller states which is earlier.
    earlier_ct, later_ct : path, optional
        The scan behind a case folder, for pictures that show the CT.
    segmenter : Segmenter or callable, optional
        Loaded networks, or a function that loads them when a scan needs analysing.
    name : str, optional
        Name of the comparison; by default EARLIER-to-LATER.

    Returns
    -------
    FollowUp
        ``comparison.changes`` has every number of result.json: percentages change in percentage
        points, volumes in ml, scores in points, classes in steps.

    Raises
    ------
    InputError, ResourceError, UsageError
        With a stable code (docs/errors.md).
    """
    name = comparison_name(earlier, later, name)

    @cache
    def loaded() -> Segmenter:
        return segmenter if isinstance(segmenter, Segmenter) else segmenter()

    first = _case(earlier, earlier_ct, loaded)
    second = _case(later, later_ct, loaded)
    comparison = compare_results(
        first.result,
        second.result,
        name=name,
        versions=(first.version, second.version),
        dates=(first.study_date, second.study_date),
    )
    return FollowUp(first, second, comparison)


def comparison_name(earlier: Source, later: Source, name: str | None = None) -> str:
    """``name``, or EARLIER-to-LATER of the cases' names, as the name of a folder."""
    return safe_name(name if name is not None else f"{_name(earlier)}-to-{_name(later)}")


def _name(source: Source) -> str:
    if isinstance(source, Analysis):
        return safe_name(source.scan.name)
    path = Path(source)
    return str(read_result(path)["case"]) if is_case_folder(path) else case_name(path)


def _case(source: Source, ct: AnyPath | None, segmenter: Callable[[], Segmenter]) -> Case:
    if not isinstance(source, Analysis) and is_case_folder(Path(source)):
        return read_case(Path(source), ct=None if ct is None else Path(ct))
    if ct is not None:
        raise UsageError(
            "usage",
            "--earlier-ct and --later-ct apply to case folders; a scan is its own CT",
            expected="--earlier-ct or --later-ct only with a case folder",
        )
    return case_of(source if isinstance(source, Analysis) else analyze(source, segmenter=segmenter))
