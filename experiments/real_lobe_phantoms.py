"""Chests whose lobes have the shapes of real ones. Used by evaluate_fissures.py and others.

Manual lobe masks of LUNA16 (Tang et al. 2019) say where lungs and fissures lie; parenchyma,
vessels, fissures, scars and noise are painted. How bright the fissures are and how much of them
shows differs from phantom to phantom, by the seed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage, special

from fit_lobe_atlas import LUNA_VALUES, read_values
from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.anatomy.boxes import lung_box
from lungscore.labels import LOBES, RIGHT_LUNG
from lungscore.scan.phantom.shapes import Axes, SmoothField, coverage
from lungscore.scan.phantom.vessels import fill_points, grow_tree

SPACING_MM = 1.25, 1.2, 1.2
MARGIN_MM = 8.0
#: The manual border is smoothed over this; the fissure lies where the smoothed lobes are equal.
SMOOTH_MM = 2.5
TISSUE_HU, LUNG_HU, VESSEL_HU = 40.0, -895.0, 38.0
#: Bounds of what differs between phantoms: brightness of a fissure (half its width in mm beside it)
#: and of scars, image noise, and how much of both kinds of fissures shows.
FISSURE_HU, HALF_WIDTH_MM, SCAR_HU, NOISE_HU = (60.0, 150.0), 0.4, 100.0, (15.0, 40.0)
OBLIQUE_SHOWN, HORIZONTAL_SHOWN = (0.6, 1.0), (0.3, 0.9)
#: Over how many millimetres a fissure is seen or not.
GAP_MM = 22.0
#: Flat scars in each lung, and bounds of their radii.
SCARS, SCAR_MM = 2, (12.0, 28.0)
#: Trees of vessels in each lobe, their ends, and how far these keep from the lobe's surface.
TREES, ENDS, ROOM_MM = 2, 500, 3.5
#: Weights of the slices that make up one of four times their distance.
THICK = np.array([0.5, 1, 1, 1, 0.5]) / 4


@dataclass(frozen=True)
class LobePhantom:
    """values: (D, H, W) HU; lobes: of labels.LOBES; spacing_mm: (z, y, x)."""

    values: np.ndarray
    lobes: np.ndarray
    spacing_mm: tuple[float, float, float]


def make_lobe_phantom(path: Path, seed: int) -> LobePhantom:
    """The phantom of one manual mask."""
    rng = np.random.default_rng(seed)
    lobes = _resampled(path)
    axes = phantom_axes(lobes.shape)
    lung = LUNG_HU + 45 * np.clip((axes[1] + 85) / 170, 0, 1)
    lung = lung + 11 * SmoothField(rng, 24.0)(axes) + 13 * SmoothField(rng, 4.2)(axes)
    bright = rng.uniform(*FISSURE_HU)
    sheets, distances = np.zeros(lobes.shape, np.float32), np.full(lobes.shape, 99, np.float32)
    for side, names in LUNG_LOBES.items():
        values = [LOBES[name] for name in names]
        pairs = [(values[:-1], values[-1:], OBLIQUE_SHOWN)]
        if side == RIGHT_LUNG:
            pairs.append((values[:1], values[1:2], HORIZONTAL_SHOWN))
        for upper, lower, shown in pairs:
            away = _away(lobes, upper, lower)
            threshold = special.ndtri(1 - rng.uniform(*shown))
            seen = SmoothField(rng, GAP_MM)(axes) > threshold
            sheet = bright * coverage(away - HALF_WIDTH_MM, SPACING_MM[1]) * seen
            sheets, distances = np.maximum(sheets, sheet), np.minimum(distances, away)
        for _ in range(SCARS):
            scar = SCAR_HU * _scar(rng, axes, np.isin(lobes, values))
            sheets = np.maximum(sheets, scar)
    vessels = _vessels(rng, lobes, distances, axes)
    lung = np.maximum(lung + sheets, lung + vessels * (VESSEL_HU - lung))
    inside = ndimage.gaussian_filter((lobes > 0).astype(np.float32), 0.6)
    hu = TISSUE_HU + inside * (lung - TISSUE_HU)
    hu = ndimage.gaussian_filter(hu.astype(np.float32), (0, 0.5, 0.5))
    noise = rng.standard_normal(hu.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0, 0.6, 0.6))
    hu += noise * np.float32(rng.uniform(*NOISE_HU) / noise.std())
    return LobePhantom(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), lobes, SPACING_MM)


def phantom_axes(shape: tuple[int, ...]) -> Axes:
    """Where the voxels of a phantom of ``shape`` lie, mm."""
    z, y, x = (
        ((np.arange(size) - size / 2) * step).astype(np.float32)
        for size, step in zip(shape, SPACING_MM, strict=True)
    )
    return (z - z[0]).reshape(-1, 1, 1), y.reshape(1, -1, 1), x.reshape(1, 1, -1)


def thick_slices(phantom: LobePhantom) -> LobePhantom:
    """The same chest in slices four times as far apart and as thick."""
    count = (len(phantom.values) - len(THICK)) // 4 + 1
    values = sum(
        weight * phantom.values[first : first + 4 * count : 4].astype(np.float32)
        for first, weight in enumerate(THICK)
    )
    z, y, x = phantom.spacing_mm
    lobes = middle_slices(phantom.lobes)
    return LobePhantom(np.rint(values).astype(np.int16), lobes, (4 * z, y, x))


def middle_slices(labels: np.ndarray) -> np.ndarray:
    """(D, H, W) labels in the slices of ``thick_slices``: those of the thin slice in the middle."""
    count = (len(labels) - len(THICK)) // 4 + 1
    middles: np.ndarray = labels[2 : 2 + 4 * count : 4]
    return middles


def _resampled(path: Path) -> np.ndarray:
    """Manual lobes on voxels of SPACING_MM, with a margin around both lungs."""
    manual, geometry = read_values(path)
    table = np.zeros(512, np.uint8)
    for value, name in LUNA_VALUES.items():
        table[value] = LOBES[name]
    lobes = table[manual]
    lobes = lobes[lung_box(lobes > 0)]
    indices = [
        np.rint(np.arange(0, (size - 1) * own, step) / own).astype(int)
        for size, own, step in zip(lobes.shape, geometry.spacing_mm, SPACING_MM, strict=True)
    ]
    margins = [(round(MARGIN_MM / step),) * 2 for step in SPACING_MM]
    padded: np.ndarray = np.pad(lobes[np.ix_(*indices)], margins)
    return padded


def _away(lobes: np.ndarray, upper: list[int], lower: list[int]) -> np.ndarray:
    """Distance of every place to the border between two groups of lobes, mm; 99 elsewhere."""
    sigmas = [SMOOTH_MM / step for step in SPACING_MM]
    above, below = (
        ndimage.gaussian_filter(np.isin(lobes, group).astype(np.float32), sigmas, truncate=3)
        for group in (upper, lower)
    )
    # Across a flat border the smoothed lobe falls off as the normal distribution does.
    share = below / np.maximum(above + below, 1e-3)
    away = SMOOTH_MM * np.abs(special.ndtri(np.clip(share, 1e-4, 1 - 1e-4)))
    away = np.where(np.isin(lobes, upper + lower), away, 99)
    return away.astype(np.float32)


def _scar(rng: np.random.Generator, axes: Axes, lung: np.ndarray) -> np.ndarray:
    """A flat round sheet somewhere in the lung, 0…1."""
    places = np.argwhere(lung)
    middle = places[rng.integers(len(places))]
    normal = rng.standard_normal(3)
    normal /= np.linalg.norm(normal)
    offsets = [axis - axis.ravel()[index] for axis, index in zip(axes, middle, strict=True)]
    along = sum(offset * part for offset, part in zip(offsets, normal, strict=True))
    squared = sum(offset**2 for offset in offsets)
    near = squared < rng.uniform(*SCAR_MM) ** 2
    sheet: np.ndarray = coverage(np.abs(along) - HALF_WIDTH_MM, SPACING_MM[1]) * near
    return sheet


def _vessels(
    rng: np.random.Generator, lobes: np.ndarray, fissures: np.ndarray, axes: Axes
) -> np.ndarray:
    """How much of each voxel vessels fill: trees that grow from the hilum through every lobe."""
    coarse = np.s_[::3, ::4, ::4]
    places = [axis.ravel()[step] for axis, step in zip(axes, coarse, strict=True)]
    sampling = [float(place[1] - place[0]) for place in places]
    few = lobes[coarse]
    depth = ndimage.distance_transform_edt(few > 0, sampling=sampling)
    room = np.minimum(depth, fissures[coarse])
    filled = np.zeros(lobes.size, np.float32)
    starts = np.array([axis.ravel()[0] for axis in axes])
    for side, names in LUNG_LOBES.items():
        whole = np.argwhere(np.isin(few, [LOBES[name] for name in names]))
        at = np.stack([place[index] for place, index in zip(places, whole.T, strict=True)], axis=1)
        # The hilum: at mid height, somewhat behind the middle, where the lung faces the other.
        medial = np.quantile(at[:, 2], 0.97 if side == RIGHT_LUNG else 0.03)
        hilum = np.array([np.median(at[:, 0]), np.median(at[:, 1]) + 5, medial])
        for name in names:
            inside = np.argwhere((few == LOBES[name]) & (room > ROOM_MM))
            ends = np.stack(
                [place[index] for place, index in zip(places, inside.T, strict=True)], axis=1
            )
            root = ends[((ends - hilum) ** 2).sum(axis=1).argmin()]
            for _ in range(TREES):
                picked = ends[rng.integers(len(ends), size=ENDS)]
                tree = grow_tree(root, picked + rng.uniform(-2, 2, picked.shape))
                points, weights = fill_points(tree, voxel_mm3=float(np.prod(SPACING_MM)))
                index = np.rint((points - starts) / SPACING_MM).astype(np.int64)
                inside_box = ((index >= 0) & (index < lobes.shape)).all(axis=1)
                flat = np.ravel_multi_index(tuple(index[inside_box].T), lobes.shape)
                filled += np.bincount(flat, weights[inside_box], minlength=lobes.size)
    amount: np.ndarray = np.minimum(filled, 1).reshape(lobes.shape)
    return amount
