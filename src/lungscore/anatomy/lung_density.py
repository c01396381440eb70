"""Is the lung in which no opacity was found as dark as lung?

Opacity that fills a lobe evenly has no edge, and a network may take it for lung. How dense lung
is in real chest CTs says docs/measurements.md ("Scans as other programs leave them").
"""

from collections.abc import Iterator

import numpy as np

from lungscore.anatomy.agreement import SIDES, THIRDS
from lungscore.anatomy.closing import IN_PLANE
from lungscore.anatomy.morphology import dilation, erosion
from lungscore.errors import Notice

#: Where every so many mm a voxel is looked at, and steps of that from border and opacity.
SAMPLED_MM, STEPS = (5.0, 2.5, 2.5), 2
#: Fewer ml of a third are not judged.
LEAST_ML = 20.0
#: Median HU above which lung is too dense; above which it is where the other lung is darker by so
#: much.
TOO_DENSE_HU, DENSE_HU, DARKER_HU = -650, -750, 100


def dense_thirds(
    values: np.ndarray,
    lungs: np.ndarray,
    lesions: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> Iterator[Notice]:
    """``lung-density``: thirds of a lung that are too dense to be free of opacity.

    The arguments are those of ``medians_of_thirds``.
    """
    medians = medians_of_thirds(values, lungs, lesions, spacing_mm)
    texts = []
    for (name, third), median in medians.items():
        other = next(side for side in SIDES if side != name)
        beside = medians.get((other, third))
        darker = beside is not None and median - beside > DARKER_HU
        if median > TOO_DENSE_HU or (darker and median > DENSE_HU):
            compared = "" if beside is None else f" ({other}: {_hu(beside)})"
            texts.append(f"{name} lung, {third} third: {_hu(median)}{compared}")
    if texts:
        yield Notice(
            "lung-density",
            "Lung outside the detected opacity is unusually dense: opacity that fills it evenly "
            f"may have been missed. Median of the {'; '.join(texts)}",
        )


def medians_of_thirds(
    values: np.ndarray,
    lungs: np.ndarray,
    lesions: np.ndarray,
    spacing_mm: tuple[float, float, float],
) -> dict[tuple[str, str], float]:
    """(side, third) -> median HU of the lung away from its border and from opacity.

    values: (D, H, W) HU. lungs: 1 right, 2 left. lesions: above 0 where there is opacity.
    """
    steps = [max(1, round(mm / size)) for mm, size in zip(SAMPLED_MM, spacing_mm, strict=True)]
    few = tuple(slice(step // 2, None, step) for step in steps)
    values, lungs, infected = values[few], lungs[few], lesions[few] > 0
    voxel_ml = float(np.prod(steps) * np.prod(spacing_mm)) / 1000
    away = ~dilation(infected, IN_PLANE, iterations=STEPS)
    medians: dict[tuple[str, str], float] = {}
    for name, side in SIDES.items():
        lung = lungs == side
        levels = np.flatnonzero(lung.any(axis=(1, 2)))
        inner = lung & away
        for _ in range(STEPS):
            inner = erosion(inner, IN_PLANE)
        for third, part in zip(THIRDS, np.array_split(levels, len(THIRDS)), strict=True):
            hounsfield = values[part][inner[part]]
            if len(hounsfield) * voxel_ml > LEAST_ML:
                medians[name, third] = float(np.median(hounsfield))
    return medians


def _hu(value: float) -> str:
    return f"{value:.0f} HU".replace("-", "−")
