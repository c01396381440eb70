"""Where the 20 regions should lie by anatomy, and whether they do.

Pure functions on label arrays (D, H, W; superior, anterior and right first). Used by
evaluate_regions.py and by the tests.
"""

from itertools import pairwise

import numpy as np
from scipy import ndimage

from lungscore.labels import LOBES, REGIONS

NUMBERS = {name: number for number, (name, _) in enumerate(REGIONS, start=1)}
#: A region touches a surface of its lobe where it makes up at least this part of it.
TOUCHES = 0.1
#: It holds the lobe's top where it makes up at least this part of the uppermost voxels ...
HOLDS = 0.9
#: ... which are this part of the lobe.
TOP = 0.02

#: Which surface of its lobe a region touches. Other lobes stand for the fissure towards them.
#: "top" must be held, see HOLDS; a surface with "most" is held more than by any other region.
TOUCHED: dict[str, tuple[str, ...]] = {
    "RUL apical": ("top", "medial"),
    "RUL posterior": ("back", "lateral", "RLL"),
    "RUL anterior": ("most front", "most RML"),
    "RML lateral": ("most lateral", "RUL", "RLL"),
    "RML medial": ("most medial", "most front", "most bottom"),
    "RLL superior": ("top", "back", "most RUL"),
    "RLL medial basal": ("medial", "bottom"),
    "RLL anterior basal": ("most RML", "bottom"),
    "RLL lateral basal": ("most lateral", "bottom"),
    "RLL posterior basal": ("most back", "bottom", "medial"),
    "LUL apical": ("top", "medial"),
    "LUL posterior": ("back", "lateral", "LLL"),
    "LUL anterior": ("front", "lateral"),
    "LUL superior lingular": ("front", "lateral"),
    "LUL inferior lingular": ("most bottom", "medial", "front", "LLL"),
    "LLL superior": ("top", "back", "LUL"),
    "LLL medial basal": ("medial", "bottom"),
    "LLL anterior basal": ("LUL", "bottom"),
    "LLL lateral basal": ("most lateral", "bottom"),
    "LLL posterior basal": ("most back", "bottom", "medial"),
}

_BASAL = ("anterior basal", "medial basal", "lateral basal", "posterior basal")
#: Orders of the regions' middles along an axis: from above, from the front, from the ribs.
ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "above": (
        *((f"{lobe} apical", f"{lobe} {segment}") for lobe in ("RUL", "LUL")
          for segment in ("anterior", "posterior")),
        ("LUL anterior", "LUL superior lingular", "LUL inferior lingular"),
        ("LUL posterior", "LUL superior lingular"),
        *((f"{lobe} superior", f"{lobe} {segment}") for lobe in ("RLL", "LLL")
          for segment in _BASAL),
    ),
    "before": (
        ("RUL anterior", "RUL apical", "RUL posterior"),
        ("LUL anterior", "LUL apical", "LUL posterior"),
        ("LUL superior lingular", "LUL posterior"),
        ("LUL inferior lingular", "LUL posterior"),
        *((f"{lobe} anterior basal", f"{lobe} {segment} basal", f"{lobe} posterior basal")
          for lobe in ("RLL", "LLL") for segment in ("lateral", "medial")),
    ),
    "lateral to": (
        ("RML lateral", "RML medial"),
        *((f"{lobe} lateral basal", f"{lobe} posterior basal", f"{lobe} medial basal")
          for lobe in ("RLL", "LLL")),
        *((f"{lobe} anterior basal", f"{lobe} medial basal") for lobe in ("RLL", "LLL")),
    ),
}  # fmt: skip


def properties(regions: np.ndarray, lobes: np.ndarray) -> dict[str, bool]:
    """Whether each property of TOUCHED and ORDERS holds; "REGION: property" → holds.

    A lobe that is missing has no properties.
    """
    held = {}
    for lobe, value in LOBES.items():
        if not (lobes == value).any():
            continue
        surfaces = surfaces_of(lobes, lobe)
        for region, touched in TOUCHED.items():
            if region.startswith(lobe):
                for name in touched:
                    held[f"{region}: {wording(name)}"] = _touches(regions, surfaces, region, name)
    middles = {
        name: ndimage.center_of_mass(regions == number)
        for name, number in NUMBERS.items()
        if (regions == number).any()
    }
    for axis, (relation, chains) in enumerate(ORDERS.items()):
        for first, second in (pair for chain in chains for pair in pairwise(chain)):
            if first in middles and second in middles:
                way = -1 if axis == 2 and first.startswith("L") else 1  # ribs come last on the left
                holds = way * middles[first][axis] < way * middles[second][axis]
                held[f"{first}: {relation} {second.partition(' ')[2]}"] = bool(holds)
    return held


def wording(name: str) -> str:
    """A surface of TOUCHED in words."""
    if name == "top":
        return "holds the top of the lobe"
    most, _, surface = name.rpartition(" ")
    where = {
        "front": "the front",
        "back": "the back",
        "lateral": "the ribs at the side",
        "medial": "the mediastinum",
        "bottom": "the lowest surface",
    }.get(surface, f"the fissure to the {surface}")
    return f"holds most of {where}" if most else f"touches {where}"


def _touches(regions: np.ndarray, surfaces: dict[str, np.ndarray], region: str, name: str) -> bool:
    surface = surfaces[name.rpartition(" ")[2]]
    counts = np.bincount(regions[surface], minlength=len(REGIONS) + 1)
    mine = counts[NUMBERS[region]]
    if name.startswith("most"):
        return bool(mine > 0 and mine == counts.max())
    return bool(mine >= (HOLDS if name == "top" else TOUCHES) * max(counts.sum(), 1))


def surfaces_of(lobes: np.ndarray, lobe: str) -> dict[str, np.ndarray]:
    """The surfaces of a lobe by name, bool (D, H, W): parts of the lung's, fissures, the top.

    A surface of the lung is what is seen of it from that side. A fissure is where the lobe comes
    within two voxels of the other one.
    """
    mask, side = lobes == LOBES[lobe], lobe[0]
    lung = np.isin(lobes, [value for name, value in LOBES.items() if name[0] == side])
    heights = np.flatnonzero(mask) // mask[0].size
    top = mask.copy()
    top[heights[int(TOP * len(heights))] + 1 :] = False
    surfaces = {
        "top": top,
        "bottom": _seen(lung, 0, last=True),
        "front": _seen(lung, 1, last=False),
        "back": _seen(lung, 1, last=True),
        "lateral": _seen(lung, 2, last=side == "L"),
        "medial": _seen(lung, 2, last=side == "R"),
    }
    for name, value in LOBES.items():
        if name[0] == side and name != lobe:
            surfaces[name] = ndimage.binary_dilation(lobes == value, iterations=2)
    return {name: surface & mask for name, surface in surfaces.items()}


def _seen(mask: np.ndarray, axis: int, *, last: bool) -> np.ndarray:
    """The first or last voxel of ``mask`` in every line along ``axis``."""
    ordered = np.flip(mask, axis) if last else mask
    lines = ordered.any(axis=axis, keepdims=True)
    first = ordered.argmax(axis=axis, keepdims=True)
    seen = np.zeros_like(mask)
    np.put_along_axis(np.flip(seen, axis) if last else seen, first, lines, axis)
    return seen


def percents(regions: np.ndarray) -> dict[str, float]:
    """Each region in percent of all of them together."""
    counts = np.bincount(regions.ravel(), minlength=len(REGIONS) + 1)
    return {
        name: float(100 * counts[number] / counts[1:].sum()) for name, number in NUMBERS.items()
    }


def largest_parts(regions: np.ndarray) -> dict[str, float]:
    """The part of each region's voxels in its largest component, connected through faces."""
    parts = {}
    for name, number in NUMBERS.items():
        pieces = pieces_of(regions == number)
        parts[name] = max(pieces) / sum(pieces) if pieces else float("nan")
    return parts


def pieces_of(mask: np.ndarray) -> list[int]:
    """Voxels in each face-connected component of ``mask``."""
    box = ndimage.find_objects(mask.view(np.uint8))
    if not box:
        return []
    labels, _ = ndimage.label(mask[box[0]])
    return np.bincount(labels.ravel())[1:].tolist()
