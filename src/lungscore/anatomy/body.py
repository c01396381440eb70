"""The body, and the air inside it."""

import numpy as np
from scipy import ndimage

from lungscore.anatomy.closing import IN_PLANE
from lungscore.anatomy.morphology import dilation, opening

#: A dark patch that touches the image edge over at least this many times the square root of its
#: area lies outside the body. The air around a patient touches 3 to 6 times as much, a lung cut
#: by a tight crop less.
EDGE_CONTACT = 1.6
#: Where more than this part of the image edge is tissue, the image is a crop of the body.
CROPPED = 0.4

_IN_PLANE_FULL = np.zeros((3, 3, 3), bool)
_IN_PLANE_FULL[1] = True


def inside_body(tissue: np.ndarray, beyond: np.ndarray | None = None) -> np.ndarray:
    """The body with everything it encloses in each slice, bool (D, H, W).

    tissue: bool (D, H, W), voxels denser than lung, on a grid of a few millimetres. The body is
    the largest connected piece of tissue that is more than two voxels thick; table shells and
    clothes fall away. In a crop so tight that the image edge runs through the body, all tissue is
    body, and lungs that the edge cuts count as inside. beyond: bool (D, H, W), where the scanner
    has no picture; its border is an edge too.
    """
    if beyond is None:
        beyond = np.zeros(tissue.shape, bool)
    edge = [tissue[:, 0], tissue[:, -1], tissue[:, :, 0], tissue[:, :, -1]]
    if np.concatenate([line.ravel() for line in edge]).mean() > CROPPED:
        return ~_outside(~tissue, beyond)
    pieces, count = ndimage.label(opening(tissue, _IN_PLANE_FULL))
    if count == 0:
        return np.zeros(tissue.shape, bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    body = dilation(pieces == sizes.argmax(), IN_PLANE, iterations=2, within=tissue)
    return ~_outside(~body, beyond)


def _outside(dark: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """``beyond`` and the patches of ``dark`` along it or the image edge, slice by slice."""
    patches, count = ndimage.label(dark & ~beyond, IN_PLANE)
    areas = np.bincount(patches.ravel(), minlength=count + 1)
    edge = np.zeros(count + 1, int)
    for line in (patches[:, 0], patches[:, -1], patches[:, :, 0], patches[:, :, -1]):
        edge += np.bincount(line.ravel(), minlength=count + 1)
    if beyond.any():
        rim = dilation(beyond, IN_PLANE) & ~beyond
        edge += np.bincount(patches[rim], minlength=count + 1)
    outside = edge >= EDGE_CONTACT * np.sqrt(areas)
    outside[0] = False
    return outside[patches] | beyond


def median_midline(inside: np.ndarray) -> float:
    """The column that halves the body, as the median over the slices that show it."""
    columns = inside.sum(axis=1)  # (D, W)
    columns = columns[columns.sum(axis=1) > 0]
    if not len(columns):
        return inside.shape[2] / 2
    share = np.cumsum(columns, axis=1) / columns.sum(axis=1, keepdims=True)
    return float(np.median((share < 0.5).sum(axis=1)))
