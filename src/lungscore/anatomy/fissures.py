"""Fissures that a CT shows: thin bright sheets near where the atlas expects them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lungscore.anatomy.fissure_course import likeliest_course
from lungscore.anatomy.morphology import dilation

#: Distance between neighbouring places of a surface, and between candidate offsets, mm.
NODE_MM, STEP_MM = 2.5, 1.0
#: A fissure is looked for this far from where the atlas puts it, mm, along the axis across which
#: the border lies; farther off the likeliest course as a whole is less likely.
FARTHEST_MM, SPREAD_MM = 36.0, 10.0
#: Slices thicker than this blur fissures and vessels too much, mm.
THICKEST_MM = 6.0
#: Darker is a bronchus; brighter than this, and than the median of the lung by so much, a vessel.
BRONCHUS_HU, VESSEL_HU, BRIGHTER_HU = -980, -740, 130
#: Widths of a fissure and of the lung beside it, along the offset; patches over which a sheet must
#: go on, mm. Slices this part of whose distance is more blur a fissure further.
SHEET_MM, BESIDE_MM, PATCH_MM = 1.0, 2.0, 6.0
BLURRED = 0.3
#: Vessels do not cross fissures: what the share of vessels about a place costs, for the course as a
#: whole and for each place, and over how many millimetres that share is taken.
CROSSED, CROSSED_HERE, ABOUT_MM = 60.0, 40.0, 3.0
#: Where this share of the lung over as many millimetres is as bright as a vessel, it is disease.
DISEASED, DISEASE_MM = 0.5, 8.0
#: Evidence for the course as a whole is cut off here, so that no single sheet decides it.
PLAUSIBLE = -1.0, 4.0
#: How steeply a fissure may run against the expected surface, mm a mm.
TILTS = (-0.5, 0.0, 0.5)
#: Nearer to the lung's surface than this, its wall looks like a sheet, mm.
WALL_MM = 4.0
#: How many offsets are smoothed at once.
AT_ONCE = 12
#: What a bend of one step between neighbouring places costs, and what being one spread off costs,
#: in standard deviations of the response.
BEND, ASTRAY = 1.5, 0.5
#: By so much less evidence the likeliest course still wins against the expected border.
AHEAD = 0.2
#: A response this many standard deviations above the mean shows a fissure; with less than that
#: part of the surface showing one, nothing is moved.
RESPONSE, VISIBLE = 1.5, 0.1
#: The traced sheet is smoothed over this many nodes, each weighing by the square of its response,
#: which is at least this; the course as a whole has this weight.
SMOOTH, FAINT, WHOLE = 2.0, 0.3, 2.0


@dataclass(frozen=True)
class Surface:
    """A surface over the plane of two axes of a volume: the place along the third axis.

    positions: (A, B) float voxels along the first axis of the volume, at every ``steps``-th voxel
    of the second and third; NaN where the surface leaves the volume. modes: (m, A, B) by how many
    voxels one standard deviation of each of the ways in which the surface may be off moves it.
    """

    positions: np.ndarray
    steps: tuple[int, int]
    modes: np.ndarray


def node_steps(spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """How many voxels of the two axes of a surface lie between its nodes."""
    first, second = (max(1, round(NODE_MM / size)) for size in spacing_mm)
    return first, second


def trace_fissure(
    values: np.ndarray,
    inside: np.ndarray,
    expected: Surface,
    spacing_mm: tuple[float, float, float],
    slice_mm: float,
) -> np.ndarray | None:
    """How far the fissure lies from ``expected`` along the first axis, (A, B) voxels; or None.

    values: (N, A', B') Hounsfield units. inside: bool, voxels of the lung that are not at its
    wall. slice_mm: the distance of the slices. None where too little of the surface shows a
    fissure. The fissure is sought among parallel surfaces: bright against both sides, going on over
    some millimetres, with no vessels across. First its course as a whole
    (``likeliest_course``), then the smoothest strong sheet not far from that (semi-global matching,
    Hirschmüller, IEEE TPAMI 2008).
    """
    offsets_mm = np.arange(-FARTHEST_MM, FARTHEST_MM + STEP_MM / 2, STEP_MM)
    sampled, within = _straightened(values, inside, expected, offsets_mm / spacing_mm[0])
    if not within.any():
        return None
    bright = sampled >= max(VESSEL_HU, float(np.median(sampled[within])) + BRIGHTER_HU)
    # Beside a vessel or a bronchus a voxel is part lung, part of it, and looks like a fissure.
    valid = within & ~dilation((sampled <= BRONCHUS_HU) | bright)
    first, second = expected.steps
    node_mm = first * spacing_mm[1], second * spacing_mm[2]
    response = _response(sampled, valid, node_mm, BLURRED * slice_mm)
    if response is None:
        return None
    diseased = _diseased(bright & within, within, node_mm)
    about = (1.0, *(ABOUT_MM / size for size in node_mm))
    vessels = bright & within & ~diseased
    crossed = ndimage.gaussian_filter(vessels.astype(np.float32), about)
    evidence = response.clip(*PLAUSIBLE) - CROSSED * crossed
    course = likeliest_course(
        evidence, within & ~diseased, offsets_mm, expected.modes * spacing_mm[0]
    )
    seen = valid.any(axis=0)
    if not seen.any():
        return None
    against = CROSSED_HERE * crossed - response
    # Where disease hides much, the likeliest course may be none at all: the expected one competes.
    shown = np.where(within & ~diseased, evidence, 0)
    sheets = {}
    for whole, ahead in ((np.zeros_like(course), 0.0), (course, AHEAD)):
        astray = ((offsets_mm[:, None, None] - whole) / SPREAD_MM) ** 2
        sheet = _smoothest((ASTRAY * astray + against).astype(np.float32))
        met = np.take_along_axis(shown, sheet[None], axis=0)[0][seen].mean()
        sheets[float(met) + ahead] = whole, sheet
    course, chosen = sheets[max(sheets)]
    reached = np.take_along_axis(response, chosen[None], axis=0)[0]
    if (reached[seen] > RESPONSE).mean() < VISIBLE:
        return None
    # Where the sheet does not show, the border follows where it does, and the course as a whole.
    weight = np.maximum(reached, FAINT) ** 2
    total = ndimage.gaussian_filter(offsets_mm[chosen] * weight, SMOOTH, mode="nearest")
    weights = ndimage.gaussian_filter(weight, SMOOTH, mode="nearest")
    offset_mm: np.ndarray = (total + WHOLE * course) / (weights + WHOLE)
    return offset_mm / spacing_mm[0]


def _straightened(
    values: np.ndarray, inside: np.ndarray, expected: Surface, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values on surfaces parallel to the expected one, (offsets, A, B), and which lie inside."""
    first, second = expected.steps
    rows = np.arange(expected.positions.shape[0]) * first
    columns = np.arange(expected.positions.shape[1]) * second
    positions = expected.positions[None] + offsets[:, None, None]
    last = values.shape[0] - 1
    known = np.isfinite(positions) & (positions >= 0) & (positions <= last)
    positions = np.where(known, positions, 0.0)
    low = positions.astype(np.intp)
    # Between two voxels along the first axis alone: nodes lie on voxels of the others.
    across = rows[:, None], columns[None, :]
    share = positions - low
    sampled = values[np.minimum(low + 1, last), *across] * share
    sampled += values[low, *across] * (1 - share)
    sampled = sampled.astype(np.float32)
    inside = inside[np.rint(positions).astype(np.intp), *across]
    return sampled, inside & known


def _diseased(bright: np.ndarray, within: np.ndarray, node_mm: tuple[float, float]) -> np.ndarray:
    """Where so much of the lung is ``bright`` that it shows neither fissures nor vessels."""
    about = (DISEASE_MM / STEP_MM, *(DISEASE_MM / size for size in node_mm))
    share, lung = (
        ndimage.gaussian_filter(part.astype(np.float32), about, truncate=2.0)
        for part in (bright, within)
    )
    diseased: np.ndarray = share >= DISEASED * lung
    return diseased


def _response(
    sampled: np.ndarray, valid: np.ndarray, node_mm: tuple[float, float], blur_mm: float
) -> np.ndarray | None:
    """How much each place looks like a sheet, in standard deviations; 0 where not valid."""
    if np.count_nonzero(valid) < 100:
        return None
    widths = np.hypot(SHEET_MM, blur_mm), np.hypot(BESIDE_MM, 2 * blur_mm)
    sheet, beside = (_mean(sampled, valid, width / STEP_MM) for width in widths)
    smooth = _best_tilt(np.where(valid, sheet - beside, 0), valid, node_mm)
    deviation = smooth[valid].std()
    if deviation == 0:
        return None
    return np.where(valid, (smooth - smooth[valid].mean()) / deviation, 0)


def _mean(values: np.ndarray, valid: np.ndarray, width: float) -> np.ndarray:
    """Gaussian mean of the ``valid`` values along the offset."""
    weight = ndimage.gaussian_filter1d(valid.astype(np.float32), width, axis=0)
    total = ndimage.gaussian_filter1d(np.where(valid, values, 0).astype(np.float32), width, axis=0)
    mean: np.ndarray = total / np.maximum(weight, 1e-3)
    return mean


def _best_tilt(sheet: np.ndarray, valid: np.ndarray, node_mm: tuple[float, float]) -> np.ndarray:
    """The mean of ``sheet`` over a patch about each place, tilted as it suits best."""
    best = np.full(sheet.shape, -np.inf, np.float32)
    sheet, weight = sheet.astype(np.float32), valid.astype(np.float32)
    for first in TILTS:
        tilted = [_along(values, 1, first, node_mm[0]) for values in (sheet, weight)]
        for second in TILTS:
            total, count = (_along(values, 2, second, node_mm[1]) for values in tilted)
            # A patch of which little is lung says little.
            np.maximum(best, total / np.maximum(count, 0.7), out=best)
    return best


def _along(values: np.ndarray, axis: int, tilt: float, node_mm: float) -> np.ndarray:
    """Gaussian mean along lines through (offset, axis) that rise by ``tilt`` mm a mm.

    Beyond the ends of ``values`` lies 0.
    """
    reach = int(np.ceil(2 * PATCH_MM / node_mm))
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps * node_mm / PATCH_MM) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    offsets, size = len(values), values.shape[axis]
    total = np.zeros_like(values)
    for first in range(0, offsets, AT_ONCE):  # few offsets at once, so that the cache holds them
        part = total[first : first + AT_ONCE]
        weighed = np.empty_like(part)
        for step, weight in zip(steps, weights, strict=True):
            by, rise = int(step), first + round(tilt * step * node_mm / STEP_MM)
            low, high = max(0, -rise), min(len(part), offsets - rise)
            into, source = [slice(low, high)] * 3, [slice(rise + low, rise + high)] * 3
            into[3 - axis] = source[3 - axis] = slice(None)
            into[axis] = slice(max(-by, 0), size - max(by, 0))
            source[axis] = slice(max(by, 0), size + min(by, 0))
            if low < high and abs(by) < size:
                np.multiply(values[tuple(source)], weight, out=weighed[tuple(into)])
                part[tuple(into)] += weighed[tuple(into)]
    return total


def _smoothest(cost: np.ndarray) -> np.ndarray:
    """(A, B) index of the offset at each place: low ``cost`` (offsets, A, B), few bends."""
    total = np.zeros_like(cost)
    for axis in (1, 2):
        lines = np.moveaxis(cost, axis, 0)
        sums = np.moveaxis(total, axis, 0)
        # Forth and back at once: one beside the other.
        carried = np.zeros((2, *lines[0].shape), cost.dtype)
        for index in range(len(lines)):
            ends = index, len(lines) - 1 - index
            carried = _bent(carried)
            for way, end in enumerate(ends):
                carried[way] += lines[end]
                sums[end] += carried[way]
    return total.argmin(axis=0)


def _bent(carried: np.ndarray) -> np.ndarray:
    """The least cost of coming to each offset from any one of the neighbour, less the least.

    carried: (ways, offsets, places). A bend over twice as many offsets is two bends over half as
    many, so a few steps reach all of them.
    """
    least = carried - carried.min(axis=1, keepdims=True)
    step = 1
    while step < least.shape[1]:
        bend = np.float32(step * BEND)
        before = least + bend
        np.minimum(least[:, step:], before[:, :-step], out=least[:, step:])
        np.minimum(least[:, :-step], before[:, step:], out=least[:, :-step])
        step *= 2
    return least
