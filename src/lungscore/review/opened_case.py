"""A case of a folder of results, opened for a review: its masks, and its CT where it is at hand."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.assessment import as_lungs, placeholder
from lungscore.batch.case import Case
from lungscore.batch.cohort import cohort_cases
from lungscore.errors import InputError, LungscoreError
from lungscore.followup.case import MASKS, check_belonging, read_result
from lungscore.result.stored import RESULT, damaged
from lungscore.review.masks import Masks, masks_within
from lungscore.scan import Scan, read_scan
from lungscore.scan.masks import check_same_place, mask_format, read_label_volume
from lungscore.scan.names import case_name

LOBES = "lobes.nii.gz"

_VOLUMES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".zip")
_NO_SCAN = "The CT of this case was not found: name its folder with --scans."
_OTHER_SCAN = "The CT that was found for this case is not the one that was analysed."


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """What is reviewed of one case.

    result: the content of result.json. masks: as they were written. digests: SHA-256 of each mask's
    file. scan: the CT, or what carries the masks' geometry. no_ct: why there is no CT, in words.
    """

    folder: Path
    result: dict[str, Any]
    masks: Masks
    digests: dict[str, str]
    scan: Scan
    no_ct: str | None

    @property
    def has_ct(self) -> bool:
        """Whether ``scan`` is the CT."""
        return self.no_ct is None


def open_case(folder: Path, find: Callable[[dict[str, Any]], Path | None]) -> OpenedCase:
    """The case that ``analyze`` or ``score`` wrote into ``folder``.

    find: the path of the CT of a result, None where it is not known. Without the CT, and where it
    is not the one that was analysed, the case opens with its masks alone. Raises InputError
    ``case-incomplete``, ``case-damaged``, ``schema-mismatch`` or ``mask-geometry``, and what
    reading masks raises.
    """
    result = read_result(folder)
    volumes = {}
    for name, kind in ((MASKS[0], "lungs"), (MASKS[1], "lesions"), (LOBES, "lobes")):
        if (folder / name).is_file():
            volumes[kind] = read_label_volume(folder / name, kind)  # type: ignore[arg-type]
        elif kind != "lobes":
            hint = "Give a folder that lungscore analyze or score wrote"
            raise InputError("case-incomplete", f"{folder.name} has no {name}", hint=hint)
    known = result["input"]["spacing_mm"] is not None
    lungs, geometry = volumes["lungs"]
    for kind, (_, other) in volumes.items():
        check_same_place(f"{kind}.nii.gz", other, geometry, spacing_known=known)
    check_belonging(folder, result, lungs, volumes["lesions"][0])
    scan, no_ct = _scan_of(result, find)
    if scan is not None:
        try:
            known = known and scan.spacing_mm is not None
            check_same_place(MASKS[0], geometry, scan.geometry, spacing_known=known)
        except InputError:
            scan, no_ct = None, _OTHER_SCAN
    if scan is None:
        labelled = as_lungs(lungs, MASKS[0])
        kind = mask_format(folder / MASKS[0])
        scan = placeholder(labelled, geometry, kind=kind, name=result["case"])
    hu = scan.values if no_ct is None and scan.units == "hu" else None
    lobes = volumes["lobes"][0] if "lobes" in volumes else None
    masks = masks_within(lungs, volumes["lesions"][0], lobes, hu)
    digests = {kind: _digest(folder / f"{kind}.nii.gz") for kind in volumes}
    return OpenedCase(folder, result, masks, digests, scan, no_ct)


def _scan_of(
    result: dict[str, Any], find: Callable[[dict[str, Any]], Path | None]
) -> tuple[Scan | None, str | None]:
    """The CT of a result, or why there is none."""
    said = result["input"]
    path = find(result)
    if path is None:
        return None, _NO_SCAN
    filled = {"gaps-interpolated", "slices-replaced"} & {w["code"] for w in result["warnings"]}
    try:
        series = said["series_uid"]
        scan = read_scan(path, series=series, allow_gaps=bool(filled), name=result["case"])
    except LungscoreError as error:
        return None, f"The CT cannot be read: {error.message}"
    expected = said.get("voxels_sha256")
    if list(scan.shape) != list(said["shape"]) or expected not in (None, scan.voxels_sha256):
        return None, _OTHER_SCAN
    return scan, None


class ScanFinder:
    """Where the CT of each case lies, told by the names that ``analyze`` gives cases.

    places: what the user named: scans, folders of scans, or manifests. beside: the folder of
    results, in which the demo keeps its scan. They are looked through when a case is asked for.
    Raises InputError ``input-not-found`` for a place that is not there.
    """

    def __init__(self, places: Iterable[Path], beside: Path) -> None:
        self._places = list(places)
        for place in self._places:
            if not place.exists():
                raise InputError("input-not-found", f"No such file or folder: {place}")
        # Beside a folder of cases, or beside the one case that is asked for.
        self._beside = beside.resolve().parent if (beside / RESULT).is_file() else beside
        self._known: dict[str, Path] | None = None

    def __call__(self, result: dict[str, Any]) -> Path | None:
        """The path of the CT of a result; None where no name fits and there is more than one."""
        if self._known is None:
            self._known = self._look()
        if (path := self._known.get(result["case"])) is not None:
            return path
        named = list(self._known.values()) if self._places else []
        return named[0] if len(named) == 1 else None

    def _look(self) -> dict[str, Path]:
        known: dict[str, Path] = {}
        for place in self._places or [self._beside]:
            # A folder with one volume is called as the folder: its results need not be.
            volumes = [path for path in _files(place) if path.name.lower().endswith(_VOLUMES)]
            for path in volumes:
                known.setdefault(case_name(path), path)
            for case in cohort_cases([place])[0]:
                path = case.path if isinstance(case, Case) else case
                faulty = isinstance(case, Case) and case.error is not None
                if not faulty and not (path == place and volumes):
                    name = case.name if isinstance(case, Case) else case_name(case)
                    known.setdefault(name, path)
        return known


def _files(place: Path) -> list[Path]:
    """The files directly in a folder; none if it is not a folder."""
    return sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else []


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise damaged(path.name, f"it cannot be read ({error.strerror})") from None


def window_of(scan: Scan, *, has_ct: bool) -> tuple[int, int]:
    """Lowest and highest value shown to begin with: the lung window, or all grey levels."""
    if scan.units == "grey" or not has_ct:
        return 0, 255
    return -1350, 150


def ct_block(scan: Scan, block: int, size: int) -> np.ndarray:
    """The slices ``block`` · size to (block + 1) · size, little-endian. IndexError for none."""
    if not 0 <= block * size < scan.shape[0]:
        raise IndexError(block)
    values = scan.values[block * size : (block + 1) * size]
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
