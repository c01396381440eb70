"""Morphology in millimetres."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.balls import near
from lungscore.anatomy.boxes import extent_of

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
    grown = near(padded, spacing_mm, radius_mm)
    closed = ~near(~grown, spacing_mm, radius_mm)
    inner = tuple(slice(p, p + size) for p, size in zip(pad, mask.shape, strict=True))
    return closed[inner] | mask


def grow_ball(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], *, radius_mm: float
) -> np.ndarray:
    """Dilation of the bool ``mask`` (D, H, W) by a ball of ``radius_mm``."""
    return near(mask, spacing_mm, radius_mm)


#: A hole of a slice from this size on, mm², may be the dome of the diaphragm. It is, where so
#: large a part of it lies on tissue that the lung leaves open in the slice below.
DOME_MM2, ON_TISSUE = 150.0, 0.8
#: Domes are looked for in the lower half of a lung; in one that the scan cuts off above, up to so
#: far above its lowest slice, mm. It is cut off if its first slice has this part of its largest
#: area.
LOWER_MM, CUT_OFF = 110.0, 0.5
#: So thick a layer of dense lung on the dome, mm, is the dome itself, blurred by thick slices.
CAP_MM = 7.5


def fill_slices(
    mask: np.ndarray, *, spacing_mm: tuple[float, float, float] | None = None
) -> np.ndarray:
    """``mask`` (D, H, W) with the holes of each slice filled.

    spacing_mm: where it is given, ``mask`` is one lung, and domes of the diaphragm stay open: large
    holes low in it that go on below as what is not lung.
    """
    filled = np.zeros_like(mask)
    slices = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(slices):
        return filled
    low = len(mask) if spacing_mm is None else _lower_part(mask, slices, spacing_mm[0])
    for z in range(slices[-1], slices[0] - 1, -1):  # from below, since domes rise
        plane = mask[z]
        rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
        if not len(rows):
            continue
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        # One border of background joins all that reaches the edge.
        pieces, count = ndimage.label(~np.pad(plane[box], 1))
        outside = np.arange(count + 1) == pieces[0, 0]
        pieces = pieces[1:-1, 1:-1]
        if spacing_mm is not None and low < z < slices[-1] and count > 1:
            below = _share(pieces, ~filled[z + 1][box])
            areas = np.bincount(pieces.ravel(), minlength=count + 1) * np.prod(spacing_mm[1:])
            domes = (areas >= DOME_MM2) & (below >= ON_TISSUE)
            domes[0] = False
            outside |= domes
        filled[z][box] = ~outside[pieces]
    return filled


def dome_caps(
    lung: np.ndarray, air: np.ndarray, tissue: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """The tops of the diaphragm that a blurred slice shows as dense lung, bool (D, H, W).

    lung: one lung; air: what of it is aerated; tissue: what is dense and not lung. A cap lies low
    in the lung, has air all around it in its slice, and tissue less than CAP_MM below nearly all of
    it: dense lung would be thicker.
    """
    caps = np.zeros_like(lung)
    slices = np.flatnonzero(lung.any(axis=(1, 2)))
    if not len(slices):
        return caps
    low = int(max(_lower_part(lung, slices, spacing_mm[0]), slices[0] - 1)) + 1
    reach = max(1, round(CAP_MM / spacing_mm[0]))
    for z in range(low, slices[-1]):
        if not (lung[z] & ~air[z]).any():
            continue
        box = extent_of(lung[z])
        pieces, count = ndimage.label(~np.pad(air[z][box], 1))
        if count < 2:
            continue
        outside = pieces[0, 0]
        pieces = pieces[1:-1, 1:-1]
        below = np.asarray(tissue[z + 1 : z + 1 + reach].any(axis=0))
        beneath = _share(pieces, below[box])
        areas = np.bincount(pieces.ravel(), minlength=count + 1) * np.prod(spacing_mm[1:])
        domes = (areas >= DOME_MM2) & (beneath >= ON_TISSUE)
        domes[[0, outside]] = False
        caps[z][box] = domes[pieces] & lung[z][box]
    return caps


def _lower_part(mask: np.ndarray, slices: np.ndarray, slice_mm: float) -> float:
    """The slice of the lung ``mask``, one of ``slices``, below which domes may be."""
    middle = (slices[0] + slices[-1]) / 2
    areas = np.count_nonzero(mask, axis=(1, 2))
    if areas[slices[0]] < CUT_OFF * areas.max():
        return middle
    return min(middle, slices[-1] - LOWER_MM / slice_mm)


def _share(pieces: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Which part of each of ``pieces`` (labels) lies in ``mask``."""
    sizes = np.bincount(pieces.ravel(), minlength=pieces.max() + 1)
    return np.bincount(pieces[mask], minlength=len(sizes)) / np.maximum(sizes, 1)


def surrounded(mask: np.ndarray) -> np.ndarray:
    """Where ``mask`` (D, H, W) lies on both sides, and in front and behind, in the same slice."""
    inside = np.ones_like(mask)
    for axis in (1, 2):
        forth = np.logical_or.accumulate(mask, axis=axis)
        back = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis=axis), axis)
        inside &= forth & back
    return inside


def above(mask: np.ndarray) -> np.ndarray:
    """What lies above ``mask`` (D, H, W) in the same column."""
    from_below = np.logical_or.accumulate(mask[::-1], axis=0)[::-1]
    return np.concatenate([from_below[1:], np.zeros_like(mask[:1])])
