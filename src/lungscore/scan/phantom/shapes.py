"""Shapes in millimetres: smooth random fields, tubes, ellipsoids and soft unions.

Everything is a function of position, not of voxels, so a phantom looks the same at every
resolution. Positions are (z, y, x) in millimetres of a reference body: z downwards from the lung
apices, y from front to back, x from the patient's right to left, 0 in the midline. ``Axes`` holds
them as three broadcastable arrays of shapes (D, 1, 1), (1, H, 1) and (1, 1, W).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Where smooth random fields are defined, in millimetres: (start, length) along z, y, x.
FIELD_BOX = ((-80.0, 420.0), (-260.0, 520.0), (-260.0, 520.0))
#: A distance that means "not near".
FAR_MM = 50.0

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


class SmoothField:
    """A random field of unit variance that varies over about ``length_mm`` (cubic B-splines)."""

    def __init__(self, rng: np.random.Generator, length_mm: float) -> None:
        self.length_mm = length_mm
        sizes = [int(np.ceil(length / length_mm)) + 4 for _, length in FIELD_BOX]
        coefficients = rng.standard_normal(sizes, dtype=np.float32)
        # A cubic B-spline loses all but 151/315 of white variance along each axis, on average.
        self.coefficients = coefficients / np.float32((151 / 315) ** 1.5)

    def __call__(self, axes: Axes) -> np.ndarray:
        """(D, H, W) float32."""
        (z, rows), (y, columns), (x, stacks) = (self._weights(axes[i].ravel(), i) for i in range(3))
        lattice = self.coefficients[rows, columns, stacks]
        values = (z @ lattice.reshape(lattice.shape[0], -1)).reshape(len(z), *lattice.shape[1:])
        values = np.matmul(y, values)  # (D, H, lattice columns)
        values = values.reshape(len(z) * len(y), -1) @ x.T
        return values.reshape(len(z), len(y), len(x))

    def _weights(self, positions: np.ndarray, axis: int) -> tuple[np.ndarray, slice]:
        """(positions, lattice points) float32, and which lattice points those are."""
        size = self.coefficients.shape[axis]
        cells = (positions - FIELD_BOX[axis][0]) / self.length_mm + 1.0
        cells = np.clip(cells, 1, size - 2)
        used = slice(max(int(cells.min()) - 1, 0), min(int(cells.max()) + 3, size))
        distance = np.abs(cells[:, None] - np.arange(used.start, used.stop))
        inner = 2 / 3 - distance**2 + distance**3 / 2
        outer = np.clip(2 - distance, 0, None) ** 3 / 6
        return np.where(distance < 1, inner, outer).astype(np.float32), used


@dataclass(frozen=True)
class Ellipsoid:
    """An axis-parallel ellipsoid: centre and semi-axes (z, y, x) in mm."""

    centre: tuple[float, float, float]
    axes_mm: tuple[float, float, float]
    hu: float = 42.0

    def pieces(self) -> "list[Ellipsoid]":
        return [self]

    @property
    def low(self) -> np.ndarray:
        return np.subtract(self.centre, self.axes_mm)

    @property
    def high(self) -> np.ndarray:
        return np.add(self.centre, self.axes_mm)

    def distance(self, axes: Axes) -> np.ndarray:
        offsets = [a - np.float32(c) for a, c in zip(axes, self.centre, strict=True)]
        squared = sum((o / np.float32(r)) ** 2 for o, r in zip(offsets, self.axes_mm, strict=True))
        slope = sum(
            (o / np.float32(r) ** 2) ** 2 for o, r in zip(offsets, self.axes_mm, strict=True)
        )
        norm = np.sqrt(squared)
        return (norm - 1) * norm / np.sqrt(slope + np.float32(1e-9))


@dataclass(frozen=True)
class Tube:
    """A tube through points (n, 3) in mm (z, y, x) with a radius at each point."""

    points: Sequence[Sequence[float]]
    radii: Sequence[float]
    hu: float = 42.0

    def pieces(self) -> "list[_Cone]":
        points = np.asarray(self.points, dtype=np.float64)
        radii = np.broadcast_to(np.asarray(self.radii, dtype=np.float64), len(points))
        return [
            _Cone(points[i], points[i + 1], float(radii[i]), float(radii[i + 1]))
            for i in range(len(points) - 1)
        ]


@dataclass(frozen=True)
class _Cone:
    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float

    @property
    def low(self) -> np.ndarray:
        return np.minimum(self.start, self.end) - max(self.start_radius, self.end_radius)

    @property
    def high(self) -> np.ndarray:
        return np.maximum(self.start, self.end) + max(self.start_radius, self.end_radius)

    def distance(self, axes: Axes) -> np.ndarray:
        step = self.end - self.start
        offsets = [a - np.float32(s) for a, s in zip(axes, self.start, strict=True)]
        along = np.float32(step[0]) * offsets[0] + np.float32(step[1]) * offsets[1]
        along = np.clip(
            (along + np.float32(step[2]) * offsets[2]) / np.float32((step**2).sum()), 0, 1
        )
        squared = sum((o - along * np.float32(s)) ** 2 for o, s in zip(offsets, step, strict=True))
        radius = self.start_radius + along * (self.end_radius - self.start_radius)
        return np.sqrt(squared) - radius


#: What can be painted and joined.
Shape = Ellipsoid | Tube


def box(axes: Axes, low: np.ndarray, high: np.ndarray, *, margin: float) -> tuple[slice, ...]:
    """The part of the grid within ``margin`` mm of the box ``low``…``high``."""
    return tuple(
        slice(
            int(np.searchsorted(axis.ravel(), lo - margin)),
            int(np.searchsorted(axis.ravel(), hi + margin)),
        )
        for axis, lo, hi in zip(axes, low, high, strict=True)
    )


def subgrid(axes: Axes, where: tuple[slice, ...]) -> Axes:
    """The axes of a part of the grid."""
    z, y, x = axes
    return z[where[0]], y[:, where[1]], x[:, :, where[2]]


def union_distance(axes: Axes, shapes: Sequence[Shape], *, blend_mm: float) -> np.ndarray:
    """(D, H, W) distance to the soft union of shapes, capped at FAR_MM far away."""
    shape = tuple(axis.size for axis in axes)
    result = np.full(shape, FAR_MM, np.float32)
    for solid in shapes:
        for piece in solid.pieces():
            where = box(axes, piece.low, piece.high, margin=14.0)
            if all(s.stop > s.start for s in where):
                near = piece.distance(subgrid(axes, where))
                result[where] = soft_minimum(result[where], near, blend_mm)
    return result


def soft_minimum(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """The smaller distance, rounded where both are within ``blend_mm`` of each other."""
    overlap = np.clip(np.float32(blend_mm) - np.abs(a - b), 0, None)
    return np.minimum(a, b) - overlap**2 / np.float32(4 * blend_mm)


def soft_maximum(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """The larger distance (an intersection), its corners rounded over ``blend_mm``."""
    return -soft_minimum(-a, -b, blend_mm)


def coverage(distance: np.ndarray, width_mm: float) -> np.ndarray:
    """How much of a voxel ``width_mm`` wide lies inside: 0…1."""
    return np.clip(np.float32(0.5) - distance / np.float32(width_mm), 0, 1)


def paint(hu: np.ndarray, amount: np.ndarray, value: np.ndarray | float) -> None:
    """Mix ``value`` into ``hu`` in place."""
    hu += amount * (value - hu)


def paint_shapes(hu: np.ndarray, axes: Axes, shapes: Sequence[Shape], *, width_mm: float) -> None:
    """Paint each shape with its own HU, partial volume at the borders."""
    for solid in shapes:
        for piece in solid.pieces():
            where = box(axes, piece.low, piece.high, margin=width_mm)
            if all(s.stop > s.start for s in where):
                distance = piece.distance(subgrid(axes, where))
                paint(hu[where], coverage(distance, width_mm), solid.hu)
