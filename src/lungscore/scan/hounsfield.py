"""Are the values Hounsfield units? Told by what every chest CT holds: air and soft tissue."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lungscore.errors import InputError, Notice
from lungscore.scan.limits import HU_RANGE

#: Voxels that are looked at: enough for shares of a thousandth.
SAMPLE = 2_000_000

#: Below AIR lie air and aerated lung, above TISSUE lie soft tissue and bone (HU).
AIR, TISSUE = -500, -300

#: Smallest share of either in a slice of a chest.
SMALLEST_SHARE = 0.01

#: Where the most frequent value of soft tissue lies: fat near -100, muscle near 50, contrast above.
TISSUE_PEAK = (-150, 150)

#: Where the darkest air lies; a field of view inside the chest may show none below -850.
AIR_FLOOR = -800


@dataclass(frozen=True)
class Intensities:
    """What a sample of the values looks like (HU)."""

    lowest: int
    highest: int
    air_percent: float
    tissue_percent: float
    tissue_peak: int | None
    air_floor: int

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


def describe(values: np.ndarray) -> Intensities:
    """Look at (D, H, W) int16 ``values``, every n-th along each axis where there are many."""
    step = max(1, int(np.ceil((values.size / SAMPLE) ** (1 / 3))))
    depth_step = step if values.shape[0] > 8 * step else 1
    sample = values[::depth_step, ::step, ::step]
    soft = sample[(sample > TISSUE) & (sample < 300)]
    peak = None
    if soft.size:
        counts, edges = np.histogram(soft, bins=60, range=(TISSUE, 300))
        peak = int(edges[int(np.argmax(counts))] + 5)
    return Intensities(
        lowest=int(values.min()),
        highest=int(values.max()),
        air_percent=round(100 * float(np.mean(sample < AIR)), 2),
        tissue_percent=round(100 * float(np.mean(sample > TISSUE)), 2),
        tissue_peak=peak,
        air_floor=int(np.percentile(sample, 0.5)),
    )


def check_hounsfield(values: np.ndarray, source: str) -> tuple[Notice, ...]:
    """Reject values that are not Hounsfield units, and say so where they are doubtful.

    values: (D, H, W) int16, clipped to HU_RANGE. A chest CT holds at least 1 % of voxels below
    -500 HU and 1 % above -300 HU. Raises InputError ``constant-image`` or ``not-hounsfield``;
    gives the notice ``hu-implausible`` where air or soft tissue is not at its place.
    """
    summary = describe(values)
    if summary.lowest == summary.highest:
        raise InputError("constant-image", f"{source}: all voxels are {summary.lowest}")
    expected = "air near -1000 and soft tissue near 0 to 100 HU"
    shares = (
        f"{summary.air_percent:g} % of the values are air (< {AIR}) and "
        f"{summary.tissue_percent:g} % tissue (> {TISSUE})"
    )
    if min(summary.air_percent, summary.tissue_percent) < 100 * SMALLEST_SHARE:
        raise InputError(
            "not-hounsfield",
            f"{source}: values from {summary.lowest} to {summary.highest}; {shares}",
            expected=expected,
            hint="Export the original CT with its rescale slope and intercept",
        )
    peak = summary.tissue_peak
    if (
        summary.air_floor > AIR_FLOOR
        or peak is None
        or not TISSUE_PEAK[0] <= peak <= TISSUE_PEAK[1]
    ):
        text = f"{source}: the darkest air has {summary.air_floor} HU, most soft tissue {peak} HU"
        return (Notice("hu-implausible", f"{text}. Expected: {expected}"),)
    return ()


def to_hounsfield(values: np.ndarray) -> np.ndarray:
    """Numbers of any kind as int16, rounded and clipped to HU_RANGE (padding becomes air)."""
    if values.dtype.kind == "f":
        values = np.rint(values)
    return np.clip(values, *HU_RANGE).astype(np.int16)
