"""Morphology in millimetres."""

import numpy as np
from scipy import ndimage

IN_PLANE = np.zeros((3, 3, 3), bool)
IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


def close_ball(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], *, radius_mm: float
) -> np.ndarray:
    """Closing of the bool ``mask`` (D, H, W) by a ball of ``radius_mm``.

    The mask goes on as it is beyond the first and last slice, so that lungs cut off by the end of
    the scan are not worn away there.
    """
    pad = [int(np.ceil(radius_mm / size)) + 1 for size in spacing_mm]
    padded = np.pad(mask, [(pad[0], pad[0]), (0, 0), (0, 0)], mode="edge")
    padded = np.pad(padded, [(0, 0), (pad[1], pad[1]), (pad[2], pad[2])])
    grown = grow_ball(padded, spacing_mm, radius_mm=radius_mm)
    closed = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > radius_mm
    inner = tuple(slice(p, p + size) for p, size in zip(pad, mask.shape, strict=True))
    return closed[inner] | mask


def grow_ball(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], *, radius_mm: float
) -> np.ndarray:
    """Dilation of the bool ``mask`` (D, H, W) by a ball of ``radius_mm``."""
    if not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= radius_mm


def fill_slices(mask: np.ndarray) -> np.ndarray:
    """``mask`` (D, H, W) with the holes of each slice filled."""
    filled = np.zeros_like(mask)
    for z, plane in enumerate(mask):
        rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
        if len(rows):
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            # One border of background joins all that reaches the edge.
            pieces, _ = ndimage.label(~np.pad(plane[box], 1))
            filled[z][box] = (pieces != pieces[0, 0])[1:-1, 1:-1]
    return filled


def surrounded(mask: np.ndarray) -> np.ndarray:
    """Where ``mask`` (D, H, W) lies on both sides, and in front and behind, in the same slice."""
    inside = np.ones_like(mask)
    for axis in (1, 2):
        forth = np.logical_or.accumulate(mask, axis=axis)
        back = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis=axis), axis)
        inside &= forth & back
    return inside
