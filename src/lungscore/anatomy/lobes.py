"""Lobes from the shape of the lungs: fissures as quadric surfaces that follow it."""

from collections.abc import Mapping

import numpy as np

from lungscore.anatomy.atlas import LUNG_LOBES, LungAtlas, load_atlas, lung_coordinates
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.grid import assumed_spacing_mm
from lungscore.labels import LEFT_LUNG, LOBES


def find_lobes(
    lung_labels: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    *,
    atlas: Mapping[int, LungAtlas] | None = None,
) -> np.ndarray:
    """The lobes of the lungs, uint8 (D, H, W) of labels.LOBES, estimated from each lung's shape.

    lung_labels: (D, H, W) with 1 right and 2 left lung; a lung that is missing has no lobes.
    spacing_mm: (z, y, x), None where unknown. Each voxel belongs to the lobe whose quadratic
    function of the voxel's place in its lung is greatest; the functions follow from the lung's
    shape and the height of its hilum by a multinomial logistic model fitted to manual lobe masks
    (anatomy.atlas, the default of ``atlas``). No fissure is looked for in an image: the result is
    an approximation.
    """
    atlas = atlas or load_atlas()
    spacing_mm = spacing_mm or assumed_spacing_mm(lung_labels.shape)  # type: ignore[arg-type]
    lobes = np.zeros(lung_labels.shape, np.uint8)
    for side, names in LUNG_LOBES.items():
        mask = lung_labels == side
        if not mask.any():
            continue
        values = np.array([LOBES[name] for name in names], np.uint8)
        box = lung_box(mask)
        lung, found = mask[box], lobes[box]
        if side == LEFT_LUNG:  # the atlas has the lateral side first
            lung, found = lung[:, :, ::-1], found[:, :, ::-1]
        weights = atlas[side].quadrics(lung, spacing_mm).astype(np.float32)
        z, y, x = lung_coordinates(lung)
        for index in np.flatnonzero(lung.any(axis=(1, 2))):
            plane = quadrics_in_slice(weights, z[index], y, x).argmax(axis=0)
            found[index][lung[index]] = values[plane[lung[index]]]
    return lobes


def quadrics_in_slice(weights: np.ndarray, z: float, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(lobes, H, W): each row of ``weights`` · (1, z, y, x, zz, zy, zx, yy, yx, xx) in a slice."""
    one, wz, wy, wx, zz, zy, zx, yy, yx, xx = weights.T[:, :, None]
    rows = one + wz * z + zz * z * z + (wy + zy * z) * y + yy * y * y
    columns = (wx + zx * z) * x + xx * x * x
    return rows[:, :, None] + columns[:, None, :] + yx[:, :, None] * y[:, None] * x
