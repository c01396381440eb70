"""Numbers of any type from a volume file, slice by slice, as Hounsfield units or grey levels."""

from collections.abc import Iterable
from typing import Literal

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.hounsfield import AIR, to_hounsfield
from lungscore.scan.limits import HU_RANGE
from lungscore.scan.volume import Stored, Volume, VolumeFormat

#: Share of voxels that may be NaN or infinite and be replaced by air, outside the body only.
REPLACEABLE_SHARE = 1e-4

#: Fewest values and smallest maximum of an 8-bit image; a mask or a probability map has less.
GREY_LEVELS, GREY_MAXIMUM = 16, 100


def gather(
    slices: Iterable[np.ndarray], shape: tuple[int, int, int], *, source: str
) -> tuple[np.ndarray, Literal["hu", "grey"], tuple[Notice, ...]]:
    """The volume whose last axis runs over 2-D ``slices`` of numbers: values, units, notices.

    The values are int16 HU, or uint8 grey levels where all are whole numbers of 0–255. No more
    than one slice is held in its stored type. Raises InputError ``constant-image``, ``not-finite``
    or ``not-hounsfield`` (a mask); whether values are HU is for ``check_hounsfield`` to say.
    """
    values = np.empty(shape, dtype=np.int16, order="F")
    lowest, highest, whole, lost = np.inf, -np.inf, True, 0
    for index, plane in enumerate(slices):
        known = plane
        if plane.dtype.kind == "f" and not (finite := np.isfinite(plane)).all():
            lost += int(plane.size - np.count_nonzero(finite))
            plane = np.where(finite, plane, HU_RANGE[0])
            _check_lost(plane, finite, lost=lost, total=values.size, source=source)
            known = plane[finite]
        if known.size:
            lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
        if whole and plane.dtype.kind == "f":
            whole = bool((plane == np.rint(plane)).all())
        values[..., index] = to_hounsfield(plane)
    if lowest == highest or not np.isfinite([lowest, highest]).all():
        raise InputError("constant-image", f"{source}: all voxels have the same value")
    notices: tuple[Notice, ...] = ()
    if lost:
        text = f"{lost} values outside the body were not numbers and were replaced by air"
        notices = (Notice("values-replaced", text),)
    if whole and lowest >= 0 and GREY_MAXIMUM <= highest <= 255:
        return _grey(values, source), "grey", notices
    if highest - lowest < GREY_MAXIMUM:
        raise InputError(
            "not-hounsfield",
            f"{source}: values from {lowest:.4g} to {highest:.4g}, a mask or normalised values",
            expected="Hounsfield units",
            hint="Give the original CT",
        )
    return values, "hu", notices


def gather_volume(stored: Stored, kind: VolumeFormat, *, source: str) -> Volume:
    """The voxels of an opened volume file, in its own axis order. Raises as ``gather``."""
    values, units, notices = gather(stored.planes, stored.shape, source=source)
    return Volume(
        values=values,
        affine=stored.affine,
        units=units,
        kind=kind,
        sides_known=stored.oriented,
        notices=(*stored.notices, *notices),
    )


def _grey(values: np.ndarray, source: str) -> np.ndarray:
    check_grey_levels(values, source)
    return np.asfortranarray(values.clip(0, 255).astype(np.uint8))


def check_grey_levels(values: np.ndarray, source: str) -> None:
    """Reject whole numbers of 0–255 that are not an image of a CT but a mask."""
    levels = int(np.count_nonzero(np.bincount(values.clip(0, 255).ravel(), minlength=256)))
    if levels == 1:
        raise InputError("constant-image", f"{source}: all pixels have the same value")
    if levels < GREY_LEVELS:
        raise InputError(
            "not-hounsfield",
            f"{source}: {levels} different grey levels, a mask",
            expected="an image of a CT",
        )


def _check_lost(
    plane: np.ndarray, finite: np.ndarray, *, lost: int, total: int, source: str
) -> None:
    """NaN may stand for air around the body, nowhere else."""
    from scipy import ndimage

    inside = ndimage.binary_fill_holes(plane > AIR) & ~finite
    if lost > REPLACEABLE_SHARE * total or inside.any():
        raise InputError(
            "not-finite",
            f"{source}: {lost} or more of {total} values are NaN or infinite"
            + (", within the body" if inside.any() else ""),
            expected="numbers",
        )
