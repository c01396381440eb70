"""What is in an input, without analysing it."""

from os import PathLike
from pathlib import Path
from typing import Any

from lungscore.errors import InputError
from lungscore.guard import reported
from lungscore.scan.hounsfield import describe
from lungscore.scan.names import case_name
from lungscore.scan.read import opened, read_inventory
from lungscore.scan.recognise import Inventory
from lungscore.scan.scan import CANONICAL_AXES, Scan


def inspect_input(path: str | PathLike[str]) -> dict[str, Any]:
    """What ``read_scan`` would read at ``path``, as values that JSON can hold; writes nothing.

    Keys: ``input`` (own name), ``case``, ``kind``, ``archive``, ``files`` (used, ignored,
    unreadable), ``series`` (of DICOM: UID, modality, slices, spacing, ``chosen``, ``reason``),
    ``geometry``, ``intensities``, ``notices`` and ``rejection`` (None, or code, found, expected and
    hint). What could not be found out is None. Raises nothing for a bad input,
    and ResourceError where there is no room to unpack it.
    """
    path = Path(path)
    report: dict[str, Any] = {
        "input": path.name or path.resolve().name,
        "case": case_name(path),
        "kind": None,
        "archive": None,
        "files": None,
        "series": None,
        "geometry": None,
        "intensities": None,
        "notices": [],
        "rejection": None,
    }
    try:
        with reported(path.name), opened(path) as inventory:
            report |= _files(inventory)
            if inventory.content == "dicom":
                report["series"] = _series(inventory, path.name)
            scan = read_inventory(path, inventory)
            report |= _scan(scan)
            for entry in report["series"] or ():
                entry["chosen"] = entry["series_uid"] == (scan.series_uid or "")
                entry["reason"] = _reason(scan, entry)
    except InputError as error:
        report["rejection"] = {
            "code": error.code,
            "found": error.found,
            "expected": error.expected,
            "hint": error.hint,
        }
    return report


def _files(inventory: Inventory) -> dict[str, Any]:
    return {
        "kind": inventory.content,
        "archive": inventory.archive,
        "files": {
            "used": len(inventory.files),
            "ignored": inventory.ignored,
            "unreadable": inventory.unreadable,
        },
    }


def _series(inventory: Inventory, given: str) -> list[dict[str, Any]]:
    from lungscore.scan.dicom.read import read_groups

    groups = read_groups(inventory.files, inventory.names(given)).groups
    return [{**group.as_dict(), "chosen": False} for group in groups]


def _reason(scan: Scan, entry: dict[str, Any]) -> str:
    for series in scan.left_out:
        if series["series_uid"] == entry["series_uid"]:
            return series["reason"]
    return entry["reason"]


def _scan(scan: Scan) -> dict[str, Any]:
    from nibabel import aff2axcodes

    positions = scan.positions_mm
    return {
        "kind": scan.kind,
        "geometry": {
            "slices": scan.shape[0],
            "rows": scan.shape[1],
            "columns": scan.shape[2],
            "axes": "".join(CANONICAL_AXES),
            "spacing_mm": None if scan.spacing_mm is None else list(scan.spacing_mm),
            "source_shape": list(scan.geometry.shape),
            "source_axes": "".join(aff2axcodes(scan.geometry.affine)),
            "affine": scan.geometry.affine.tolist(),
            "sides_known": scan.sides_known,
            "first_slice_mm": None if positions is None else float(positions[0]),
            "last_slice_mm": None if positions is None else float(positions[-1]),
        },
        "intensities": {"units": scan.units, **_intensities(scan)},
        "notices": [{"code": n.code, "message": n.message} for n in scan.notices],
    }


def _intensities(scan: Scan) -> dict[str, Any]:
    if scan.units == "grey":
        return {"lowest": int(scan.values.min()), "highest": int(scan.values.max())}
    implausible = any(notice.code == "hu-implausible" for notice in scan.notices)
    return {"plausible": not implausible, **describe(scan.values).as_dict()}
