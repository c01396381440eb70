"""Dilation by a ball, on bits: what distance transforms say of one distance, in a hundredth of
their time."""

import numpy as np


def near(
    mask: np.ndarray,
    spacing_mm: tuple[float, float, float],
    radius_mm: float,
    *,
    open_ball: bool = False,
) -> np.ndarray:
    """The voxels no farther than ``radius_mm`` from ``mask``, bool (D, H, W).

    Distances are those between the middles of voxels of ``spacing_mm`` (z, y, x). open_ball: only
    those nearer than ``radius_mm``. A row of a ball is a dilation along x; eight voxels share a
    byte.
    """
    half = _half_widths(spacing_mm, radius_mm, open_ball=open_ball)
    widest = int(half.max())
    if widest < 0:
        return np.zeros(mask.shape, bool)
    depth, height, width = mask.shape
    rows = mask.copy()
    packed = {}
    for step in range(min(widest, width - 1) + 1):
        if step:
            rows[:, :, step:] |= mask[:, :, :-step]
            rows[:, :, :-step] |= mask[:, :, step:]
        if (half == step).any():
            packed[step] = np.packbits(rows, axis=2)
    for step in np.unique(half[half >= width]):  # wider than the volume
        packed[int(step)] = np.packbits(rows, axis=2)
    ball = np.zeros((depth, height, -(-width // 8)), np.uint8)
    reach_z, reach_y = half.shape[0] // 2, half.shape[1] // 2
    for z in range(-min(reach_z, depth - 1), min(reach_z, depth - 1) + 1):
        for y in range(-min(reach_y, height - 1), min(reach_y, height - 1) + 1):
            step = int(half[reach_z + z, reach_y + y])
            if step >= 0:
                to_z, from_z = _overlap(z, depth)
                to_y, from_y = _overlap(y, height)
                ball[to_z, to_y] |= packed[step][from_z, from_y]
    return np.unpackbits(ball, axis=2, count=width).view(bool)


def _half_widths(
    spacing_mm: tuple[float, float, float], radius_mm: float, *, open_ball: bool
) -> np.ndarray:
    """For each row of the ball at (z, y) voxels from its middle, how many voxels it reaches along
    x to each side: int (2 Z + 1, 2 Y + 1), −1 where the row misses the ball."""
    z, y, x = (
        np.arange(-int(radius_mm / size) - 1, int(radius_mm / size) + 2) * size
        for size in spacing_mm
    )
    x = x[len(x) // 2 :]
    away = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    inside = away < radius_mm if open_ball else away <= radius_mm
    half: np.ndarray = np.count_nonzero(inside, axis=2) - 1
    return half


def _overlap(step: int, size: int) -> tuple[slice, slice]:
    """Where ``step`` voxels farther is still inside, and where that comes from."""
    low, high = max(step, 0), size + min(step, 0)
    return slice(low, high), slice(low - step, high - step)
