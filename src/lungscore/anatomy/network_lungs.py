"""Lungs on coarse blocks from what the lung network says."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.checks import GAS_HU
from lungscore.anatomy.closing import IN_PLANE, above, close_ball, dome_caps, fill_slices
from lungscore.anatomy.lung_maps import AIRWAYS, LEFT, RIGHT, LungMaps
from lungscore.anatomy.morphology import dilation, opening
from lungscore.anatomy.overview import Overview
from lungscore.anatomy.ribs import back_of, towards_ribs
from lungscore.anatomy.rules import CLOSING_MM, above_the_lungs
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

#: Of 255, the probability from which aerated blocks join the lungs where rules call them lung, or
#: where they lie above lung.
LIKELY = 20
#: Blocks denser than aerated lung are lung from the first on where they are haze, else from the
#: second. From the third on dense tissue may be lung, from the last it surely is.
HAZE, DENSE, POSSIBLE, SURE = 165, 245, 128, 217
#: Pieces below this are none (for one slice: mm² instead of mm³).
SMALLEST_PIECE_MM3, SMALLEST_PIECE_MM2 = 3000.0, 150.0
#: A piece below this part of a lung that touches the other lung belongs to that.
STRAY = 0.1
#: A piece with less air than this part cannot be told from fluid: it may be lung.
LEAST_AIR = 0.1
#: Gas that rules left out is the lung itself, and emphysema, from this part of the network's lungs.
MOST = 0.3
#: A piece of which less than this part is inside the body is air around it.
INSIDE = 0.5
#: Haze narrower than this, two blocks in a slice, may be lung mixed with the wall beside it.
TWO_WIDE = np.ones((1, 2, 2), bool)


@dataclass(frozen=True)
class NetworkLungs:
    """Labels on blocks: closed (1 right, 2 left; uint8), probability (of lung, 0…255), and bool:

    dense: lung without air, thicker than a block or two. hazy: half-dense lung at least two blocks
    wide, which is no mere rim. doubtful: dense blocks of which the network is not sure. perhaps:
    dense blocks outside that it holds possible.
    """

    closed: np.ndarray
    probability: np.ndarray
    dense: np.ndarray
    hazy: np.ndarray
    airways: np.ndarray
    doubtful: np.ndarray
    perhaps: np.ndarray


def network_lungs(
    maps: LungMaps, overview: Overview, aerated: np.ndarray, airways: np.ndarray
) -> NetworkLungs:
    """What the network calls lung on the blocks of ``overview``, tidied.

    aerated: labels of the lungs that rules found, on the same blocks; air of theirs that continues
    the network's lungs joins these where the network does not exclude it. airways: bool, those that
    rules followed from the trachea.
    """
    grid = overview.grid
    right, left, air = maps.on(grid).astype(np.int16)[[RIGHT, LEFT, AIRWAYS]]
    lung = right + left
    airways = airways | ((air > lung) & (air > 255 - lung - air))
    dark = overview.values < overview.levels.lung
    airways_or_gas = airways | _gas(overview, aerated, airways, lung)
    solid = lung >= np.where(overview.values < overview.levels.haze, HAZE, DENSE)
    plain = dark & (2 * lung > 255)
    lungs = (plain | ~dark & solid) & ~airways_or_gas & ~overview.beyond
    continued = (aerated > 0) & (lung >= LIKELY)
    if overview.levels.gas is not None:
        continued &= overview.values > overview.levels.gas  # plain gas beside a lung is bowel
    # No bowel has lung beneath it. What is darker still may be a bulla or the pleural space.
    emphysema = dark & (lung >= LIKELY) & overview.inside & above(plain)
    if overview.levels.gas is not None:
        emphysema &= overview.values > GAS_HU
    likely = (plain | continued | emphysema) & ~airways_or_gas
    lungs = _pieces_with(lungs | likely, lungs)
    lungs = _without_odd_pieces(lungs, overview)
    if overview.scan.sides_known:
        closed = _sides(lungs, right >= left)
    else:
        closed = lungs.astype(np.uint8)
    airless = _airless(closed, dark)
    closed[airless] = 0
    for side in np.unique(closed[closed > 0]):
        whole = fill_slices(closed == side, spacing_mm=grid.spacing_mm)
        closed[whole & (closed == 0) & ~airways_or_gas] = side
        mine = closed == side
        caps = dome_caps(mine, mine & dark, ~dark & (closed == 0), grid.spacing_mm)
        closed[caps] = 0
    notches = np.zeros(closed.shape, bool)
    if overview.scan.sides_known:
        notches = _fill_notches(closed, ~dark & ~airways & overview.inside, grid.spacing_mm)
    dense = opening((closed > 0) & ~dark, IN_PLANE) | notches
    haze = (closed > 0) & ~dark & (overview.values < overview.levels.haze)
    hazy = ndimage.binary_opening(haze, TWO_WIDE)
    doubtful = dense & (lung < SURE)
    perhaps = (closed == 0) & ~dark & ~airways & (lung >= POSSIBLE) & overview.inside
    perhaps = opening(perhaps, np.ones((3, 3, 3), bool)) | airless
    return NetworkLungs(closed, lung, dense, hazy, airways, doubtful, perhaps)


def _fill_notches(
    closed: np.ndarray, dense: np.ndarray, spacing_mm: tuple[float, float, float]
) -> np.ndarray:
    """Fill narrow notches of the lungs ``closed`` (labels) at the ribs, and say where, bool.

    The chest wall has no notches: dense bands and nodules that reach it are lung. Towards heart,
    hilum and diaphragm there may be any. dense: bool, blocks that may fill them.
    """
    notches = np.zeros(closed.shape, bool)
    if not closed.any():
        return notches
    back = back_of(closed > 0)
    for side in np.unique(closed[closed > 0]):
        box = lung_box(closed == side, margin=(1, 1, 1))
        lung = closed[box] == side
        filled = close_ball(lung, spacing_mm, radius_mm=CLOSING_MM) & dense[box]
        filled &= (closed[box] == 0) & towards_ribs(lung, side, back=back - box[1].start)
        closed[box][filled] = side
        notches[box] |= filled
    return notches


def _gas(
    overview: Overview, aerated: np.ndarray, airways: np.ndarray, lung: np.ndarray
) -> np.ndarray:
    """Pieces of plain gas that rules left out of the lungs and of which the network is not sure.

    Lungs that are all emphysema look like gas to the rules: of pieces as large as a lung it is
    enough that the network rather calls them lung.
    """
    if overview.levels.gas is None or not aerated.any():
        return np.zeros(aerated.shape, bool)
    left_out = overview.aerated & (aerated == 0) & ~airways
    pieces, count = ndimage.label(left_out)
    if not count:
        return np.zeros(aerated.shape, bool)
    index = np.arange(1, count + 1)
    gas = np.zeros(count + 1, bool)
    medians = ndimage.median(overview.values[left_out], pieces[left_out], index)
    gas[1:] = medians < overview.levels.gas
    large = np.bincount(pieces.ravel()) > MOST * np.count_nonzero(
        overview.aerated & (2 * lung > 255)
    )
    gas &= _means(lung, pieces, count) < np.where(large, 255 / 2, SURE)
    # The rim of gas is mixed with its wall.
    return dilation(gas[pieces], IN_PLANE, within=overview.aerated | (lung < SURE))


def _pieces_with(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The pieces of ``mask`` (bool) in which some of ``seeds`` lie."""
    pieces, count = ndimage.label(mask)
    kept = np.zeros(count + 1, bool)
    kept[pieces[seeds]] = True
    kept[0] = False
    return kept[pieces]


def _means(values: np.ndarray, pieces: np.ndarray, count: int) -> np.ndarray:
    """The mean of ``values`` in each of ``pieces`` (labels 1…count); NaN at 0, beside them."""
    inside = pieces > 0
    labels = pieces[inside]
    sums = np.bincount(labels, values[inside], minlength=count + 1)
    sizes = np.bincount(labels, minlength=count + 1).astype(float)
    sizes[sizes == 0] = np.nan
    means: np.ndarray = sums / sizes
    return means


def _airless(closed: np.ndarray, dark: np.ndarray) -> np.ndarray:
    """Pieces of a lung with hardly any air: a white lung, or what fills the place of one."""
    airless = np.zeros(closed.shape, bool)
    for side in np.unique(closed[closed > 0]):
        pieces, count = ndimage.label(closed == side)
        air = _means(dark, pieces, count) < LEAST_AIR
        airless |= air[pieces]
    return airless


def _without_odd_pieces(lungs: np.ndarray, overview: Overview) -> np.ndarray:
    """``lungs`` without specks, air around the body, and what lies above the lungs."""
    spacing_mm = overview.grid.spacing_mm
    one_slice = len(lungs) == 1
    pieces, count = ndimage.label(lungs)
    if not count:
        return lungs
    voxels = np.bincount(pieces.ravel())
    sizes = voxels * np.prod(spacing_mm[1:] if one_slice else spacing_mm)
    keep = sizes >= (SMALLEST_PIECE_MM2 if one_slice else SMALLEST_PIECE_MM3)
    inside = np.bincount(pieces[overview.inside], minlength=count + 1)
    # A body whose outline is open holds its lungs in no slice: the largest piece stays.
    keep &= (inside >= INSIDE * voxels) | (sizes == sizes[1:].max())
    keep[0] = False
    if keep.any() and not one_slice:
        keep &= ~above_the_lungs(pieces, np.where(keep, sizes, 0))
    return keep[pieces]


def _sides(lungs: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """Labels of both lungs; small pieces of one in touch with the other join that."""
    labels = np.where(lungs, np.where(is_right, RIGHT_LUNG, LEFT_LUNG), 0).astype(np.uint8)
    for side, opposite in ((RIGHT_LUNG, LEFT_LUNG), (LEFT_LUNG, RIGHT_LUNG)):
        pieces, count = ndimage.label(labels == side)
        if count < 2:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        beside = dilation(labels == opposite) & (pieces > 0)
        touching = np.bincount(pieces[beside], minlength=count + 1) > 0
        stray = touching & (sizes < STRAY * sizes.max())
        labels[stray[pieces]] = opposite
    return labels
