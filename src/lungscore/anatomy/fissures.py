"""Fissures that a CT shows: thin bright sheets near where the atlas expects them."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: Distance between neighbouring places of a surface, and between candidate offsets, mm.
NODE_MM, STEP_MM = 2.5, 1.0
#: A fissure is looked for this far from where the atlas puts it, mm; farther off is less likely,
#: by the spread of fissures about the atlas.
FARTHEST_MM, SPREAD_MM = 20.0, 10.0
#: Slices thicker than this blur a fissure until it cannot be told from lung, mm.
THICKEST_MM = 3.0
#: Aerated lung and fissures lie in this range; vessels beyond it count no more than a fissure.
LUNG_HU, FISSURE_HU = -950, -650
#: Widths of a fissure and of the lung beside it, along the offset; patches over which a sheet must
#: go on, mm.
SHEET_MM, BESIDE_MM, PATCH_MM = 1.0, 3.0, 4.0
#: Nearer to the lung's surface than this, its wall looks like a sheet, mm.
WALL_MM = 4.0
#: What a bend of one step between neighbouring places costs, and what being one spread off costs,
#: in standard deviations of the response.
BEND, ASTRAY = 0.6, 0.5
#: A response this many standard deviations above the mean shows a fissure; with less than that
#: part of the surface showing one, nothing is moved.
RESPONSE, VISIBLE = 1.5, 0.25


@dataclass(frozen=True)
class Surface:
    """A surface over the plane of two axes of a volume: the place along the third axis.

    places: (A, B) float voxels along the first axis of the volume, at every ``steps``-th voxel of
    the second and third; NaN where the surface leaves the volume.
    """

    places: np.ndarray
    steps: tuple[int, int]


def node_steps(spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """How many voxels of the two axes of a surface lie between its nodes."""
    first, second = (max(1, round(NODE_MM / size)) for size in spacing_mm)
    return first, second


def trace_fissure(
    values: np.ndarray,
    inside: np.ndarray,
    expected: Surface,
    spacing_mm: tuple[float, float, float],
) -> np.ndarray | None:
    """How far the fissure lies from ``expected`` along the first axis, (A, B) voxels; or None.

    values: (N, A', B') Hounsfield units. inside: bool, voxels of the lung that are not at its
    wall. None where too little of the surface shows a fissure. The sheet is sought among parallel
    surfaces: bright against both sides, going on over some millimetres; the smoothest strong one
    not far from where it is expected wins (semi-global matching, Hirschmüller, IEEE TPAMI 2008).
    """
    offsets_mm = np.arange(-FARTHEST_MM, FARTHEST_MM + STEP_MM / 2, STEP_MM)
    sampled, valid = _straightened(values, inside, expected, offsets_mm / spacing_mm[0])
    response = _response(sampled, valid, expected.steps, spacing_mm[1:])
    if response is None:
        return None
    cost = ASTRAY * (offsets_mm[:, None, None] / SPREAD_MM) ** 2 - response
    chosen = _smoothest(cost.astype(np.float32))
    reached = np.take_along_axis(response, chosen[None], axis=0)[0]
    within = valid.any(axis=0)
    if not within.any() or (reached[within] > RESPONSE).mean() < VISIBLE:
        return None
    offset = ndimage.gaussian_filter(offsets_mm[chosen], 1.0, mode="nearest")
    return offset / spacing_mm[0]


def _straightened(
    values: np.ndarray, inside: np.ndarray, expected: Surface, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values on surfaces parallel to the expected one, (offsets, A, B), and which lie inside."""
    first, second = expected.steps
    rows = np.arange(expected.places.shape[0]) * first
    columns = np.arange(expected.places.shape[1]) * second
    places = expected.places[None] + offsets[:, None, None]
    known = np.isfinite(places) & (places >= 0) & (places <= values.shape[0] - 1)
    at = np.stack(
        np.broadcast_arrays(np.where(known, places, 0.0), rows[:, None], columns[None, :])
    )
    sampled = ndimage.map_coordinates(values, at, output=np.float32, order=1, mode="nearest")
    nearest = tuple(np.rint(each).astype(int) for each in at)
    return sampled.clip(LUNG_HU, FISSURE_HU), inside[nearest] & known


def _response(
    sampled: np.ndarray,
    valid: np.ndarray,
    steps: tuple[int, int],
    spacing_mm: tuple[float, float],
) -> np.ndarray | None:
    """How much each place looks like a sheet, in standard deviations; 0 where not valid."""
    sheet = ndimage.gaussian_filter1d(sampled, SHEET_MM / STEP_MM, axis=0)
    sheet -= ndimage.gaussian_filter1d(sampled, BESIDE_MM / STEP_MM, axis=0)
    patch = (0.0, *(PATCH_MM / (step * size) for step, size in zip(steps, spacing_mm, strict=True)))
    weight = ndimage.gaussian_filter(valid.astype(np.float32), patch)
    mean = ndimage.gaussian_filter(np.where(valid, sheet, 0).astype(np.float32), patch)
    smooth = mean / np.maximum(weight, 1e-3)
    if np.count_nonzero(valid) < 100:
        return None
    deviation = smooth[valid].std()
    if deviation == 0:
        return None
    return np.where(valid, (smooth - smooth[valid].mean()) / deviation, 0)


def _smoothest(cost: np.ndarray) -> np.ndarray:
    """(A, B) index of the offset at each place: low ``cost`` (offsets, A, B), few bends."""
    total = np.zeros_like(cost)
    for axis in (1, 2):
        lines = np.moveaxis(cost, axis, 0)
        sums = np.moveaxis(total, axis, 0)
        for order in (range(len(lines)), range(len(lines) - 1, -1, -1)):
            carried = np.zeros_like(lines[0])
            for index in order:
                carried = lines[index] + _bent(carried)
                sums[index] += carried
    return total.argmin(axis=0)


def _bent(carried: np.ndarray) -> np.ndarray:
    """The least cost of coming to each offset from any one of the neighbour, less the least."""
    least = carried - carried.min(axis=0, keepdims=True)
    for order in (range(1, len(least)), range(len(least) - 2, -1, -1)):
        for index in order:
            before = index - 1 if order.step > 0 else index + 1
            np.minimum(least[index], least[before] + BEND, out=least[index])
    return least
