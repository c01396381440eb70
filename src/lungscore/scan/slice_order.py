"""Does every slice of a volume occur once, in its place, and is none missing?

DICOM states where a slice lies; in a volume only its neighbours tell. The figures are of real chest
CTs (docs/measurements.md, "Scans as other programs leave them").
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lungscore.errors import InputError

#: Difference of every second (or third) slice as a part of that of neighbours: 1.2 to 1.8 in scans.
INTERLEAVED, INTERLEAVED_SLICES = 0.93, 8

#: A step from slice to slice is abrupt from this multiple of the median of the steps around it on.
ABRUPT, AROUND, FEWEST_STEPS = 2.5, 6, 20
#: Part of a slice that the body (or soft tissue) must take for neighbours to be compared, HU above
#: which it lies, and the range in which differences count.
LEAST_BODY, BODY_HU, COMPARED_HU = 0.02, -500, (-1000, 300)


def check_interleaved(sample: np.ndarray) -> None:
    """Raise ``mixed-acquisitions`` where slices two or three apart are the more alike ones.

    sample: (D, H, W) int16.
    """
    if len(sample) < INTERLEAVED_SLICES:
        return

    def apart(step: int) -> float:
        pairs = zip(sample[:-step], sample[step:], strict=True)
        return float(np.median([np.abs(high - low.astype(np.int32)).mean() for low, high in pairs]))

    neighbours = apart(1)
    if neighbours and min(apart(2), apart(3)) < INTERLEAVED * neighbours:
        raise InputError(
            "mixed-acquisitions",
            "Every second or third slice is more like the others of them than like its neighbours",
            expected="the slices of one acquisition, each like its neighbours",
            hint="Export each acquisition as a series of its own and give one of them",
        )


def equal_slices(values: np.ndarray, seen: Sequence[int]) -> tuple[int, ...]:
    """Slices that are equal to the one before, pixel by pixel.

    values: (D, H, W). seen: the slices to look at, in order.
    """
    return tuple(
        here
        for before, here in pairwise(seen)
        if before == here - 1 and np.array_equal(values[before], values[here])
    )


def check_once(values: np.ndarray, bodies: Sequence[int]) -> None:
    """Raise ``mixed-acquisitions`` where two blocks of slices are equal, slice by slice.

    values: (D, H, W). bodies: the slices that show the body, in order: empty ones may be equal, and
    so may single ones of a made-up body.
    """
    latest: dict[int, int] = {}
    earlier: dict[int, int] = {}
    for here in bodies:
        key = hash(values[here].tobytes())
        before = latest.get(key)
        latest[key] = here
        if before not in (None, here - 1) and np.array_equal(values[before], values[here]):
            earlier[here] = before  # type: ignore[assignment]
    twice = [here for here in earlier if earlier.get(here + 1) == earlier[here] + 1]
    if twice:
        here = twice[0]
        raise InputError(
            "mixed-acquisitions",
            f"{len(earlier)} slices occur twice: slice {here + 1} is equal to slice "
            f"{earlier[here] + 1}",
            expected="every slice once",
            hint="Rebuild the volume without the overlapping slices",
        )


def abrupt_steps(sample: np.ndarray, good: Sequence[int]) -> tuple[int, ...]:
    """Slices of ``good`` after which the body changes abruptly: the next may be missing.

    sample: (D, H, W) HU. A patient who moved, or breathed, between two rotations looks the same.
    """
    ratios = step_ratios(sample, good)
    if np.count_nonzero(~np.isnan(ratios)) < FEWEST_STEPS:
        return ()
    return tuple(good[number] for number in np.flatnonzero(ratios > ABRUPT).tolist())


def step_ratios(sample: np.ndarray, good: Sequence[int]) -> np.ndarray:
    """How much the body changes from each slice of ``good`` to the next, as a multiple of the
    median of the steps around; NaN between equal slices and where there is next to no body.

    sample: (D, H, W) HU. Returns (slices − 1,).
    """
    steps = np.full(max(len(good) - 1, 0), np.nan)
    for number, (before, here) in enumerate(pairwise(good)):
        if np.array_equal(sample[before], sample[here]):
            continue  # resampled with the nearest slice
        low, high = (sample[index].astype(np.float32) for index in (before, here))
        body = (low > BODY_HU) | (high > BODY_HU)
        if np.count_nonzero(body) > LEAST_BODY * body.size:
            low, high = np.clip(low, *COMPARED_HU), np.clip(high, *COMPARED_HU)
            steps[number] = np.abs(high - low)[body].mean()
    ratios = steps.copy()
    for number in np.flatnonzero(~np.isnan(steps)).tolist():
        ratios[number] /= np.nanmedian(steps[max(0, number - AROUND) : number + AROUND + 1])
    return ratios
