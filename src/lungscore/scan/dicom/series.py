"""Which series of the input is the chest CT, and why the others are not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.dicom.belonging import joined, set_aside
from lungscore.scan.dicom.header import CT_IMAGE, ENHANCED_CT, SECONDARY_CAPTURE, Header

#: Positions that make a volume: fewer are a scout, a test of the bolus, or single slices.
VOLUME_SLICES = 10

#: Cosine between a slice's normal and the body's axis above which the slice is axial.
AXIAL_COSINE = 0.8


@dataclass(frozen=True)
class Series:
    """The images of one SeriesInstanceUID.

    headers: its usable CT images. other_images: its scouts, projections, captures and coloured
    images. strangers: their kinds, and how many there are of each. merged: how many series UIDs it
    was written under where every image has one of its own. reason: why it cannot be the chest CT,
    or "". code: the rejection that reason stands for when nothing else is there.
    """

    uid: str
    headers: tuple[Header, ...]
    other_images: tuple[Header, ...]
    reason: str = ""
    code: str = ""
    strangers: dict[str, int] = field(default_factory=dict)
    merged: int = 0

    @property
    def modality(self) -> str:
        """The most frequent modality of its images."""
        every = self.headers + self.other_images
        return Counter(header.modality for header in every).most_common(1)[0][0]

    @property
    def positions(self) -> int:
        """How many places its images stand at."""
        return len({header.position for header in self.headers if header.position})

    def as_dict(self) -> dict[str, Any]:
        """What inspect and the report list of a series; no DICOM text but UID and modality."""
        first = (self.headers or self.other_images)[0]
        return {
            "series_uid": self.uid,
            "modality": self.modality,
            "slices": len(self.headers),
            "other_images": len(self.other_images),
            "rows": first.rows,
            "columns": first.columns,
            "pixel_spacing_mm": list(first.pixel_spacing) if first.pixel_spacing else None,
            "slice_thickness_mm": first.thickness,
            "reason": self.reason,
        }


def group_series(headers: Sequence[Header]) -> list[Series]:
    """The series of ``headers``, each with the reason why it cannot be the chest CT, if any."""
    groups: dict[str, list[Header]] = {}
    for header in headers:
        groups.setdefault(header.series_uid, []).append(header)
    whole, merged = joined(groups, VOLUME_SLICES)
    result = []
    for uid, members in sorted(whole.items()):
        is_merged = len(members) > len(groups[uid])
        result.append(_series(uid, members, merged=merged if is_merged else 0))
    return result


def choose_series(groups: Sequence[Series], uid: str | None = None) -> Series:
    """The series to read: the one asked for, or the best by rule.

    Rule, in this order: at least ten positions; axial; no averages, nor projections by
    description; ORIGINAL and PRIMARY; most slices; thinnest; smallest UID. Raises InputError
    ``series-not-found``, ``mixed-patients``, and where no series will do ``wrong-modality``,
    ``no-axial-ct`` or ``multiframe-unsupported``.
    """
    if uid is not None:
        chosen = _asked_for(groups, uid)
        _check_one_patient([chosen])
        return chosen
    usable = [group for group in groups if not group.reason]
    if not usable:
        raise _nothing_usable(groups)
    _check_one_patient(usable)
    return min(usable, key=_rank)


def left_out(groups: Sequence[Series], chosen: Series) -> tuple[dict[str, Any], ...]:
    """The other series, each with its reason."""
    rest = (group.as_dict() for group in groups if group.uid != chosen.uid)
    return tuple(entry | {"reason": entry["reason"] or _worse(entry, chosen)} for entry in rest)


def is_axial(header: Header) -> bool:
    """Whether a slice lies across the body."""
    if header.orientation is None:
        return True  # a CT that does not say: nothing speaks against it
    row, column = np.reshape(header.orientation, (2, 3))
    return bool(abs(np.cross(row, column)[2]) >= AXIAL_COSINE)


def _series(uid: str, members: Sequence[Header], *, merged: int = 0) -> Series:
    usable, foreign = set_aside([header for header in members if _is_ct_slice(header)])
    other_images = [header for header in members if not _is_ct_slice(header)]
    kinds = Counter(_kind(header) for header in other_images)
    kinds.update({kind: len(strangers) for kind, strangers in foreign.items()})
    other_images += [header for strangers in foreign.values() for header in strangers]

    def build(reason: str = "", code: str = "") -> Series:
        return Series(uid, tuple(usable), tuple(other_images), reason, code, dict(kinds), merged)

    if usable:
        group = build()
        if not any(map(is_axial, usable)) and group.positions < VOLUME_SLICES:
            return build("no axial slices", "no-axial-ct")
        return group
    if other_images and all(header.projection for header in other_images):
        return build("projections through several slices (MIP, MinIP), not slices", "no-axial-ct")
    if any(_is_multiframe(header) for header in other_images):
        return build("enhanced multi-frame images", "multiframe-unsupported")
    if any("LOCALIZER" in header.image_type for header in other_images):
        return build("scout images only", "no-axial-ct")
    modality = build().modality
    if modality == "CT":
        return build("captured or derived pictures, not slices", "no-axial-ct")
    return build(f"modality {modality}, not CT", "wrong-modality")


def _is_ct_slice(header: Header) -> bool:
    if header.sop_class and header.sop_class != CT_IMAGE:
        return False
    plain = header.frames <= 1 and header.samples == 1 and header.rows > 0
    one_slice = "LOCALIZER" not in header.image_type and not header.projection
    return header.modality == "CT" and plain and one_slice


def _kind(header: Header) -> str:
    """What an image is if it is not a slice, in words."""
    if "LOCALIZER" in header.image_type:
        return "scouts"
    if header.projection:
        return "projections (MIP, MinIP)"
    if header.frames > 1:
        return "multi-frame images"
    return "captured pictures" if header.modality == "CT" else f"images of {header.modality}"


def _is_multiframe(header: Header) -> bool:
    ct = header.modality == "CT" and not header.sop_class.startswith(SECONDARY_CAPTURE)
    return header.sop_class in ENHANCED_CT or (ct and header.frames > 1)


def _rank(group: Series) -> tuple:
    first = group.headers[0]
    original = first.image_type[:2] == ("ORIGINAL", "PRIMARY")
    return (
        group.positions < VOLUME_SLICES,
        not is_axial(first),
        any(header.averaged or header.described for header in group.headers),
        not original,
        -group.positions,
        first.thickness or np.inf,
        group.uid,
    )


def _worse(entry: dict[str, Any], chosen: Series) -> str:
    if entry["slices"] < len(chosen.headers):
        return "fewer slices than the series used"
    return "ranks after the series used"


def _asked_for(groups: Sequence[Series], uid: str) -> Series:
    for group in groups:
        if group.uid == uid:
            if group.reason:
                raise InputError(group.code, f"The requested series cannot be used: {group.reason}")
            return group
    raise InputError(
        "series-not-found",
        f"The input has no series {uid!r}",
        expected="one of " + ", ".join(group.uid or "(without UID)" for group in groups),
    )


def _nothing_usable(groups: Sequence[Series]) -> InputError:
    codes = {group.code for group in groups}
    for code in ("multiframe-unsupported", "no-axial-ct", "wrong-modality"):
        if code in codes:
            reasons = sorted({group.reason for group in groups if group.code == code})
            return InputError(
                code,
                f"None of the {len(groups)} series can be used: " + ", ".join(reasons),
                expected="one series of axial CT slices",
            )
    return InputError("input-empty", "No DICOM file contains an image")


def _check_one_patient(groups: Sequence[Series]) -> None:
    """Over every series that may be read; the identifiers themselves are never shown."""
    headers = [header for group in groups for header in group.headers]
    patients = {header.patient for header in headers if header.patient}
    if not patients:  # then the names must do
        patients = {header.person for header in headers if header.person.strip("|")}
    studies = {header.study for header in headers if header.study}
    if len(patients) <= 1 and len(studies) <= 1:
        return
    raise InputError(
        "mixed-patients",
        f"The input mixes {max(len(patients), 1)} patients and {max(len(studies), 1)} studies",
        expected="one examination of one patient",
        hint="Give one examination, or choose a series with --series",
    )
