"""Is a stated geometry one that a chest CT can have?"""

import numpy as np

from lungscore.errors import InputError
from lungscore.scan.limits import MAX_SLICE_PIXELS, MAX_VOXELS, PIXEL_MM, SLICE_MM

#: Degrees by which axes may miss the right angle: rounding in headers stays far below,
#: a tilted gantry lies above.
MAX_SHEAR_DEGREES = 0.5


def check_affine(affine: np.ndarray, source: str) -> None:
    """Reject an affine that is not finite, singular or sheared, or whose voxels are not a CT's.

    affine: (4, 4), voxel index to patient mm, RAS+; any axis order. source: the file's own name.
    Raises InputError ``geometry-invalid``, ``gantry-tilt`` or ``spacing-out-of-range``.
    """
    if not np.isfinite(affine).all():
        raise InputError("geometry-invalid", f"{source}: the affine contains NaN or infinity")
    axes = affine[:3, :3].astype(np.float64)
    sizes = np.linalg.norm(axes, axis=0)
    if (sizes == 0).any():
        raise InputError("geometry-invalid", f"{source}: an axis of the affine has no length")
    unit = axes / sizes
    if abs(np.linalg.det(unit)) < 1e-3:
        raise InputError("geometry-invalid", f"{source}: the affine is singular")
    along = int(np.argmax(np.abs(unit[2])))  # the axis that runs along the body
    _check_angles(unit, along, source)
    for axis, size in enumerate(sizes):
        low, high = SLICE_MM if axis == along else PIXEL_MM
        if not low <= size <= high:
            raise InputError(
                "spacing-out-of-range",
                f"{source}: voxels of {size:.4g} mm",
                expected=f"{low:g} to {high:g} mm {'between' if axis == along else 'in'} slices",
                hint="Check the units of the header",
            )


def _check_angles(unit: np.ndarray, along: int, source: str) -> None:
    limit = np.sin(np.deg2rad(MAX_SHEAR_DEGREES))
    cosines = np.abs(unit.T @ unit - np.eye(3))
    worst = float(np.rad2deg(np.arcsin(cosines.max())))
    if cosines.max() <= limit:
        return
    first, second = (axis for axis in range(3) if axis != along)
    if cosines[first, second] > limit:
        raise InputError(
            "geometry-invalid",
            f"{source}: the axes are sheared by {worst:.1f} degrees",
            expected="right angles",
        )
    raise InputError(
        "gantry-tilt",
        f"{source}: the slices are sheared by {worst:.1f} degrees",
        expected="a gantry without tilt",
        hint="Resample to an orthogonal grid, filling voxels outside the scan with −1024 HU",
    )


def check_shape(shape: tuple[int, ...], source: str) -> None:
    """Reject more voxels than a chest CT has, by the header alone and before memory is taken.

    shape: the axes in any order; a slice is as large as the two longest.

    Raises InputError ``volume-too-large`` or ``geometry-invalid`` (an axis below 1).
    """
    voxels = 1
    for length in shape:
        if length < 1:
            raise InputError("geometry-invalid", f"{source}: an axis has {length} voxels")
        voxels *= int(length)
    if voxels > MAX_VOXELS:
        size = " × ".join(str(length) for length in shape)
        raise InputError(
            "volume-too-large",
            f"{source}: the header states {size} voxels",
            expected=f"at most {MAX_VOXELS}",
        )
    if (pixels := int(np.prod(sorted(shape)[-2:], dtype=object))) > MAX_SLICE_PIXELS:
        raise InputError(
            "volume-too-large",
            f"{source}: a slice of {pixels} pixels",
            expected=f"at most {MAX_SLICE_PIXELS}",
        )
