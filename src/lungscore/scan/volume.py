"""What every reader hands over: values in the source's own order and the source's geometry."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from lungscore.errors import Notice
from lungscore.scan.hounsfield import check_hounsfield
from lungscore.scan.scan import Geometry, Scan

#: Formats of files that hold one whole volume.
VolumeFormat = Literal["nifti", "nrrd", "metaimage"]

#: Slices from this distance on are called thick (mm).
THICK_MM = 5.0

#: Pixels above this size (mm) are no diagnostic CT's, which has 0.5 to 1 mm.
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
    affine: (4, 4) voxel index to patient mm, RAS+.
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


def to_scan(volume: Volume, name: str, source: str) -> Scan:
    """The Scan of a Volume: canonical axes, checked values, and notices that hold for any format.

    name: of the case. source: the input's own name, for messages. Raises InputError
    ``constant-image`` or ``not-hounsfield``.
    """
    depth, rows, columns = volume.values.shape
    geometry = Geometry((depth, rows, columns), volume.affine)
    values = np.ascontiguousarray(geometry.to_canonical(volume.values))
    notices = list(volume.notices)
    if volume.units == "hu":
        notices += check_hounsfield(values, source)
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
    )
    return replace(scan, notices=(*notices, *_general_notices(scan)))


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
            "infection from lung"
        )
        notices.append(Notice("coarse-pixels", text))
    return notices
