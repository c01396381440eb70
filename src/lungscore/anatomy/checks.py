"""Checks that a lung mask must pass, each ending in a notice that names the place."""

from collections.abc import Iterator

import numpy as np

from lungscore.anatomy.agreement import SIDES, THIRDS, Difference, are_doubtful, is_noted
from lungscore.anatomy.closing import IN_PLANE, above
from lungscore.anatomy.morphology import dilation, erosion, opening
from lungscore.anatomy.overview import Overview
from lungscore.anatomy.ribs import convex_hull
from lungscore.errors import Notice

#: A lung that loses more than this part of its area and has it back within GAP_MM is broken there.
LOST, GAP_MM = 0.25, 25.0
#: Slices with less than this part of a lung's largest area are its tips.
TIPS = 0.25
#: The smaller lung has at least this part of the larger one's volume.
UNEQUAL = 0.45
#: The lower third of a lung holds gas where it is darker than this over this volume, HU and ml.
GAS_HU, GAS_ML = -985, 8.0
#: Healthy lungs leave less air than this within their hulls and above lung, ml.
AIR_OUTSIDE_ML = 20.0
#: Lung that touches the side of the picture over more than this is cut off there, cm²; over more
#: than the second number, too much is missing.
CUT_CM2, CUT_MUCH_CM2 = 4.0, 40.0


def broken_lungs(lungs: np.ndarray, spacing_mm: float, *, factor: int = 1) -> Iterator[Notice]:
    """``lungs-uneven``: slices in which a lung is far smaller than above and below.

    lungs: labels (D, H, W) of layers ``spacing_mm`` apart, each of ``factor`` slices.
    """
    reach = max(2, int(GAP_MM / spacing_mm))
    for name, side in SIDES.items():
        areas = np.count_nonzero(lungs == side, axis=(1, 2)).astype(float)
        broken = []
        for z in range(1, len(areas) - 1):
            before = areas[max(0, z - reach) : z].max()
            after = areas[z + 1 : z + 1 + reach].max()
            around = min(before, after)
            if around > TIPS * areas.max() and areas[z] < (1 - LOST) * around:
                broken.append(z)
        if broken:
            first, last = broken[0] * factor + 1, (broken[-1] + 1) * factor
            text = (
                f"The {name} lung is much smaller in slices {first} to {last} than above and below"
            )
            yield Notice("lungs-uneven", text)


def unequal_lungs(closed: np.ndarray) -> Iterator[Notice]:
    """``lungs-unequal``: one lung (labels on blocks) is far smaller than the other."""
    sizes = {name: int(np.count_nonzero(closed == side)) for name, side in SIDES.items()}
    smaller, larger = sorted(sizes, key=lambda name: sizes[name])
    if 0 < sizes[smaller] < UNEQUAL * sizes[larger]:
        ratio = sizes[smaller] / sizes[larger]
        yield Notice(
            "lungs-unequal", f"The {smaller} lung measures {ratio:.0%} of the {larger} one"
        )


def gas_in_lungs(closed: np.ndarray, overview: Overview) -> Iterator[Notice]:
    """``gas-below-diaphragm``: gas within the lower third of a lung, perhaps stomach or bowel."""
    if overview.levels.gas is None:
        return
    for name, side in SIDES.items():
        lung = closed == side
        levels = np.flatnonzero(lung.any(axis=(1, 2)))
        if not len(levels):
            continue
        low = levels[0] + 2 * (levels[-1] - levels[0] + 1) // 3
        gas = erosion(lung[low:], IN_PLANE) & (overview.values[low:] < GAS_HU)
        gas = opening(gas, IN_PLANE)
        ml = float(gas.sum()) * block_ml(overview)
        if ml > GAS_ML:
            text = f"{ml:.0f} ml low in the {name} lung are as dark as gas: stomach, bowel or bulla"
            yield Notice("gas-below-diaphragm", text)


def air_outside(closed: np.ndarray, airways: np.ndarray, overview: Overview) -> Iterator[Notice]:
    """``air-outside-lungs``: air that is in no lung (labels on blocks), within the hull of one.

    Only air above lung counts: what lies below all of it may be bowel. airways: bool, blocks.
    """
    every = (slice(None, None, 2),) * 3  # a hull of every second block is nearly as exact
    air = ((overview.values < overview.levels.lung) & overview.inside & ~airways)[every]
    air &= closed[every] == 0
    for name, side in SIDES.items():
        lung = closed[every] == side
        if not lung.any():
            continue
        beside = air & above(lung) & convex_hull(lung)
        ml = 8 * float(beside.sum()) * block_ml(overview)
        if ml > AIR_OUTSIDE_ML:
            levels = np.flatnonzero(lung.any(axis=(1, 2)))
            z = np.nonzero(beside)[0].mean()
            third = THIRDS[int(3 * (z - levels[0]) / (levels[-1] - levels[0] + 1))]
            text = (
                f"{ml:.0f} ml of air beside the {name} lung, most in its {third} third, are in no "
                "lung: a pneumothorax, a bulla, or missed lung"
            )
            yield Notice("air-outside-lungs", text)


def cut_sideways(closed: np.ndarray, overview: Overview) -> Iterator[Notice]:
    """``lungs-cut-sideways``: lung at the side of the picture or of a round field of view."""
    dz, dy, dx = overview.grid.spacing_mm
    lung, beyond = closed > 0, overview.beyond
    if len(lung) == 1:
        return
    faces = {
        "front": lung[:, 0].sum() * dz * dx,
        "back": lung[:, -1].sum() * dz * dx,
        "right": lung[:, :, 0].sum() * dz * dy,
        "left": lung[:, :, -1].sum() * dz * dy,
    }
    cm2 = {face: float(area) / 100 for face, area in faces.items()}
    if beyond.any():
        rim = dilation(beyond, IN_PLANE) & lung
        cm2["edge of the field of view"] = float(rim.sum()) * dz * (dy + dx) / 200
    cut = {face: area for face, area in cm2.items() if area > CUT_CM2}
    if cut:
        cut_faces = ", ".join(f"{face} ({area:.0f} cm²)" for face, area in cut.items())
        yield Notice("lungs-cut-sideways", f"The lungs are cut off at the picture's {cut_faces}")
    if sum(cm2.values()) > CUT_MUCH_CM2:
        text = "The lungs are cut off at the sides: what is missing is not known"
        yield Notice("lungs-doubtful", text)


def no_trachea(airways: np.ndarray, closed: np.ndarray, overview: Overview) -> Iterator[Notice]:
    """``no-trachea``: no airways (bool, blocks) in a scan that shows the lungs' upper end."""
    levels = np.flatnonzero(closed.any(axis=(1, 2)))
    if len(closed) == 1 or not len(levels) or airways.sum() * block_ml(overview) > 2.0:
        return
    areas = np.count_nonzero(closed, axis=(1, 2))
    if areas[0] <= TIPS * areas.max():
        yield Notice("no-trachea", "No trachea was found: it may be in the lungs, or no chest")


def disagreement(compared_thirds: list[Difference]) -> Iterator[Notice]:
    """``lungs-disagree`` and ``lungs-doubtful``: where the two methods draw other lungs."""
    noted = [difference for difference in compared_thirds if is_noted(difference)]
    if not noted:
        return
    thirds = "; ".join(f"{d.where}: {d.share:.0%} ({d.ml:.0f} ml)" for d in noted)
    yield Notice("lungs-disagree", f"Two methods differ about the lungs' air: {thirds}")
    if are_doubtful(compared_thirds):
        worst = max(noted, key=lambda d: d.ml)
        text = f"Two methods differ too much about the lungs, most in the {worst.where}"
        yield Notice("lungs-doubtful", text)


def block_ml(overview: Overview) -> float:
    """Millilitres of one block."""
    return float(np.prod(overview.grid.spacing_mm)) / 1000
