"""Solid lung counts as consolidation, whatever the network says of it.

A network that learned from slices with little dense disease takes a consolidated lobe for chest
wall. What the lungs hold and is solid (anatomy.solid_lung) is no aerated lung in any case.
"""

import numpy as np

from lungscore.anatomy import Lungs
from lungscore.errors import Notice
from lungscore.inference.readings import THRESHOLD, THRESHOLDS
from lungscore.scan import Scan

#: The probability of infection that solid lung has at least: it counts at the usual threshold and
#: not at the highest, so that ranges tell both.
LEAST = (THRESHOLD + THRESHOLDS[-1]) / 2


def with_solid(probability: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """``probability`` (H, W) of a slice, at least LEAST where its lung is ``solid`` (H, W)."""
    return np.maximum(probability, np.float32(LEAST), where=solid, out=probability.copy())


def solid_notice(scan: Scan, lungs: Lungs, voxels: int) -> Notice | None:
    """Says how much lung counts that the network did not mark; None where that are no voxels."""
    if not voxels or scan.spacing_mm is None:
        return None
    ml = voxels * float(np.prod(scan.spacing_mm)) / 1000
    percent = 100 * voxels / max(int(np.count_nonzero(lungs.labels)), 1)
    return Notice(
        "solid-lung",
        f"{ml:.0f} ml of solid lung ({percent:.1f} %) count as consolidation, although the network "
        "did not mark them: a collapse or a mass looks the same",
    )
