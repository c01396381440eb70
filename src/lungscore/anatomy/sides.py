"""Telling the right lung from the left, also where they touch."""

import numpy as np
from scipy import ndimage

from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG

#: A compartment with at least this part of it beyond the midline may hold both lungs.
BEYOND_MIDLINE = 0.15
#: The smaller of two lungs has at least this part of the larger's volume.
SMALLER_LUNG = 0.08


def name_sides(
    lungs: np.ndarray, values: np.ndarray, spacing_mm: tuple[float, float, float], *, midline: float
) -> np.ndarray:
    """uint8 labels, 1 right and 2 left, of the bool mask ``lungs`` on a coarse grid.

    values: (D, H, W) the scan on that grid; a thin junction between the lungs shows in it.
    """
    pieces, _ = ndimage.label(lungs)
    labels = np.zeros(lungs.shape, np.uint8)
    column = np.arange(lungs.shape[2]) + 0.5
    for label, box in enumerate(ndimage.find_objects(pieces), start=1):
        if box is None:
            continue
        piece = pieces[box] == label
        columns = piece.sum(axis=(0, 1))
        beyond = float(columns[column[box[2]] > midline].sum() / columns.sum())
        if BEYOND_MIDLINE < beyond < 1 - BEYOND_MIDLINE:
            named = _split(piece, values[box], spacing_mm)
        else:
            named = None
        if named is None:
            named = np.where(piece, LEFT_LUNG if beyond > 0.5 else RIGHT_LUNG, 0)
        labels[box][piece] = named[piece]
    return labels


def sides_of_lobes(
    lungs: np.ndarray, lobes: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """uint8 labels, 1 right and 2 left, of ``lungs`` > 0: the side of the lobe each voxel lies in.

    What lies in no lobe goes with the nearest one. lobes: labels.LOBES on the same voxels, with at
    least one voxel.
    """
    side = np.zeros(max(LOBES.values()) + 1, np.uint8)
    for name, value in LOBES.items():
        side[value] = RIGHT_LUNG if name.startswith("R") else LEFT_LUNG
    named = side[lobes]
    if ((lungs > 0) & (named == 0)).any():
        inside = ndimage.find_objects((lungs > 0) | (named > 0), max_label=1)[0]
        nearest = ndimage.distance_transform_edt(
            named[inside] == 0, sampling=spacing_mm, return_distances=False, return_indices=True
        )
        named[inside] = named[inside][tuple(nearest)]
    named[lungs == 0] = 0
    return named


def _split(
    piece: np.ndarray, values: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray | None:
    """Labels of the two lungs in one connected ``piece``, or None where it is only one lung.

    The seeds are what remains when the piece is cut where it is densest (the junction line) or,
    failing that, where it is thinnest.
    """
    emptiness = -values.astype(np.float32)
    cuts = np.quantile(emptiness[piece], (0.02, 0.05, 0.1, 0.2, 0.35, 0.5))
    named = _split_by_level(piece, emptiness, cuts, spacing_mm=spacing_mm)
    if named is None:
        depth_mm = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing_mm)
        depth_mm = depth_mm[1:-1, 1:-1, 1:-1]
        cuts = np.arange(2.0, depth_mm.max(), 2.0)
        named = _split_by_level(piece, depth_mm, cuts, spacing_mm=spacing_mm)
    return named


def _split_by_level(
    piece: np.ndarray,
    level: np.ndarray,
    cuts: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray | None:
    """The split at the first of ``cuts`` above which two lungs lie apart, or None."""
    for cut in cuts:
        fragments, count = ndimage.label(piece & (level >= cut))
        if count < 2:
            continue
        sizes = np.bincount(fragments.ravel())
        sizes[0] = 0
        larger, smaller = np.argsort(sizes)[-1:-3:-1]
        if sizes[smaller] < SMALLER_LUNG * sizes[larger] or sizes[smaller] < 0.05 * piece.sum():
            continue
        means = ndimage.center_of_mass(piece, fragments, (larger, smaller))
        # Two lungs lie beside each other, not above each other or one behind the other.
        apart_mm = np.abs(np.subtract(*means)) * spacing_mm
        if apart_mm[2] < max(apart_mm[0], apart_mm[1], 0.15 * piece.shape[2] * spacing_mm[2]):
            continue
        right, left = (larger, smaller) if means[0][2] < means[1][2] else (smaller, larger)
        seeds = np.where(fragments == right, RIGHT_LUNG, 0) + np.where(
            fragments == left, LEFT_LUNG, 0
        )
        nearest = ndimage.distance_transform_edt(
            seeds == 0, sampling=spacing_mm, return_distances=False, return_indices=True
        )
        return seeds[tuple(nearest)].astype(np.uint8)
    return None
