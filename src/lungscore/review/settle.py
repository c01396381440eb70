"""From what a tool asks for to what changes: lesions and lobes stay within the lungs."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.review.masks import Change, Layer, Masks
from lungscore.review.tools import Wish

_OF_SIDE = {
    RIGHT_LUNG: [value for name, value in LOBES.items() if name.startswith("R")],
    LEFT_LUNG: [value for name, value in LOBES.items() if name.startswith("L")],
}


class Settled(NamedTuple):
    """What changes, layer by layer. outside: voxels asked for where there is no lung."""

    changes: tuple[Change, ...]
    outside: int


def settled(wish: Wish, masks: Masks) -> Settled:
    """What ``wish`` changes of ``masks``, and what follows from it in other layers.

    Where lung is taken away, lesions and lobe go with it. New lung, and lung that changes its
    side, gets the nearest lobe of its side.
    """
    layer, voxels, labels = wish
    outside = 0
    if layer != "lungs":
        beyond = (masks.lungs.reshape(-1)[voxels] == 0) & (labels > 0)
        outside = int(beyond.sum())
        voxels, labels = voxels[~beyond], labels[~beyond]
    change = _change(masks, layer, voxels, labels)
    if not len(change.starts):
        return Settled((), outside)
    if layer != "lungs":
        return Settled((change,), outside)
    followers = _lesions_after(change, masks), _lobes_after(change, masks)
    return Settled((change, *(c for c in followers if c is not None and len(c.starts))), outside)


def _change(masks: Masks, layer: Layer, voxels: np.ndarray, labels: np.ndarray) -> Change:
    before = masks.layers[layer].reshape(-1)[voxels]
    differs = before != labels
    plane = masks.lungs[0].size
    return Change.of(layer, voxels[differs], before[differs], labels[differs], plane=plane)


def _lesions_after(lungs: Change, masks: Masks) -> Change:
    voxels = lungs.voxels[np.repeat(lungs.after, lungs.lengths) == 0]
    return _change(masks, "lesions", voxels, np.zeros(len(voxels), np.uint8))


def _lobes_after(lungs: Change, masks: Masks) -> Change | None:
    if masks.lobes is None:
        return None
    voxels, after = lungs.voxels, np.repeat(lungs.after, lungs.lengths)
    labels = np.zeros(len(voxels), np.uint8)
    plane = masks.lungs[0].size
    level = voxels // plane
    for side in (RIGHT_LUNG, LEFT_LUNG):
        for z in np.unique(level[after == side]).tolist():
            chosen = (level == z) & (after == side)
            labels[chosen] = _nearest(masks, side, z, voxels[chosen] % plane)
    return _change(masks, "lobes", voxels, labels)


def _nearest(masks: Masks, side: int, z: int, pixels: np.ndarray) -> np.ndarray:
    """The nearest lobe of ``side`` for each of ``pixels``, flat places in slice ``z``.

    Of this slice; where it has none, of the next that does. 0 where there is none at all.
    """
    if masks.lobes is None:
        return np.zeros(len(pixels), np.uint8)
    depth = len(masks.lungs)
    for level in sorted(range(depth), key=lambda other: abs(other - z)):
        if not masks.lungs[level].any():
            continue
        known = np.isin(masks.lobes[level], _OF_SIDE[side]) & (masks.lungs[level] == side)
        if known.any():
            y, x = ndimage.distance_transform_edt(
                ~known, return_distances=False, return_indices=True
            ).reshape(2, -1)[:, pixels]
            return np.asarray(masks.lobes[level][y, x])
    return np.zeros(len(pixels), np.uint8)
