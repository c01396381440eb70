"""Made-up disease in lungs with real lobes (real_lobe_phantoms.py). Used by score_performance.py.

Ragged balls of ground glass, some with a consolidated core, likelier near the pleura and at the
back. They are painted into thin slices, so that thick ones blur them as a scanner would.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan.phantom.shapes import Axes, SmoothField, box, coverage, subgrid
from real_lobe_phantoms import SPACING_MM, LobePhantom, phantom_axes

#: Bounds of the rise of ground glass over the lung, HU; consolidation and its noise, HU.
GGO_RISE_HU, SOLID_HU, SOLID_NOISE_HU = (250.0, 450.0), 30.0, 20.0
#: In the mildest and the gravest case: how many balls, and the least and the largest radius, mm.
BALLS, LEAST_MM, MOST_MM = (2, 30), (8.0, 25.0), (14.0, 50.0)
#: How many of the balls have a core, and its radius as a part of the ball's.
CORES, CORE_PART = 0.4, 0.55
#: Over what depth below the pleura balls become rarer, and how likely the front is beside the back.
DEPTH_MM, FRONT = 12.0, 0.25
#: How far borders are uneven, as a part of the radius, and over what length in mm.
UNEVEN, UNEVEN_MM = 0.3, 15.0
#: Over how many mm a border is blurred.
SOFT_MM = 6.0
#: Ground glass is patchy and holds a net of thickened septa, as in the made-up phantoms: lengths in
#: mm of both, and by how much the net is denser, HU.
PATCHES_MM, TEXTURE_MM, NET_HU = 7.0, 4.2, 110.0
#: Centres lie on every n-th voxel.
STEPS = 4, 6, 6


@dataclass(frozen=True)
class Ball:
    """centre: (z, y, x) in mm; rise_hu: of its ground glass; core: whether it has one."""

    centre: np.ndarray
    radius_mm: float
    rise_hu: float
    core: bool


def paint_lesions(phantom: LobePhantom, seed: int, extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Values with disease, int16 HU, and its labels, uint8 (1 GGO, 2 consolidation), (D, H, W).

    phantom: in thin slices. extent: 0 for hardly any disease to 1 for the gravest.
    """
    rng = np.random.default_rng((seed, round(1000 * extent)))
    axes, lungs = phantom_axes(phantom.lobes.shape), phantom.lobes > 0
    ragged, patches, texture = (
        SmoothField(rng, length) for length in (UNEVEN_MM, PATCHES_MM, TEXTURE_MM)
    )
    balls = list(_balls(rng, lungs, axes, extent))
    values, labels = phantom.values.astype(np.float32), np.zeros(lungs.shape, np.uint8)
    rise_hu = np.zeros(lungs.shape, np.float32)
    for ball in balls:
        where, amount = _painted(ball.centre, ball.radius_mm, ragged, axes, lungs)
        near = subgrid(axes, where)
        uneven = np.clip(0.95 - 0.22 * patches(near), 0.6, 1)
        net = NET_HU * np.clip(1 - 3 * np.abs(texture(near)), 0, 1)
        rise_hu[where] = np.maximum(rise_hu[where], amount * (uneven * ball.rise_hu + net))
        labels[where][amount > 0.5] = GGO
    # Vessels stay what they are.
    values = np.maximum(values, np.minimum(values + rise_hu, SOLID_HU))
    for ball in balls:
        if ball.core:
            radius = CORE_PART * ball.radius_mm
            where, amount = _painted(ball.centre, radius, ragged, axes, lungs)
            noise = rng.standard_normal(amount.shape, dtype=np.float32)
            values[where] += amount * (SOLID_HU + SOLID_NOISE_HU * noise - values[where])
            labels[where][amount > 0.5] = CONSOLIDATION
    return np.clip(np.rint(values), -1024, 3071).astype(np.int16), labels


def _balls(
    rng: np.random.Generator, lungs: np.ndarray, axes: Axes, extent: float
) -> Iterator[Ball]:
    few = lungs[tuple(slice(None, None, step) for step in STEPS)]
    sampling = [step * size for step, size in zip(STEPS, SPACING_MM, strict=True)]
    depth_mm = ndimage.distance_transform_edt(few, sampling=sampling)[few]
    z, y, x = (
        axis.ravel()[::step][index]
        for axis, step, index in zip(axes, STEPS, np.nonzero(few), strict=True)
    )
    backward = (y - y.min()) / np.ptp(y)
    likely = np.exp(-depth_mm / DEPTH_MM) * (FRONT + (1 - FRONT) * backward)
    count, low, high = (
        least + extent * (most - least) for least, most in (BALLS, LEAST_MM, MOST_MM)
    )
    for place in rng.choice(len(y), round(count), p=likely / likely.sum()):
        yield Ball(
            np.array([z[place], y[place], x[place]]),
            rng.uniform(low, high),
            rng.uniform(*GGO_RISE_HU),
            bool(rng.random() < CORES),
        )


def _painted(
    centre: np.ndarray, radius_mm: float, ragged: SmoothField, axes: Axes, lungs: np.ndarray
) -> tuple[tuple[slice, ...], np.ndarray]:
    """The part of the grid that a ragged ball takes, and how much of each voxel it fills, 0…1.

    It ends at the surface of the lungs.
    """
    where = box(axes, centre, centre, margin=(1 + 3 * UNEVEN) * radius_mm + SOFT_MM)
    near = subgrid(axes, where)
    away = np.sqrt(sum((axis - middle) ** 2 for axis, middle in zip(near, centre, strict=True)))
    distance = away - radius_mm * (1 + UNEVEN * ragged(near))
    return where, coverage(distance, SOFT_MM) * lungs[where]
