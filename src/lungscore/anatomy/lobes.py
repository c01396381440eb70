"""Lobes from the shape of the lungs alone: fissures as quadric surfaces."""

from collections.abc import Mapping, Sequence

import numpy as np

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.fissures import FISSURES
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG

#: The lobes of each lung, in the order in which FISSURES weighs them.
LUNG_LOBES = {RIGHT_LUNG: ("RUL", "RML", "RLL"), LEFT_LUNG: ("LUL", "LLL")}


def find_lobes(
    lung_labels: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    *,
    fissures: Mapping[int, Sequence[Sequence[float]]] = FISSURES,
) -> np.ndarray:
    """The lobes of the lungs, uint8 (D, H, W) of labels.LOBES, estimated from each lung's shape.

    lung_labels: (D, H, W) with 1 right and 2 left lung; a lung that is missing has no lobes. Each
    voxel belongs to the lobe whose quadratic function of the voxel's place in its lung is
    greatest (a multinomial logistic model fitted to manual lobe masks, see ``fissures``). No
    fissure is looked for in the image: the result is an approximation. spacing_mm has no
    influence, since places are measured in units of the lung's own extent.
    """
    lobes = np.zeros(lung_labels.shape, np.uint8)
    for side, names in LUNG_LOBES.items():
        mask = lung_labels == side
        if not mask.any():
            continue
        values = np.array([LOBES[name] for name in names], np.uint8)
        box = lung_box(mask)
        lung, found = mask[box], lobes[box]
        z, y, x = lung_coordinates(lung)
        weights = np.array(fissures[side], np.float32)
        for index in np.flatnonzero(lung.any(axis=(1, 2))):
            plane = _quadric(weights, z[index], y, x).argmax(axis=0)
            found[index][lung[index]] = values[plane[lung[index]]]
    return lobes


def lung_coordinates(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The coordinate of every plane along z, y and x, from the mean of ``mask`` in units of spread.

    One unit is 1.7 standard deviations of the mask's voxels along that axis, so a lung reaches
    from about −1 to 1. Mean and spread hardly feel a stray voxel, as a bounding box would.
    """
    coordinates = []
    for axis, size in enumerate(mask.shape):
        others = tuple(other for other in range(3) if other != axis)
        counts = mask.sum(axis=others)
        place = np.arange(size)
        mean = np.average(place, weights=counts)
        spread = np.sqrt(np.average((place - mean) ** 2, weights=counts))
        coordinates.append(((place - mean) / (1.7 * max(spread, 0.5))).astype(np.float32))
    return coordinates[0], coordinates[1], coordinates[2]


def _quadric(weights: np.ndarray, z: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(lobes, H, W): each row of ``weights`` · (1, z, y, x, zz, zy, zx, yy, yx, xx) in a slice."""
    one, wz, wy, wx, zz, zy, zx, yy, yx, xx = weights.T[:, :, None]
    rows = one + wz * z + zz * z * z + (wy + zy * z) * y + yy * y * y
    columns = (wx + zx * z) * x + xx * x * x
    return rows[:, :, None] + columns[:, None, :] + yx[:, :, None] * y[:, None] * x
