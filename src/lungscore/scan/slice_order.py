"""Does every slice of a volume occur once, in its place, and is none missing?

DICOM states where a slice lies; in a volume only its neighbours tell. The figures are of 13 real
chest CTs, as they are and thinned to a slice every 32 mm at most.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from lungscore.errors import InputError

#: Difference of every second (or third) slice as a part of that of neighbours: 1.2 to 1.8 in scans.
INTERLEAVED, INTERLEAVED_SLICES = 0.93, 8

#: A step from slice to slice is abrupt from this multiple of those around it on: in whole scans one
#: is at most 1.6 times as large, thinned 2.3, and where 20 mm are missing 2.3 to 12.
ABRUPT, AROUND, FEWEST_STEPS = 2.5, 6, 20
#: Part of a slice that the body takes for its steps to count, HU above which it lies, and the range
#: in which differences count.
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


def abrupt_steps(sample: np.ndarray, good: Sequence[int]) -> Iterator[int]:
    """Slices of ``good`` after which the body changes abruptly: the next may be missing.

    sample: (D, H, W) HU. A patient who moved, or breathed, between two rotations looks the same.
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
    if np.count_nonzero(~np.isnan(steps)) < FEWEST_STEPS:
        return
    for number, step in enumerate(steps):
        if np.isnan(step):
            continue
        around = steps[max(0, number - AROUND) : number + AROUND + 1]
        if step > ABRUPT * np.nanmedian(around):
            yield good[number]
