"""One of the two cases of a follow-up: a folder that was written, or an analysis at hand."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lungscore.errors import InputError
from lungscore.result import Analysis, to_result
from lungscore.result.numbers import NUMBERS
from lungscore.result.stored import damaged, stored_identifiers, stored_version
from lungscore.result.valid import read_valid
from lungscore.scan import read_scan
from lungscore.scan.masks import check_same_place, read_label_volume
from lungscore.scan.names import safe_name
from lungscore.version import __version__

RESULT = "result.json"
MASKS = ("lungs.nii.gz", "lesions.nii.gz")

#: The masks' percent may differ from the result's by its rounding.
TOLERANCE_PERCENT = 1e-3

_HINT = "Give a folder that lungscore analyze or score wrote"


@dataclass(frozen=True)
class Case:
    """What is compared of one case.

    result: the content of result.json. version: of lungscore, which wrote it, where known.
    lungs, lesions: (D, H, W) uint8 labels on canonical axes.
    values, units: (D, H, W) the CT on the same voxels; None where it is not at hand.
    study_date: YYYYMMDD, where identifiers were asked for with the result; None otherwise.
    """

    result: Mapping[str, Any]
    version: str | None
    lungs: np.ndarray
    lesions: np.ndarray
    values: np.ndarray | None
    units: Literal["hu", "grey"] | None
    study_date: str | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float] | None:
        """(z, y, x), or None where the input did not state it."""
        given = self.result["input"]["spacing_mm"]
        return None if given is None else (given[0], given[1], given[2])


def is_case_folder(path: Path) -> bool:
    """Whether ``path`` is a folder that ``analyze`` or ``score`` wrote, whole or not."""
    return (path / RESULT).is_file() or all((path / mask).is_file() for mask in MASKS)


def case_of(analysis: Analysis) -> Case:
    """The case of an analysis at hand."""
    return Case(
        result=json.loads(to_result(analysis).to_json()),
        version=__version__,
        lungs=analysis.lungs.labels,
        lesions=analysis.lesions.labels,
        values=analysis.scan.values if analysis.has_ct else None,
        units=analysis.scan.units if analysis.has_ct else None,
    )


def read_case(folder: Path, *, ct: Path | None = None) -> Case:
    """The case that ``analyze`` or ``score`` wrote into ``folder``.

    ct: the scan it was made of, for the pictures. Raises InputError ``case-incomplete``,
    ``case-damaged``, ``schema-mismatch``, ``mask-geometry``, or what reading masks and CT raises.
    """
    result = read_result(folder)
    for mask in MASKS:
        if not (folder / mask).is_file():
            raise InputError("case-incomplete", f"{folder.name} has no {mask}", hint=_HINT)
    lungs, geometry = read_label_volume(folder / MASKS[0], "lungs")
    lesions, lesion_geometry = read_label_volume(folder / MASKS[1], "lesions")
    known = result["input"]["spacing_mm"] is not None
    check_same_place(MASKS[1], lesion_geometry, geometry, spacing_known=known)
    check_belonging(folder, result, lungs, lesions)
    scan = None
    if ct is not None:
        # The very series that was analysed, its gaps filled as they were then.
        filled = any(warning["code"] == "gaps-interpolated" for warning in result["warnings"])
        scan = read_scan(ct, series=result["input"]["series_uid"], allow_gaps=filled)
        known = known and scan.spacing_mm is not None
        check_same_place(f"{folder.name}/{MASKS[0]}", geometry, scan.geometry, spacing_known=known)
    return Case(
        result=result,
        version=stored_version(folder),
        lungs=lungs,
        lesions=lesions,
        values=None if scan is None else scan.values,
        units=None if scan is None else scan.units,
        study_date=stored_identifiers(folder).get("study_date"),
    )


def read_result(folder: Path) -> dict[str, Any]:
    """The content of ``folder``/result.json, valid but for keys that other versions add or lack.

    Raises InputError ``case-incomplete``, ``case-damaged`` or ``schema-mismatch``.
    """
    path = folder / RESULT
    if not path.is_file():
        raise InputError("case-incomplete", f"{folder.name} has no {RESULT}", hint=_HINT)
    content = read_valid(path, _called(folder))
    # A case's name may become a folder's.
    return {**content, "case": safe_name(content["case"])}


def check_belonging(
    folder: Path, result: Mapping[str, Any], lungs: np.ndarray, lesions: np.ndarray
) -> None:
    """Raise case-damaged where the masks are not those that the result was counted on."""
    said = tuple(result["input"]["shape"])
    if lungs.shape != said:
        raise damaged(_called(folder), f"its masks have {lungs.shape} voxels, not {said}")
    voxels = np.count_nonzero(lungs)
    percent = NUMBERS["infection_percent"].value(result)
    if voxels == 0 or percent is None:
        return
    counted = 100 * np.count_nonzero((lesions > 0) & (lungs > 0)) / voxels
    if abs(counted - percent) > TOLERANCE_PERCENT:
        raise InputError(
            "case-damaged",
            f"{RESULT} of {folder.name} says {percent:.2f} % infected, its masks {counted:.2f} %",
            expected="masks as they were when the result was written",
            hint="Use lungscore score for edited masks",
        )


def _called(folder: Path) -> str:
    return f"{RESULT} of {folder.name}"
