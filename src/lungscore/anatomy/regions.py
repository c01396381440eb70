"""The 20 scoring regions: lobes divided by direction."""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from lungscore.anatomy.boxes import box_of_label
from lungscore.anatomy.grid import spacing_of_lungs
from lungscore.anatomy.pieces import join_pieces
from lungscore.labels import LOBES, REGIONS

#: Shares are measured on voxels about this far apart, mm.
SAMPLE_MM = 3.0
#: Rounds of balancing, at most: ten are the rule, degenerate lobes may never settle.
ROUNDS = 60
#: Voxels that are divided at once: many small lobes take no longer than one large one.
AT_ONCE = 2**18


class Segment(NamedTuple):
    """Where a region lies in its lobe, and how much of the lobe it is.

    up, back, out (away from the mediastinum): its direction from the lobe's middle, in units of
    the lobe's spread along each axis. share: its part of the lobe's volume.
    """

    up: float
    back: float
    out: float
    share: float


#: The segments of both lower lobes. The superior one is the top and lies behind: its lower border
#: is nearly level at the back and rises along the fissure in front. The basal ones stand around
#: the basal bronchus, which runs down, back and out, and all reach the diaphragm.
_LOWER = {
    "superior": Segment(1.2, 0.8, 0.0, 0.24),
    "medial basal": Segment(-0.5, -0.4, -1.0, 0.15),
    "anterior basal": Segment(-0.4, -1.0, 0.2, 0.19),
    "lateral basal": Segment(-0.2, 0.1, 1.0, 0.19),
    "posterior basal": Segment(-0.3, 1.0, -0.4, 0.23),
}

#: Directions follow the descriptions of the bronchopulmonary segments in anatomy; shares are
#: chosen so that each region is 2 to 10 % of the lungs.
SEGMENTS: dict[str, dict[str, Segment]] = {
    "RUL": {
        "apical": Segment(1.0, 0.1, -0.2, 1 / 3),
        "posterior": Segment(-0.5, 0.9, 0.2, 1 / 3),
        "anterior": Segment(-0.5, -0.9, -0.1, 1 / 3),
    },
    "RML": {
        "lateral": Segment(0.3, 0.6, 1.0, 0.5),
        "medial": Segment(-0.3, -0.6, -1.0, 0.5),
    },
    "RLL": _LOWER,
    "LUL": {
        "apical": Segment(1.0, 0.2, -0.2, 0.2),
        "posterior": Segment(0.1, 1.0, 0.2, 0.2),
        "anterior": Segment(0.2, -0.8, 0.1, 0.22),
        "superior lingular": Segment(-0.7, -0.7, 0.15, 0.19),
        "inferior lingular": Segment(-1.5, -0.7, -0.1, 0.19),
    },
    "LLL": _LOWER,
}

_NUMBERS = {name: number for number, (name, _) in enumerate(REGIONS, start=1)}


def divide_regions(
    lobes: np.ndarray,
    spacing_mm: tuple[float, float, float] | None,
    names: Collection[str] = tuple(LOBES),
    *,
    sample_mm: float = SAMPLE_MM,
) -> np.ndarray:
    """The 20 regions of Yang et al. 2020, uint8 (D, H, W), 1 to 20 in the order of labels.REGIONS.

    lobes: (D, H, W) of labels.LOBES. spacing_mm: (z, y, x), None where unknown. names: the lobes
    that are divided; the others stay 0. sample_mm: how far apart voxels are on which shares are
    measured. Every voxel of a lobe gets one of the regions of that lobe.
    Segments have no borders that a scan shows; a voxel belongs to the region in whose direction
    (SEGMENTS) it lies farthest from the lobe's middle. Before they are compared, each region's
    distances are offset by the one number that gives the region its share of the lobe (a power
    diagram with given volumes: Aurenhammer, Hoffmann and Aronov, Algorithmica 1998;20:61-76). So
    borders are planes, and regions are convex but for the lobe's own outline. A piece that the
    outline cuts off from its region joins a neighbour.
    """
    if spacing_mm is None:
        spacing_mm = spacing_of_lungs(lobes)
    steps = tuple(max(1, round(sample_mm / size)) for size in spacing_mm)
    regions = np.zeros(lobes.shape, np.uint8)
    for name in names:
        value = LOBES[name]
        if (box := box_of_label(lobes, value)) is None:
            continue
        lobe, lobe_regions = lobes[box] == value, regions[box]
        if name.startswith("L"):  # seen in a mirror, so that in both lungs ribs come first
            lobe, lobe_regions = lobe[:, :, ::-1], lobe_regions[:, :, ::-1]
        numbers = [_NUMBERS[f"{name} {segment}"] for segment in SEGMENTS[name]]
        _divide(lobe, lobe_regions, list(SEGMENTS[name].values()), numbers, steps)
    return regions


def _divide(
    lobe: np.ndarray,
    regions: np.ndarray,
    segments: list[Segment],
    numbers: list[int],
    steps: tuple[int, ...],
) -> None:
    """Write the region numbers of ``lobe`` (d, h, w; top, front, ribs first) into ``regions``."""
    sample = lobe[:: steps[0], :: steps[1], :: steps[2]]
    if sample.any():
        points = np.argwhere(sample) * steps
    else:
        points = np.argwhere(lobe)
    middle, spread = points.mean(axis=0), np.maximum(points.std(axis=0), 0.5)
    # Axes run downwards, backwards and inwards.
    directions = np.array([(-s.up, s.back, -s.out) for s in segments]) / spread
    distances = (points - middle) @ directions.T
    shares = np.array([s.share for s in segments])
    offsets = balance(distances, shares) - directions @ middle

    z, y, x = (np.arange(size) for size in lobe.shape)
    down, back, inward = directions.T[:, :, None].astype(np.float32)
    plane = (back * y)[:, :, None] + (inward * x)[:, None, :]
    levels = (down * z + offsets[:, None]).astype(np.float32)
    table = np.array(numbers, np.uint8)
    slices = max(1, AT_ONCE // lobe[0].size)
    for first in range(0, len(lobe), slices):
        inside = lobe[first : first + slices]
        index, row, column = inside.nonzero()
        scores = plane[:, row, column] + levels[:, first + index]
        regions[first : first + slices][inside] = table[scores.argmax(axis=0)]
    join_pieces(regions, numbers, steps)


def balance(distances: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """What to add to each column of ``distances`` so that it is the greatest in its share of rows.

    distances: (n, k); shares: (k,), sum 1. Returns (k,). One column after the other is set so that
    it wins its share against the others; each such step raises one concave function, whose
    greatest value is the solution. Where equal distances allow no exact shares, the last is near.
    """
    offsets = np.zeros(len(shares))
    columns = np.ascontiguousarray(distances.T)
    scores = columns.copy()
    others = [[j for j in range(len(shares)) if j != k] for k in range(len(shares))]
    for _ in range(ROUNDS):
        before = offsets.copy()
        for k, share in enumerate(shares):
            rivals = scores[others[k]].max(axis=0)
            offsets[k] = _quantile(rivals - columns[k], share)
            scores[k] = columns[k] + offsets[k]
        if np.abs(offsets - before).max() < 1e-3:
            break
    return offsets


def _quantile(values: np.ndarray, share: float) -> float:
    """As np.quantile, which takes ten times as long for the few values that there are."""
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    low, high = np.partition(values, (below, above))[[below, above]]
    return float(low + (high - low) * (place - below))
