"""Parts of slices without a picture: what a copy lost, and what a rotated or masked scan lacks.

Values that are constant along a part of a row are none of a scanner's picture of a body. A copy
loses them at once; around a masked body they come and go with its shape, and a rotated scan lacks a
wedge at either end.
"""

import numpy as np

#: Parts of a row that are looked at for constant values, and the fewest pixels of one.
ROW_PARTS, PART_PIXELS = 16, 8

#: Part of the body that a slice may have lost to constant values: between two slices, at an end.
LOST_BETWEEN, LOST_AT_END = 0.03, 0.25

#: Where more of the air than this is even, the body is masked, or the scanner resolves no air.
EVEN_AIR = 0.5

#: A step in which this many times as much is lost as in those beside it is no shape of a body.
AT_ONCE = 1.5

#: What a rotated scan lacks at its ends shrinks inwards, by this part of the most at a time; or one
#: end lacks what the other one does, seen from behind and upside down, but for this part of it.
PADDING_STEP, UNLIKE_OTHER_END = 0.75, 0.1


def partly_blank(
    values: np.ndarray, seen: list[int], *, body_above: int, differs: int
) -> tuple[list[int], tuple[list[int], list[int]]]:
    """Slices with constant parts of rows in which the slices around show something else.

    values: (D, H, W). seen: the slices to look at, in order. body_above: what is brighter is body.
    differs: by how much a part does. Returns first those that cannot be right, then those at either
    end, the outermost first, that only lack what lay outside a rotated scan.
    """
    rows, columns = values.shape[1:]
    segments = max(1, min(ROW_PARTS, columns // PART_PIXELS))
    width = columns // segments
    constant = np.empty((len(seen), rows, segments), bool)
    means = np.empty((len(seen), rows, segments), np.float32)
    for number, index in enumerate(seen):
        blocks = values[index][:, : segments * width].reshape(rows, segments, width)
        constant[number] = (blocks == blocks[..., :1]).all(axis=-1)
        means[number] = blocks[..., ::4].mean(axis=-1)
    if not constant.any():
        return [], ([], [])
    body = np.median(np.count_nonzero(means > body_above, axis=(1, 2)))
    before, since = _nearest(means, constant)
    after, until = _nearest(means[::-1], constant[::-1])
    after = after[::-1]
    with np.errstate(invalid="ignore"):
        from_before = np.abs(means - before) > differs
        from_after = np.abs(means - after) > differs
    between = constant & from_before & from_after
    at_end = constant & (from_before | from_after) & (np.isnan(before) | np.isnan(after))
    least = LOST_BETWEEN * body
    even = constant & (means <= body_above)
    begun, ended = _at_once(between, since, least), _at_once(between[::-1], until, least)[::-1]
    # Around a masked body air is even, and as the body widens and narrows it comes and goes.
    masked = np.count_nonzero(even) > EVEN_AIR * np.count_nonzero(means <= body_above)
    lost = begun & ended if masked else begun | ended
    lost_between = np.count_nonzero(lost, axis=(1, 2)) / max(body, 1)
    lost_at_end = np.count_nonzero(at_end, axis=(1, 2)) / max(body, 1)
    # A neck is narrower than the shoulders: at an end only the outermost slices are judged.
    fringe = max(1, len(seen) // 10)
    ranks = np.arange(len(seen))
    outermost = (ranks < fringe) | (ranks >= len(seen) - fringe)
    top, bottom = even & at_end & np.isnan(before), even & at_end & np.isnan(after)
    turned = _lacks(top, bottom, even) and _lacks(bottom[::-1], top[::-1], even[::-1])
    upper = _padded(top, even, body, turned=turned)
    lower = _padded(bottom[::-1], even[::-1], body, turned=turned)
    judged = outermost & (ranks >= upper) & (ranks < len(seen) - lower)
    wrong = (lost_between > LOST_BETWEEN) | (judged & (lost_at_end > LOST_AT_END))
    return (
        [index for index, is_wrong in zip(seen, wrong, strict=True) if is_wrong],
        (seen[:upper], seen[::-1][:lower]),
    )


def _padded(lost: np.ndarray, even: np.ndarray, body: float, *, turned: bool) -> int:
    """How many of the slices, from the first on, a rotated scan does not fill.

    lost: bool (slices, rows, parts), even parts where slices further in show something else. even:
    all even parts. body: parts of a slice that usually show the body. turned: whether the ends
    lack the same. Else what is lost becomes less from slice to slice, each time within what was
    lost before; what a copy lacks is lost at once.
    """
    counts = np.append(np.count_nonzero(lost, axis=(1, 2)), 0)
    run = int(np.flatnonzero(counts == 0)[0])
    counts = counts[: run + 1]
    if counts.max() <= LOST_AT_END * body:
        return 0
    steps = counts[:-1] - counts[1:]
    new = np.count_nonzero(lost[1:run] & ~even[: run - 1], axis=(1, 2))
    if not turned and max(steps.max(), new.max(initial=0)) > PADDING_STEP * counts.max():
        return 0
    return int(np.count_nonzero(counts > LOST_BETWEEN * body))


def _lacks(lost: np.ndarray, at_other_end: np.ndarray, even: np.ndarray) -> bool:
    """Whether the first slice lacks, turned by 180°, what is lost in the last one."""
    other = at_other_end[-1][::-1, ::-1]
    missing = np.count_nonzero(other & ~even[0])
    return bool(lost[0].any() and missing <= UNLIKE_OTHER_END * np.count_nonzero(other))


def _nearest(means: np.ndarray, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every part of a row its mean in the nearest slice before in which it is not constant.

    NaN where there is none; and the first of the slices since then in which it is constant.
    """
    result, numbers = np.empty_like(means), np.empty(means.shape, np.int32)
    last = np.full(means.shape[1:], np.nan, np.float32)
    number = np.zeros(means.shape[1:], np.int32)
    for index, (mean, flat) in enumerate(zip(means, constant, strict=True)):
        result[index], numbers[index] = last, number
        np.copyto(last, mean, where=~flat)
        np.copyto(number, index + 1, where=~flat)
    return result, numbers


def _at_once(lost: np.ndarray, since: np.ndarray, least: float) -> np.ndarray:
    """The parts of ``lost`` (slices, rows, parts) that were lost together with many others.

    since: the slice in which a part was lost. A body that is masked narrows from slice to slice;
    what a copy lacks is lost in one step, of more than ``least`` parts.
    """
    numbers = np.arange(len(lost))[:, None, None]
    steps = np.count_nonzero(lost & (since == numbers), axis=(1, 2))
    around = np.maximum(np.append(0, steps[:-1]), np.append(steps[1:], 0))
    at_once = (steps > least) & (steps > AT_ONCE * around)
    together: np.ndarray = lost & at_once[np.minimum(since, len(lost) - 1)]
    return together


def continued(sample: np.ndarray, padded: tuple[list[int], list[int]]) -> np.ndarray:
    """``sample`` (D, H, W) with what the slices further in show where those at the ends lack it."""
    if not any(padded):
        return sample
    sample = sample.copy()
    for indices, inwards in zip(padded, (1, -1), strict=True):
        for index in indices[::-1]:
            values, counts = np.unique(sample[index], return_counts=True)
            lacking = sample[index] == values[counts.argmax()]
            if 0 <= index + inwards < len(sample):
                np.copyto(sample[index], sample[index + inwards], where=lacking)
    return sample
