"""Where the lungs of one examination lie in the other: a rigid transform of their surfaces.

Pure functions on masks. The transform turns and shifts, and does not bend: what another breath
does to the diaphragm stays.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, map_coordinates, zoom
from scipy.optimize import minimize

from lungscore.followup.case import Case

#: Edge of a voxel of the distance map, and what surrounds the lungs in it, in mm.
GRID_MM, MARGIN_MM = 4.0, 40.0
#: Surface points that are fitted, and the distance beyond which a point has no pull: at the
#: diaphragm the surfaces of two breaths lie far apart.
POINTS, FARTHEST_MM = 3000, 12.0
#: More than a patient lies turned between two examinations.
MOST_TURNED = np.deg2rad(20)


@dataclass(frozen=True)
class Rigid:
    """From the earlier to the later examination: ``rotation @ (point − centre) + centre + shift``.

    Points are (z, y, x) in mm from the first voxel, along the canonical axes.
    residual_mm: mean distance of the earlier surface from the later one, each at most FARTHEST_MM.
    """

    rotation: np.ndarray
    centre: np.ndarray
    shift: np.ndarray
    residual_mm: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(…, 3) points of the earlier examination in the later one."""
        moved: np.ndarray = (points - self.centre) @ self.rotation.T + self.centre + self.shift
        return moved


def register(earlier: Case, later: Case) -> Rigid | None:
    """The transform that brings the surface of the earlier lungs nearest to the later one.

    None without a voxel size, without lungs, or with lungs too thin for the coarse grid.
    """
    first, second = earlier.spacing_mm, later.spacing_mm
    if first is None or second is None or not (earlier.lungs.any() and later.lungs.any()):
        return None
    mask, corner, edge = _coarse(earlier.lungs > 0, np.array(first))
    points = _surface(mask) * edge + corner
    mask, origin, edge = _coarse(later.lungs > 0, np.array(second))
    targets = _surface(mask) * edge + origin
    if not (len(points) and len(targets)):
        return None
    distances = distance_transform_edt(~_shell(mask), sampling=edge)
    points = points[:: max(1, len(points) // POINTS)]
    centre = points.mean(axis=0)

    def rigid(values: np.ndarray) -> Rigid:
        return Rigid(_rotation(values[:3]), centre, values[3:] * 10, 0.0)

    def cost(values: np.ndarray) -> float:
        if np.abs(values[:3]).max() > MOST_TURNED:
            return FARTHEST_MM
        coordinates = (rigid(values)(points) - origin) / edge
        surface_distances = map_coordinates(distances, coordinates.T, order=1, mode="nearest")
        return float(np.minimum(surface_distances, FARTHEST_MM).mean())

    # The apices are fixed to the chest, the bases move with the breath: both are tried.
    apex = targets.mean(axis=0) - centre
    apex[0] = targets[:, 0].min() - points[:, 0].min()
    starts = [np.r_[0, 0, 0, shift / 10] for shift in (apex, targets.mean(axis=0) - centre)]
    start = min(starts, key=cost)
    options = {"xtol": 1e-3, "ftol": 1e-3, "maxfev": 1500}
    fitted = minimize(cost, start, method="Powell", options=options)
    best = fitted.x if fitted.fun <= cost(start) else start
    transform = rigid(best)
    return Rigid(transform.rotation, transform.centre, transform.shift, cost(best))


def resampled_plane(
    transform: Rigid, earlier: Case, later: Case, where: tuple[int, slice, slice]
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The later CT (None without), lungs and lesions on the pixels ``where`` of the earlier scan.

    What lies outside the later scan has its lowest value, and no label.
    """
    if earlier.spacing_mm is None or later.spacing_mm is None:
        raise ValueError("a transform in millimetres needs both voxel sizes")
    z, rows, columns = where
    grid = np.stack(
        np.meshgrid(
            [z],
            np.arange(rows.start, rows.stop),
            np.arange(columns.start, columns.stop),
            indexing="ij",
        ),
        axis=-1,
    )[0]
    points = transform(grid * np.array(earlier.spacing_mm))
    coordinates = np.moveaxis(points / np.array(later.spacing_mm), -1, 0)
    labels = [
        map_coordinates(array, coordinates, order=0, mode="constant", cval=0)
        for array in (later.lungs, later.lesions)
    ]
    values = later.values
    if values is not None:
        lowest = int(values.min())
        values = map_coordinates(values, coordinates, order=1, mode="constant", cval=lowest)
    return values, labels[0], labels[1]


def _coarse(lungs: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``lungs`` on a coarse grid with a margin, its first voxel's place and its edges in mm.

    Both examinations are brought to one grid, so that thick slices have no surface of their own.
    """
    inside = np.argwhere(lungs)
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    box = np.pad(lungs[tuple(map(slice, low, high))], 1).astype(np.float32)
    # An axis keeps a voxel at least, though a few thin slices are less than half of one.
    factors = np.maximum(spacing / GRID_MM, 1 / np.array(box.shape))
    coarse = zoom(box, factors, order=1, grid_mode=True, mode="nearest")
    edge = np.array(box.shape) * spacing / coarse.shape  # nearly GRID_MM: counts are whole
    margin = int(MARGIN_MM / GRID_MM)
    # From the outer face of the padded box to the middle of the first coarse voxel.
    first = (low - 1.5) * spacing + edge / 2
    return np.pad(coarse >= 0.5, margin), first - margin * edge, edge


def _shell(mask: np.ndarray) -> np.ndarray:
    shell: np.ndarray = mask & ~binary_erosion(mask)
    return shell


def _surface(mask: np.ndarray) -> np.ndarray:
    """(N, 3) indices of the voxels at the surface."""
    return np.argwhere(_shell(mask)).astype(np.float64)


def _rotation(angles: np.ndarray) -> np.ndarray:
    """Turned about the axes z, y and x by ``angles`` in radians, one after the other."""
    turned = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        turned = turn @ turned
    return turned
