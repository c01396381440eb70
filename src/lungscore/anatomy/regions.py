"""The 20 scoring regions: lobes divided by anatomical position."""

from collections.abc import Callable

import numpy as np

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.grid import assumed_spacing_mm
from lungscore.labels import LOBES, REGIONS

#: What part of its lobe each cut takes, counted in voxels from the lobe's top. Upper lobes divide
#: into near thirds; the superior segment is about a quarter of a lower lobe, the lingula a good
#: third of the left upper lobe.
APICAL, SUPERIOR, LINGULA = 0.33, 0.25, 0.36

_NUMBERS = {name: number for number, (name, _) in enumerate(REGIONS, start=1)}


def divide_regions(lobes: np.ndarray, spacing_mm: tuple[float, float, float] | None) -> np.ndarray:
    """The 20 regions of Yang et al. 2020, uint8 (D, H, W), 1 to 20 in the order of labels.REGIONS.

    lobes: (D, H, W) of labels.LOBES. spacing_mm: (z, y, x), None where unknown. Every voxel of a
    lobe gets one of the regions of that lobe. Segments have no visible borders; they are
    approximated by where a voxel lies in its lobe: apical and superior segments at the top,
    anterior and posterior by the front-to-back axis, lateral and medial by the distance from the
    mediastinal side, the lingula at the lower front of the left upper lobe, its two segments one
    above the other.
    """
    spacing_mm = spacing_mm or assumed_spacing_mm(lobes.shape)  # type: ignore[arg-type]
    regions = np.zeros(lobes.shape, np.uint8)
    for name, value in LOBES.items():
        mask = lobes == value
        if mask.any():
            box = lung_box(mask)
            divided = _DIVISIONS[name](mask[box], name, spacing_mm)
            regions[box][mask[box]] = divided[mask[box]]
    return regions


def _divide_upper(lobe: np.ndarray, name: str, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Apical above, the rest halved into anterior and posterior."""
    apical = _upper_part(lobe, APICAL)
    front = _first_half(lobe & ~apical, axis=1)
    result = np.where(front, _NUMBERS[f"{name} anterior"], _NUMBERS[f"{name} posterior"])
    return np.where(apical, _NUMBERS[f"{name} apical"], result)


def _divide_left_upper(lobe: np.ndarray, name: str, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """The lingula, at the lower front, halved into upper and lower; the rest as the right one."""
    # How far down and forward a voxel lies, in mm; 45° for want of a visible border.
    down = np.arange(lobe.shape[0])[:, None] * spacing_mm[0]
    forward = -np.arange(lobe.shape[1]) * spacing_mm[1]
    far = down + forward  # (D, H)
    cut = _weighted_quantile(far.ravel(), lobe.sum(axis=2).ravel(), 1 - LINGULA)
    lingula = lobe & (far > cut)[:, :, None]
    upper = _first_half(lingula, axis=0)
    result = np.where(
        upper, _NUMBERS[f"{name} superior lingular"], _NUMBERS[f"{name} inferior lingular"]
    )
    return np.where(lingula, result, _divide_upper(lobe & ~lingula, name, spacing_mm))


def _divide_middle(lobe: np.ndarray, name: str, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Halved into lateral and medial."""
    lateral = _first_half(lobe, axis=2)  # the right lung's outer side comes first
    return np.where(lateral, _NUMBERS[f"{name} lateral"], _NUMBERS[f"{name} medial"])


def _divide_lower(lobe: np.ndarray, name: str, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Superior above, the base in four quadrants around its middle."""
    superior = _upper_part(lobe, SUPERIOR)
    base = lobe & ~superior
    back = _standardised(base, axis=1)[:, None]
    left = _standardised(base, axis=2)[None, :]
    medial = left if name == "RLL" else -left
    quadrant = np.where(
        np.abs(back) > np.abs(medial),
        np.where(back > 0, _NUMBERS[f"{name} posterior basal"], _NUMBERS[f"{name} anterior basal"]),
        np.where(medial > 0, _NUMBERS[f"{name} medial basal"], _NUMBERS[f"{name} lateral basal"]),
    )
    return np.where(superior, _NUMBERS[f"{name} superior"], quadrant)


_DIVISIONS: dict[str, Callable[[np.ndarray, str, tuple[float, ...]], np.ndarray]] = {
    "RUL": _divide_upper,
    "RML": _divide_middle,
    "RLL": _divide_lower,
    "LUL": _divide_left_upper,
    "LLL": _divide_lower,
}


def _upper_part(mask: np.ndarray, part: float) -> np.ndarray:
    """The uppermost ``part`` of the voxels of ``mask``, in whole slices."""
    return mask & _first_part(mask, part, axis=0)


def _first_half(mask: np.ndarray, *, axis: int) -> np.ndarray:
    """The half of ``mask`` that comes first along ``axis``, in whole planes."""
    return mask & _first_part(mask, 0.5, axis=axis)


def _first_part(mask: np.ndarray, part: float, *, axis: int) -> np.ndarray:
    """Which planes along ``axis`` hold the first ``part`` of ``mask``; broadcasts over it."""
    shape = [1, 1, 1]
    shape[axis] = -1
    counts = _profile(mask, axis)
    total = counts.sum()
    # A plane counts to the part that holds its middle, so neither part is empty needlessly.
    middle = np.cumsum(counts) - counts / 2
    return (middle <= part * total).reshape(shape)


def _standardised(mask: np.ndarray, *, axis: int) -> np.ndarray:
    """Each plane's distance along ``axis`` from the mean of ``mask``, in standard deviations."""
    counts = _profile(mask, axis)
    place = np.arange(len(counts), dtype=float)
    if not counts.any():
        return place
    mean = np.average(place, weights=counts)
    spread = np.sqrt(np.average((place - mean) ** 2, weights=counts))
    return (place - mean) / max(spread, 1e-6)


def _profile(mask: np.ndarray, axis: int) -> np.ndarray:
    others = tuple(other for other in range(3) if other != axis)
    return np.count_nonzero(mask, axis=others)


def _weighted_quantile(values: np.ndarray, weights: np.ndarray, part: float) -> float:
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, part * total[-1])])
