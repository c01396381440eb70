"""What every reader hands over: values in the source's own order and the source's geometry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.continuity import SliceFaults, fill, find_faults, shown_ranges
from lungscore.scan.hounsfield import check_hounsfield
from lungscore.scan.limits import HU_RANGE
from lungscore.scan.scan import Geometry, Identifiers, Scan
from lungscore.scan.slice_order import BODY_HU

if TYPE_CHECKING:
    from lungscore.scan.dicom.header import Header

#: Formats of files that hold one whole volume.
VolumeFormat = Literal["nifti", "nrrd", "metaimage"]

#: Slices from this distance on are called thick (mm).
THICK_MM = 5.0

#: Largest part of the slices that may be faulty and be interpolated where that was asked for.
LARGEST_FAULTY_SHARE = 0.2

#: Pixels above this size (mm) are not a diagnostic CT's, which has 0.5 to 1 mm.
COARSE_MM = 4.0


@dataclass(frozen=True)
class Stored:
    """A volume file whose header was found good and whose voxels are still to be read.

    planes: the 2-D planes along the last axis of ``shape``, in the type they are stored in.
    affine: (4, 4) voxel index to patient mm, RAS+. oriented: whether the file states one.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    planes: Iterator[np.ndarray]
    oriented: bool
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Volume:
    """Values as a source stores them.

    values: three axes in the source's order, int16 HU or uint8 grey levels.
    affine: (4, 4) voxel index to patient mm, RAS+. images: of DICOM, the header of each slice along
    the last axis; None for a slice that was interpolated.
    """

    values: np.ndarray
    affine: np.ndarray
    units: Literal["hu", "grey"]
    kind: Literal["dicom", "nifti", "nrrd", "metaimage", "slices", "slice", "array"]
    spacing_known: bool = True
    sides_known: bool = True
    notices: tuple[Notice, ...] = ()
    series_uid: str | None = None
    left_out: tuple[dict[str, Any], ...] = ()
    images: "tuple[Header | None, ...]" = ()
    identifiers: Identifiers | None = None


def to_scan(volume: Volume, name: str, source: str, *, allow_gaps: bool = False) -> Scan:
    """The Scan of a Volume: canonical axes, checked values, and notices that hold for any format.

    name: of the case. source: the input's own name, for messages. allow_gaps: interpolate faulty
    slices instead of rejecting the scan. Raises InputError ``constant-image``, ``not-hounsfield``,
    ``slices-faulty`` or ``mixed-acquisitions``.
    """
    depth, rows, columns = volume.values.shape
    geometry = Geometry((depth, rows, columns), volume.affine)
    values = np.ascontiguousarray(geometry.to_canonical(volume.values))
    notices = list(volume.notices)
    inside = _inside_edges(values) if volume.units == "hu" else (slice(None), slice(None))
    if depth * rows * columns > max(rows * columns, depth * rows, depth * columns):
        values, slice_notices = _checked_slices(volume, values, source, allow_gaps=allow_gaps)
        notices += slice_notices
    if volume.units == "hu":
        notices += check_hounsfield(values, source)
        picture = values[:, inside[0], inside[1]]
        # What is all the tissue that there is, as in made-up arrays, is no padding.
        if picture.shape != values.shape and (picture > BODY_HU).any():
            notices.append(_edges_notice(values, picture))
            cleared = np.full_like(values, HU_RANGE[0])
            cleared[:, inside[0], inside[1]] = picture
            values = cleared
    scan = Scan(
        values=values,
        units=volume.units,
        geometry=geometry,
        spacing_mm=geometry.spacing_mm if volume.spacing_known else None,
        sides_known=volume.sides_known,
        kind=volume.kind,
        name=name,
        series_uid=volume.series_uid,
        left_out=volume.left_out,
        identifiers=volume.identifiers,
    )
    return replace(scan, notices=(*notices, *_general_notices(scan)))


def _checked_slices(
    volume: Volume, values: np.ndarray, source: str, *, allow_gaps: bool
) -> tuple[np.ndarray, list[Notice]]:
    """``values`` with air in the blank slices around the body, and faulty slices interpolated.

    Looked at along the body, and along the axis on which the source lists its slices.
    """
    notices: list[Notice] = []
    air = HU_RANGE[0] if volume.units == "hu" else 0
    for axis in dict.fromkeys((0, _listed_axis(volume))):
        planes = np.moveaxis(values, axis, 0)
        if len(planes) < 2:
            continue
        faults = find_faults(
            planes,
            volume.units,
            spaced=volume.spacing_known,
            axial=axis == 0 and (volume.sides_known or volume.kind == "slices"),
            placed=volume.kind == "dicom",
        )
        lost = sorted(set(faults.faulty))
        if lost and not (allow_gaps and len(lost) <= LARGEST_FAULTY_SHARE * len(planes)):
            raise _faulty(faults, volume, source, axis, len(planes))
        if not (lost or any((planes[index] != air).any() for index in faults.outside)):
            notices += _slice_notices(faults, axis, len(planes))
            continue
        if not values.flags.writeable or np.shares_memory(values, volume.values):
            values = values.copy()
            planes = np.moveaxis(values, axis, 0)
        for index in faults.outside:
            planes[index] = air
        fill(planes, lost, air=air)
        notices += _slice_notices(faults, axis, len(planes))
    return values, notices


def _inside_edges(values: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of HU ``values`` without those at the edges that hold one value throughout.

    As where a picture was padded with 0; what is as low as air may stay, and blank slices do not
    count.
    """
    middle = values[len(values) // 2]
    edges = (middle[0], middle[-1], middle[:, 0], middle[:, -1])
    if not any(edge[0] > BODY_HU and (edge == edge[0]).all() for edge in edges):
        return slice(None), slice(None)
    shown = np.flatnonzero([not (plane == plane.flat[0]).all() for plane in values])
    spans = []
    for axis in (1, 2):
        lines = [np.moveaxis(values, axis, 0)[n][shown] for n in range(values.shape[axis])]
        first, last = _blank_from(lines), _blank_from(lines[::-1])
        if first == len(lines):
            return slice(None), slice(None)
        spans.append(slice(first, len(lines) - last))
    return spans[0], spans[1]


def _blank_from(lines: Sequence[np.ndarray]) -> int:
    """How many arrays hold the first one's first value, from the first on; 0 if that is air."""
    value = lines[0].flat[0] if lines[0].size else BODY_HU
    if value <= BODY_HU:
        return 0
    return next((n for n, line in enumerate(lines) if not (line == value).all()), len(lines))


def _edges_notice(values: np.ndarray, picture: np.ndarray) -> Notice:
    lines = [whole - part for whole, part in zip(values.shape[1:], picture.shape[1:], strict=True)]
    texts = [f"{n} {name}" for n, name in zip(lines, ("rows", "columns"), strict=True) if n]
    text = f"{' and '.join(texts)} at the edges of the slices hold one value and count as air"
    return Notice("edges-blank", text)


def _listed_axis(volume: Volume) -> int:
    """The canonical axis along which the source lists its slices: its last, or that of images."""
    from nibabel import orientations

    if volume.kind == "slices":
        return 0
    return int(2 - orientations.io_orientation(volume.affine)[2, 0])


def _slice_notices(faults: SliceFaults, axis: int, count: int) -> list[Notice]:
    notices = []
    if faults.outside and axis == 0:
        shown = shown_ranges(faults.outside)
        text = f"Slices {shown} of {count} are blank and count as outside the body"
        notices.append(Notice("slices-blank", text))
    if faults.faulty:
        shown = shown_ranges(tuple(faults.faulty))
        text = f"Slices {shown} of {count} are faulty and were interpolated (--allow-gaps)"
        notices.append(Notice("slices-replaced", text))
    if faults.padded:
        shown = shown_ranges(faults.padded)
        text = (
            f"Slices {shown} of {count} are partly blank, as where a scan was rotated or masked: "
            "what they lack counts as air"
        )
        notices.append(Notice("slices-padded", text))
    if faults.abrupt:
        shown = shown_ranges(faults.abrupt)
        text = (
            f"The body changes abruptly after slice{'s' * (len(faults.abrupt) > 1)} {shown} of "
            f"{count}: slices may be missing or in another order, or the patient moved"
        )
        notices.append(Notice("slices-abrupt", text))
    if faults.repeated:
        shown = shown_ranges(faults.repeated)
        text = f"Slices {shown} of {count} are identical to the slice before"
        notices.append(Notice("slices-repeated", text))
    return notices


def _faulty(faults: SliceFaults, volume: Volume, source: str, axis: int, count: int) -> InputError:
    reasons: dict[str, list[int]] = {}
    for index, reason in faults.faulty.items():
        reasons.setdefault(reason, []).append(index)
    texts = [f"{shown_ranges(tuple(members))} {reason}" for reason, members in reasons.items()]
    order = ("from the top", "from front to back", "from right to left")[axis]
    hint = "Copy or export the scan again"
    if volume.units == "hu" and len(faults.faulty) <= LARGEST_FAULTY_SHARE * count:
        hint += ", or pass --allow-gaps to interpolate these slices"
    return InputError(
        "slices-faulty",
        f"{source}: of {count} slices, counted {order}: {'; '.join(texts)}",
        expected="slices that resemble their neighbours",
        hint=hint,
    )


def _general_notices(scan: Scan) -> list[Notice]:
    notices = []
    if scan.units == "grey":
        text = "The image has grey levels, not Hounsfield units: percentages are approximate"
        notices.append(Notice("approximate-8bit", text))
    if scan.spacing_mm is None:
        text = "The voxel size is unknown: volumes in ml are not given"
        if scan.kind == "slices":
            text += ". The slices are taken in the order of their names, the first one superior"
        notices.append(Notice("no-spacing", text))
    if not scan.sides_known:
        text = "Right and left are unknown: scores by side or lobe are not given"
        notices.append(Notice("unknown-orientation", text))
    if scan.shape[0] == 1:
        text = (
            "The input is one slice: percentages refer to it, and scores of a volume are not given"
        )
        notices.append(Notice("single-slice", text))
    elif scan.spacing_mm is not None and scan.spacing_mm[0] >= THICK_MM:
        text = (
            f"The slice spacing is {scan.spacing_mm[0]:.1f} mm: small lesions may fall between them"
        )
        notices.append(Notice("thick-slices", text))
    if scan.spacing_mm is not None and max(scan.spacing_mm[1:]) > COARSE_MM:
        text = (
            f"The pixels measure {max(scan.spacing_mm[1:]):.1f} mm, too coarse to distinguish "
            "infection from lung, or trachea and bronchi from the lung beside them"
        )
        notices.append(Notice("coarse-pixels", text))
    return notices
