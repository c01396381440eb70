"""A scan from an array in memory."""

import numpy as np
from numpy.typing import ArrayLike

from lungscore.errors import InputError, UsageError
from lungscore.scan.affine import check_affine, check_shape
from lungscore.scan.names import safe_name
from lungscore.scan.scan import Scan
from lungscore.scan.volume import Volume, to_scan
from lungscore.scan.voxels import gather

#: By how much a stated spacing may differ from that of the affine, in mm.
TOLERANCE_MM = 0.01

#: What messages call the input.
_SOURCE = "The array"


def scan_from_array(
    values_hu: ArrayLike,
    spacing_mm: tuple[float, float, float] | None = None,
    affine: ArrayLike | None = None,
    *,
    name: str = "array",
) -> Scan:
    """The Scan of an array; ``Scan.from_array`` explains the arguments and errors."""
    values = np.asarray(values_hu)
    if values.ndim != 3 or values.dtype.kind not in "iuf":
        raise UsageError(
            "usage",
            f"The array has {values.ndim} axes and the type {values.dtype}",
            expected="three axes of numbers",
        )
    rows, columns, depth = values.shape
    check_shape((rows, columns, depth), _SOURCE)
    to_patient = _affine(spacing_mm, affine)
    check_affine(to_patient, _SOURCE)
    planes = (values[..., index] for index in range(depth))
    hounsfield, units, notices = gather(planes, (rows, columns, depth), source=_SOURCE)
    if units != "hu":
        raise InputError(
            "not-hounsfield",
            f"{_SOURCE} contains whole numbers from 0 to 255, like grey levels",
            expected="Hounsfield units",
        )
    volume = Volume(
        values=hounsfield,
        affine=to_patient,
        units=units,
        kind="array",
        spacing_known=spacing_mm is not None or affine is not None,
        notices=notices,
    )
    return to_scan(volume, safe_name(name), _SOURCE)


def _affine(spacing_mm: tuple[float, float, float] | None, affine: ArrayLike | None) -> np.ndarray:
    """(4, 4) float64, array index to patient mm, RAS+."""
    if affine is None:
        z, y, x = _spacing(spacing_mm)
        canonical = np.zeros((4, 4))
        canonical[[2, 1, 0, 3], [0, 1, 2, 3]] = (-z, -y, -x, 1.0)
        return canonical
    given = np.asarray(affine, dtype=np.float64)
    if given.shape != (4, 4):
        raise UsageError("usage", f"The affine has the shape {given.shape}", expected="(4, 4)")
    sizes = np.linalg.norm(given[:3, :3], axis=0)
    if spacing_mm is not None and np.abs(sizes - spacing_mm).max() > TOLERANCE_MM:
        stated, implied = (" × ".join(f"{v:g}" for v in size) for size in (spacing_mm, sizes))
        raise InputError(
            "geometry-invalid",
            f"The spacing is {stated} mm, that of the affine {implied} mm",
            expected="the voxel size along each axis of the array",
        )
    return given


def _spacing(given: ArrayLike | None) -> tuple[float, float, float]:
    """Three numbers, of 1 where none are known. Raises UsageError."""
    if given is None:
        return 1.0, 1.0, 1.0
    spacing = np.asarray(given, dtype=np.float64)
    if spacing.shape != (3,) or not np.isfinite(spacing).all():
        raise UsageError("usage", f"The spacing is {given}", expected="three numbers, in mm")
    return float(spacing[0]), float(spacing[1]), float(spacing[2])
