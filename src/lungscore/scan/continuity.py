"""Does every slice go on from its neighbours? Blank, half-copied and wrongly scaled slices do not.

A volume can look right as a whole and hold a slice of zeros, half a slice, or slices on another
scale. Neighbouring slices of a body resemble each other, whatever their distance. Of 15 real chest
CTs, thinned to a slice every 34 mm at most, the least alike two neighbours agreed in 45 % of the
body, soft tissue moved by 15 HU at most, and a slice stood out from both neighbours in 7 % of it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from lungscore.scan.blank_parts import continued, partly_blank
from lungscore.scan.slice_order import (
    BODY_HU,
    LEAST_BODY,
    abrupt_steps,
    check_interleaved,
    check_once,
    equal_slices,
)

Units = Literal["hu", "grey"]

#: Pixels along a side of a slice that are looked at (constant runs are looked for in all of them).
SAMPLED_PIXELS = 128

#: Part of the body in which a slice may stand out from neighbours that agree with each other.
STANDS_OUT = 0.15

#: Part of the body in which neighbours must agree, and that as a part of the usual agreement.
AGREEMENT, AGREEMENT_OF_USUAL = 0.3, 0.5
#: In single images nobody knows how far their places lie apart, nor whether they are of one body:
#: those of many patients agree in 30 to 51 % of it, those of one in 61 % or more.
AGREEMENT_OF_IMAGES, ONE_BODY = 0.1, 0.55

#: HU by which soft tissue may move from slice to slice, and where soft tissue lies.
SOFT_SHIFT, SOFT_HU = 60, 300

#: Part of a scan that one value takes, and of the rest that is lung, where all but lungs is masked.
MASKED, LUNG_OF_REST = 0.5, 0.5


@dataclass(frozen=True)
class _Scale:
    """Differences of values that count; body lies above ``body``, alike is what is ``near``."""

    body: int
    near: int
    far: int
    lost: int


_SCALES = {"hu": _Scale(BODY_HU, 150, 300, 150), "grey": _Scale(100, 40, 100, 40)}


@dataclass(frozen=True)
class SliceFaults:
    """outside: slices before and after the body that hold one value throughout.

    faulty: other slices that cannot be right, each with what is wrong with it.
    repeated: slices that are equal to the one before, pixel by pixel. padded: slices at the ends
    that lie partly outside the scan that was rotated into this one, where they hold air. abrupt:
    slices after which the body changes so much that others may be missing.
    """

    outside: tuple[int, ...]
    faulty: dict[int, str]
    repeated: tuple[int, ...]
    padded: tuple[int, ...] = ()
    abrupt: tuple[int, ...] = ()


def find_faults(
    values: np.ndarray,
    units: Units,
    *,
    spaced: bool = True,
    axial: bool = True,
    placed: bool = False,
) -> SliceFaults:
    """What is wrong with the slices of (D, H, W) ``values``.

    spaced: whether the slices are known to lie at even distances. axial: whether they lie across
    the body; of others, which need not resemble each other where the body ends, only blank ones
    within the body are found. placed: whether the source says of every slice where it lies, so that
    none can be missing. Raises InputError ``mixed-acquisitions`` where slices resemble the
    next but one more than the next, or blocks of them occur twice.
    """
    scale = _SCALES[units]
    constant = np.array([bool((plane == plane.flat[0]).all()) for plane in values])
    seen = [int(index) for index in np.flatnonzero(~constant)]
    if not seen:
        return SliceFaults((), {}, ())
    step = max(1, *(size // SAMPLED_PIXELS for size in values.shape[1:]))
    sample = values[:, ::step, ::step].astype(np.int16)
    outside = (*range(seen[0]), *range(seen[-1] + 1, len(values)))
    masked_with = _mask_value(sample, scale)
    shown = sample > scale.body if masked_with is None else sample != masked_with
    faulty = dict.fromkeys(_blank_within(shown, seen), "blank")
    if not axial or masked_with is not None:  # lungs alone go on from slice to slice as they like
        return SliceFaults(outside, faulty, ())
    repeated = equal_slices(values, seen)
    if spaced:
        check_interleaved(sample[seen])
        least = LEAST_BODY * sample[0].size
        check_once(values, [z for z in seen if np.count_nonzero(sample[z] > scale.body) > least])
    elif not _are_of_one_body(sample[seen], scale, units):
        return SliceFaults(outside, faulty, repeated)
    for index in _standing_out(sample, seen, scale):
        faulty[index] = "unlike both neighbours"
    good = [index for index in seen if index not in faulty]
    lost, padded = partly_blank(values, good, body_above=scale.body, differs=scale.lost)
    faulty.update(dict.fromkeys(lost, "partly blank"))
    sample = continued(sample, padded)
    good = [index for index in good if index not in faulty]
    for index in _other_pieces(sample, good, scale, units, spaced=spaced):
        faulty[index] = "on another scale, or of something else"
    only_padded = sorted({*padded[0], *padded[1]} - faulty.keys())
    good = [index for index in good if index not in faulty]
    abrupt = abrupt_steps(sample, good) if spaced and not placed and units == "hu" else ()
    return SliceFaults(outside, dict(sorted(faulty.items())), repeated, tuple(only_padded), abrupt)


def fill(values: np.ndarray, faulty: Collection[int], *, air: int) -> None:
    """Write slices that lie linearly between their neighbours over ``faulty`` ones, in place.

    values: (D, H, W). Faulty slices without a neighbour on one side become ``air``.
    """
    lost = set(faulty)
    good = [index for index in range(len(values)) if index not in lost]
    for index in lost:
        below = max((candidate for candidate in good if candidate < index), default=None)
        above = min((candidate for candidate in good if candidate > index), default=None)
        if below is None or above is None:
            values[index] = air
            continue
        fraction = np.float32((index - below) / (above - below))
        low, high = values[below].astype(np.float32), values[above].astype(np.float32)
        values[index] = np.rint(low + fraction * (high - low)).astype(values.dtype)


def shown_ranges(indices: tuple[int, ...], most: int = 5) -> str:
    """Indices from 0 as people count, "3, 5–8"; the first few of many."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    texts = [f"{a + 1}" if a == b else f"{a + 1}–{b + 1}" for a, b in runs[:most]]
    return ", ".join(texts) + (" and others" if len(runs) > most else "")


def _mask_value(sample: np.ndarray, scale: _Scale) -> int | None:
    """The one value that everything outside the lungs was set to, None in a whole scan.

    In a whole scan with even air lungs take less than half of the body.
    """
    values, counts = np.unique(sample, return_counts=True)
    value = int(values[counts.argmax()])
    rest = sample.size - int(counts.max())
    if not 0 < rest < (1 - MASKED) * sample.size:
        return None
    lung = int(counts[(values < scale.body) & (values != value)].sum())
    return value if lung > LUNG_OF_REST * rest else None


def _blank_within(shown: np.ndarray, seen: list[int]) -> list[int]:
    """Slices that are none of ``seen``, the ones with an image, between two that show the body.

    shown: (D, H, W) of bool, the body.
    """
    bodies = [np.count_nonzero(shown[index]) for index in seen]
    least = LEAST_BODY * shown[0].size
    blank: list[int] = []
    for number, (before, here) in enumerate(pairwise(seen)):
        if min(bodies[number], bodies[number + 1]) > least:
            blank.extend(range(before + 1, here))
    return blank


def _standing_out(sample: np.ndarray, good: list[int], scale: _Scale) -> list[int]:
    """Slices of ``good`` that are unlike both neighbours, which are alike.

    In noise every slice is: one stands out where it does so twice as much as is usual.
    """
    shares = []
    for before, here, after in zip(good[:-2], good[1:-1], good[2:], strict=True):
        low, plane, high = (sample[index].astype(np.int32) for index in (before, here, after))
        body = np.maximum(np.maximum(low, plane), high) > scale.body
        alike = body & (np.abs(low - high) < scale.near)
        out = alike & (np.abs(2 * plane - low - high) > 2 * scale.far)
        shares.append(np.count_nonzero(out) / max(int(np.count_nonzero(body)), 1))
    if not shares:
        return []
    least = max(STANDS_OUT, 2 * float(np.median(shares)))
    return [here for here, share in zip(good[1:-1], shares, strict=True) if share > least]


def _other_pieces(
    sample: np.ndarray, good: list[int], scale: _Scale, units: Units, *, spaced: bool
) -> list[int]:
    """Slices that do not belong to most of the stack, where it breaks at all.

    Pieces on both sides of a foreign one belong together where they agree with each other.
    """
    if len(good) < 3:
        return []
    pairs = [
        _compared(sample[before], sample[here], scale, units) for before, here in pairwise(good)
    ]
    least = AGREEMENT if spaced else AGREEMENT_OF_IMAGES
    usual = float(np.median([agreement for agreement, _ in pairs]))
    least = min(least, AGREEMENT_OF_USUAL * usual)
    broken = [agreement < least or abs(shift) > SOFT_SHIFT for agreement, shift in pairs]
    if not any(broken):
        return []
    starts = [0, *(number + 1 for number, is_broken in enumerate(broken) if is_broken)]
    pieces = [good[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    groups: list[list[int]] = []
    for piece in pieces:
        for group in groups:
            agreement, shift = _compared(sample[group[-1]], sample[piece[0]], scale, units)
            if agreement >= least and abs(shift) <= SOFT_SHIFT:
                group.extend(piece)
                break
        else:
            groups.append(list(piece))
    most = max(groups, key=len)
    return [index for index in good if index not in most]


def _compared(
    before: np.ndarray, here: np.ndarray, scale: _Scale, units: Units
) -> tuple[float, float]:
    """In which part of the body two slices agree, and by how much soft tissue moved (HU)."""
    low, high = before.astype(np.int32), here.astype(np.int32)
    apart = high - low
    body = np.maximum(low, high) > scale.body
    count = np.count_nonzero(body)
    agreement = 1.0  # a rim of skin or the table alone says nothing
    if count > LEAST_BODY * body.size:
        agreement = np.count_nonzero(body & (np.abs(apart) < scale.near)) / count
    soft = np.maximum(np.abs(low), np.abs(high)) < SOFT_HU
    if units == "grey" or np.count_nonzero(soft) <= LEAST_BODY * soft.size:
        return agreement, 0.0
    return agreement, float(np.median(apart[soft]))


def _are_of_one_body(sample: np.ndarray, scale: _Scale, units: Units) -> bool:
    """Whether slices of unknown distance resemble their neighbours as those of one patient do."""
    pairs = [_compared(low, high, scale, units)[0] for low, high in pairwise(sample)]
    return not pairs or float(np.median(pairs)) >= ONE_BODY
