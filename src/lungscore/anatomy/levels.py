"""Which values mean air, lung and tissue: fixed in Hounsfield units, estimated in grey levels."""

from dataclasses import dataclass

import numpy as np

from lungscore.scan import Scan


@dataclass(frozen=True)
class Levels:
    """Thresholds in the scan's own values.

    floor: what is lower counts as this (padding). lumen: below is air in an airway. lung: below
    is aerated lung or air. haze: below is not as dense as fluid, muscle or fat. gas: a compartment
    whose median is below is plain gas, not lung; None where that cannot be told.
    """

    floor: int
    lumen: float
    lung: float
    haze: float
    gas: float | None


#: Half-way between aerated lung (about −850 HU) and soft tissue (about 40 HU).
HOUNSFIELD = Levels(floor=-1024, lumen=-850, lung=-400, haze=-150, gas=-960)


def find_levels(scan: Scan) -> Levels:
    """Thresholds for ``scan``; grey levels from its histogram's two classes (Otsu)."""
    if scan.units == "hu":
        return HOUNSFIELD
    counts = np.bincount(scan.values.ravel(), minlength=256).astype(float)
    # Blank padding and burnt-in white say nothing about the patient.
    counts[0] = counts[255] = 0
    if np.count_nonzero(counts) < 2:
        return Levels(floor=0, lumen=0, lung=0, haze=0, gas=None)
    split = otsu(counts)
    dark, bright = _median(counts[:split]), split + _median(counts[split:])
    contrast = bright - dark
    lumen, lung, haze = (dark + part * contrast for part in (0.12, 0.55, 0.78))
    return Levels(floor=0, lumen=lumen, lung=lung, haze=haze, gas=None)


def otsu(counts: np.ndarray) -> int:
    """The first bin of the upper class in the two-class split of greatest between-class variance.

    counts: (bins,) histogram with at least two bins filled. Otsu, IEEE TSMC 1979, equation 18.
    """
    bins = np.arange(len(counts))
    below = np.cumsum(counts)
    mass = np.cumsum(counts * bins)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (mass[-1] * below / below[-1] - mass) ** 2 / (below * above)
    return int(np.nanargmax(np.where(above > 0, between, np.nan))) + 1


def _median(counts: np.ndarray) -> int:
    """The bin that holds the median of a histogram."""
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
