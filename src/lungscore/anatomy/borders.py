"""The borders between the lobes of one lung, as surfaces in the lung's own coordinates."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from lungscore.anatomy.fissures import WALL_MM, Surface, node_steps, trace_fissure
from lungscore.anatomy.grid import Grid

Spacing = tuple[float, float, float]
Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Fissures are sought where borders would be whose errors are this much larger than the atlas's.
WIDER = 1.5


@dataclass(frozen=True, eq=False)
class Borders:
    """The borders of one lung.

    coordinates: of every plane along z, y and x (atlas.lung_coordinates), x from the ribs inwards.
    oblique: (6,) the place along y of the border of the lower lobe, a quadratic of z and x.
    horizontal: (6,) the place along z of the upper border of the middle lobe, a quadratic of y and
        x; None in the left lung.
    oblique_off: (D, W) how far the fissure that a CT shows lies behind ``oblique``; horizontal_off:
        (H, W) how far below ``horizontal``; None where none was traced.
    """

    coordinates: Coordinates
    oblique: np.ndarray
    horizontal: np.ndarray | None
    oblique_off: np.ndarray | None = None
    horizontal_off: np.ndarray | None = None

    def lobes(self) -> Iterator[np.ndarray]:
        """(H, W) of each slice: which lobe a place lies in, 0 for the first of LUNG_LOBES."""
        z, y, x = self.coordinates
        behind = quadratic(self.oblique, z[:, None], x)
        if self.oblique_off is not None:
            behind = behind + self.oblique_off
        last = 1 if self.horizontal is None else 2
        below = self._horizontal_places()
        for height, row in zip(z, behind, strict=True):
            upper = 0 if below is None else (height > below).astype(np.uint8)
            yield np.where(y[:, None] > row, np.uint8(last), upper)

    def _horizontal_places(self) -> np.ndarray | None:
        """(H, W) the place along z of the horizontal border."""
        if self.horizontal is None:
            return None
        _, y, x = self.coordinates
        below = quadratic(self.horizontal, y[:, None], x)
        return below if self.horizontal_off is None else below + self.horizontal_off

    def traced(
        self, lung: np.ndarray, values: np.ndarray, spacing_mm: Spacing, errors: np.ndarray
    ) -> "Borders":
        """These borders, moved to the fissures that a CT shows.

        lung: bool (D, H, W); values: (D, H, W) Hounsfield units. errors: (N, 1 or 2, 6) by how much
        borders of such lungs are off, as ``moved`` takes it.
        """
        inside = _away_from_wall(lung, spacing_mm)
        z, y, x = self.coordinates
        behind = quadratic(self.oblique, z[:, None], x)
        off = _traced(values, inside, behind, self.coordinates, spacing_mm, errors[:, 0], axis=1)
        moved = replace(self, oblique_off=off)
        below = moved._horizontal_places()
        if below is None:
            return moved
        # Behind the oblique border there is no horizontal one.
        inside &= y[:, None] < (behind if off is None else behind + off)[:, None]
        off = _traced(values, inside, below, self.coordinates, spacing_mm, errors[:, 1], axis=0)
        return replace(moved, horizontal_off=off)

    def at(self, indices: tuple[np.ndarray, np.ndarray, np.ndarray]) -> "Borders":
        """These borders on a coarser grid, which has the planes of ``indices`` along each axis."""
        z, y, x = indices
        planes = zip(self.coordinates, indices, strict=True)
        oblique, horizontal = self.oblique_off, self.horizontal_off
        return replace(
            self,
            coordinates=tuple(places[index] for places, index in planes),
            oblique_off=None if oblique is None else oblique[np.ix_(z, x)],
            horizontal_off=None if horizontal is None else horizontal[np.ix_(y, x)],
        )

    def moved(self, by: np.ndarray) -> "Borders":
        """These borders, each changed by a quadratic: ``by`` (1 or 2, 6)."""
        horizontal = None if self.horizontal is None else self.horizontal + by[1]
        return replace(self, oblique=self.oblique + by[0], horizontal=horizontal)

    @property
    def untraced(self) -> "Borders":
        """These borders as the shape of the lung alone has them."""
        return replace(self, oblique_off=None, horizontal_off=None)


def quadratic(coefficients: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``coefficients`` (6,) · (1, a, b, aa, ab, bb), float32."""
    constant, wa, wb, aa, ab, bb = coefficients.astype(np.float32)
    return constant + (wa + aa * a + ab * b) * a + (wb + bb * b) * b


def terms(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(…, 6): what ``quadratic`` multiplies its coefficients with."""
    return np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], axis=-1)


def _traced(
    values: np.ndarray,
    inside: np.ndarray,
    places: np.ndarray,
    coordinates: Coordinates,
    spacing_mm: Spacing,
    errors: np.ndarray,
    *,
    axis: int,
) -> np.ndarray | None:
    """How far a fissure lies from ``places``, both in coordinates along that axis; or None.

    places: at every voxel of the plane of the two other axes; NaN where there is no border.
    errors: (N, 6) by how much such borders are off.
    """
    along = coordinates[axis]
    if len(along) < 2:
        return None
    step = float(along[1] - along[0])
    first, second = (other for other in range(3) if other != axis)
    plane_mm = spacing_mm[first], spacing_mm[second]
    steps = node_steps(plane_mm)
    positions = (places[:: steps[0], :: steps[1]] - float(along[0])) / step
    out = (positions < 0) | (positions > len(along) - 1)
    a, b = coordinates[first][:: steps[0]], coordinates[second][:: steps[1]]
    modes = np.stack([quadratic(way, a[:, None], b) for way in _ways(errors)]) / step
    offset = trace_fissure(
        np.moveaxis(values, axis, 0),
        np.moveaxis(inside, axis, 0),
        Surface(np.where(out, np.nan, positions).astype(np.float64), steps, modes),
        (spacing_mm[axis], *plane_mm),
        spacing_mm[0],
    )
    if offset is None:
        return None
    at = np.ix_(*(np.arange(n) / by for n, by in zip(places.shape, steps, strict=True)))
    whole: np.ndarray = ndimage.map_coordinates(
        offset, np.stack(np.broadcast_arrays(*at)), order=1, mode="nearest"
    )
    return (whole * step).astype(np.float32)


def _ways(errors: np.ndarray) -> np.ndarray:
    """(m, 6) the ways in which a border is off, each one standard deviation of ``errors`` long."""
    _, strength, ways = np.linalg.svd(errors.astype(np.float64), full_matrices=False)
    scaled: np.ndarray = WIDER * (strength / np.sqrt(len(errors)))[:, None] * ways
    return scaled


def _away_from_wall(lung: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """The voxels of a lung at least WALL_MM below its surface, to within a coarse block."""
    grid = Grid.over(lung.shape, spacing_mm, block_mm=WALL_MM / 2)  # type: ignore[arg-type]
    coarse = np.pad(grid.fraction(lung) >= 0.5, 1)
    depth_mm = ndimage.distance_transform_edt(coarse, sampling=grid.spacing_mm)
    whole = slice(0, lung.shape[0]), slice(0, lung.shape[1]), slice(0, lung.shape[2])
    return grid.repeat(depth_mm[1:-1, 1:-1, 1:-1] >= WALL_MM, whole)
