"""Lungs on coarse blocks from what the lung network says."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lungscore.anatomy.closing import IN_PLANE, fill_slices
from lungscore.anatomy.lung_maps import AIRWAYS, LEFT, RIGHT, LungMaps
from lungscore.anatomy.overview import Overview
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

#: Aerated blocks beside the lungs join them from this probability on, of 255.
LIKELY = 64
#: From these probabilities on, of 255, dense tissue may be lung, and lung without air surely is.
POSSIBLE, SURE = 26, 230
#: Pieces below this are none (for one slice: mm² instead of mm³).
SMALLEST_PIECE_MM3, SMALLEST_PIECE_MM2 = 3000.0, 150.0
#: A piece below this part of a lung that touches the other lung belongs to that.
STRAY = 0.1


@dataclass(frozen=True)
class NetworkLungs:
    """Labels on blocks: closed (1 right, 2 left; uint8), and what is bool.

    dense: lung without air, thicker than a block or two. doubtful: those of them of which the
    network is not sure. perhaps: dense blocks outside that it holds possible.
    """

    closed: np.ndarray
    dense: np.ndarray
    airways: np.ndarray
    doubtful: np.ndarray
    perhaps: np.ndarray


def network_lungs(maps: LungMaps, overview: Overview) -> NetworkLungs:
    """What the network calls lung on the blocks of ``overview``, tidied."""
    grid = overview.grid
    right, left, air = maps.on(grid).astype(np.int16)[[RIGHT, LEFT, AIRWAYS]]
    lung = right + left
    airways = (air > lung) & (air > 255 - lung - air)
    likely = overview.aerated & (lung >= LIKELY) & ~airways
    found = (2 * lung > 255) & ~airways & ~overview.beyond
    found = _without_specks(_bridged(found, likely), grid.spacing_mm)
    found = ndimage.binary_dilation(found, IN_PLANE, iterations=2, mask=found | likely)
    if overview.scan.sides_known:
        closed = _sides(found, right >= left, grid.spacing_mm)
    else:
        closed = found.astype(np.uint8)
    for side in np.unique(closed[closed > 0]):
        closed[fill_slices(closed == side) & (closed == 0) & ~airways] = side
    aerated = overview.values < overview.levels.lung
    dense = ndimage.binary_opening((closed > 0) & ~aerated, IN_PLANE)
    doubtful = dense & (lung < SURE)
    perhaps = (closed == 0) & ~aerated & ~airways & (lung >= POSSIBLE) & overview.inside
    perhaps = ndimage.binary_opening(perhaps, np.ones((3, 3, 3), bool))
    return NetworkLungs(closed, dense, airways, doubtful, perhaps)


def _bridged(found: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """``found`` with what lies between lung above and lung below, where that is likely too."""
    if len(found) < 3:
        return found
    bridged = found.copy()
    bridged[1:-1] |= found[:-2] & found[2:] & likely[1:-1]
    return bridged


def _without_specks(found: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    one_slice = len(found) == 1
    pieces, _ = ndimage.label(found)
    sizes = np.bincount(pieces.ravel()) * np.prod(spacing_mm[1:] if one_slice else spacing_mm)
    keep = sizes >= (SMALLEST_PIECE_MM2 if one_slice else SMALLEST_PIECE_MM3)
    keep[0] = False
    return keep[pieces]


def _sides(
    found: np.ndarray, is_right: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Labels of both lungs; small pieces of one in touch with the other join that."""
    labels = np.where(found, np.where(is_right, RIGHT_LUNG, LEFT_LUNG), 0).astype(np.uint8)
    for side, other in ((RIGHT_LUNG, LEFT_LUNG), (LEFT_LUNG, RIGHT_LUNG)):
        pieces, count = ndimage.label(labels == side)
        if count < 2:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        beside = ndimage.binary_dilation(labels == other) & (pieces > 0)
        touching = np.bincount(pieces[beside], minlength=count + 1) > 0
        stray = touching & (sizes < STRAY * sizes.max())
        labels[stray[pieces]] = other
    return labels
