"""Dense lung found by its place, on the shapes of real lungs. Used by evaluate_lungs.py.

Manual lobe masks (Tang et al. 2019, on LUNA16; value & 511: 4 RUL, 5 RML, 6 RLL, 7 LUL, 8 LLL). Of
each lobe, the third that is nearest to a point at the ribs is taken away, as consolidation would.
"""

from pathlib import Path
from typing import Any

import numpy as np

from fit_lobe_atlas import read_values
from lungs_under_stress import dice
from lungscore.anatomy.enclosed import enclosed_bays
from lungscore.anatomy.grid import Grid
from lungscore.anatomy.lungs import WALL_MM
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

LUNG_LOBES = {RIGHT_LUNG: {"RUL": 4, "RML": 5, "RLL": 6}, LEFT_LUNG: {"LUL": 7, "LLL": 8}}


def measure_shapes(folder: Path) -> dict[str, Any]:
    """What is added to healthy lungs, and Dice of lungs that lack a third of a lobe, by lobe."""
    added: list[float] = []
    lobes: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(folder.glob("*.nrrd")):
        values, grid = read_masks(path)
        middle = middle_column(grid.fraction((values >= 4) & (values <= 8)) >= 0.5)
        for side, names in LUNG_LOBES.items():
            lung = grid.fraction(np.isin(values, list(names.values()))) >= 0.5
            added.append(float(enclosed_bays(lung, side, grid.spacing_mm).sum() / lung.sum()))
            for name, value in names.items():
                lobe = grid.fraction(values == value) >= 0.5
                rest = lung & ~third_at_ribs(lobe, grid.spacing_mm, middle)
                closed = rest | enclosed_bays(rest, side, grid.spacing_mm)
                lobes.setdefault(name, []).append((dice(rest, lung), dice(closed, lung)))
    return {
        "healthy lungs": len(added),
        "of them with something added": int(np.count_nonzero(added)),
        "most added, part of a lung": round(max(added), 4),
        "without a third of": {
            name: {
                "n": len(scores),
                "dice_of_the_rest": round(float(np.mean([rest for rest, _ in scores])), 4),
                "dice": round(float(np.mean([closed for _, closed in scores])), 4),
                "dice_lowest": min(closed for _, closed in scores),
            }
            for name, scores in lobes.items()
        },
    }


def read_masks(path: Path) -> tuple[np.ndarray, Grid]:
    """Lobe values (D, H, W) in canonical axes, and the grid on which bays are looked for."""
    values, geometry = read_values(path)
    return values, Grid.over(values.shape, geometry.spacing_mm, block_mm=WALL_MM)


def middle_column(lungs: np.ndarray) -> float:
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    return (columns[0] + columns[-1]) / 2


def third_at_ribs(
    lobe: np.ndarray, spacing_mm: tuple[float, float, float], middle: float
) -> np.ndarray:
    """The third of ``lobe`` nearest to its point farthest to the side and back, at mid height."""
    places = np.argwhere(lobe)
    z, y, x = ((places - [0, 0, middle]) * spacing_mm).T
    outwards = np.abs(x) + 0.7 * y - 0.5 * np.abs(z - np.median(z))
    point = outwards.argmax()
    distance = np.hypot(np.hypot(z - z[point], y - y[point]), x - x[point])
    third = np.zeros_like(lobe)
    third[tuple(places[distance <= np.quantile(distance, 1 / 3)].T)] = True
    return third
