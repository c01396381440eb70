"""Lobes from the shape of the lungs, and from the fissures where a CT shows them."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from lungscore.anatomy.atlas import BLOCK_MM, LUNG_LOBES, LungAtlas, load_atlas, lung_coordinates
from lungscore.anatomy.balls import near
from lungscore.anatomy.boxes import box_of_label, extent_of
from lungscore.anatomy.fissures import THICKEST_MM, WALL_MM, Surface, node_steps, trace_fissure
from lungscore.anatomy.grid import Grid, assumed_spacing_mm
from lungscore.anatomy.pieces import join_pieces
from lungscore.labels import LEFT_LUNG, LOBES

Spacing = tuple[float, float, float]


def find_lobes(
    lung_labels: np.ndarray,
    spacing_mm: Spacing | None,
    *,
    hounsfield: np.ndarray | None = None,
    atlas: Mapping[int, LungAtlas] | None = None,
) -> np.ndarray:
    """The lobes of the lungs, uint8 (D, H, W) of labels.LOBES.

    lung_labels: (D, H, W) with 1 right and 2 left lung; a lung that is missing has no lobes.
    spacing_mm: (z, y, x), None where unknown. hounsfield: (D, H, W) the CT, or None. Each voxel
    belongs to the lobe whose quadratic function of the voxel's place in its lung is greatest; the
    functions follow from the lung's shape and the height of its hilum by a multinomial logistic
    model fitted to manual lobe masks (anatomy.atlas, the default of ``atlas``). Where the CT is
    thin enough and shows a fissure near the border of two lobes, the border moves there
    (anatomy.fissures). Without, the result is an approximation.
    """
    atlas = atlas or load_atlas()
    if spacing_mm is None or spacing_mm[0] > THICKEST_MM:
        hounsfield = None
    if spacing_mm is None:
        spacing_mm = assumed_spacing_mm(lung_labels.shape)  # type: ignore[arg-type]
    lobes = np.zeros(lung_labels.shape, np.uint8)
    for side, names in LUNG_LOBES.items():
        if (box := box_of_label(lung_labels, side)) is None:
            continue
        values = np.array([LOBES[name] for name in names], np.uint8)
        lung, lung_lobes = lung_labels[box] == side, lobes[box]
        near = None if hounsfield is None else hounsfield[box]
        if side == LEFT_LUNG:  # the atlas has the lateral side first
            lung, lung_lobes = lung[:, :, ::-1], lung_lobes[:, :, ::-1]
            near = None if near is None else near[:, :, ::-1]
        weights = atlas[side].quadrics(lung, spacing_mm).astype(np.float32)
        borders = _Borders(lung, weights)
        if near is not None:
            borders.move(near, spacing_mm)
        for index, inside in enumerate(lung):
            if inside.any():
                rows, columns = extent_of(inside)
                lobe = borders.lobe_in_slice(index, rows, columns)
                np.copyto(
                    lung_lobes[index, rows, columns], values[lobe], where=inside[rows, columns]
                )
        steps = tuple(max(1, round(BLOCK_MM / size)) for size in spacing_mm)
        join_pieces(lung_lobes, [LOBES[name] for name in names], steps)
    return lobes


class _Borders:
    """The borders between the lobes of one lung, as the atlas has them or moved to fissures.

    oblique: how far the border of the lower lobe lies behind where the atlas has it, (D, 1, W)
    voxels; horizontal: how far that of the middle lobe lies below, (1, H, W) voxels.
    """

    def __init__(self, lung: np.ndarray, weights: np.ndarray) -> None:
        self.lung, self.weights = lung, weights
        self.coordinates = lung_coordinates(lung)
        self.oblique: np.ndarray | None = None
        self.horizontal: np.ndarray | None = None

    def move(self, values: np.ndarray, spacing_mm: Spacing) -> None:
        """Move the borders to the fissures that ``values`` (D, H, W) in Hounsfield units show."""
        inside = _away_from_wall(self.lung, spacing_mm)
        self.oblique = self._moved(values, inside, spacing_mm, axis=1)
        if len(self.weights) > 2:
            self.horizontal = self._moved(values, inside, spacing_mm, axis=0)

    def lobe_in_slice(self, index: int, rows: slice, columns: slice) -> np.ndarray:
        """(rows, columns) index of the lobe in the atlas's order."""
        z, y, x = (
            self.coordinates[0][index],
            self.coordinates[1][rows, None],
            self.coordinates[2][columns],
        )
        if self.oblique is None and self.horizontal is None:
            lobe: np.ndarray = quadrics(self.weights, z, y, x).argmax(axis=0)
            return lobe
        moved = y
        if self.oblique is not None:
            moved = y - self.oblique[index][:, columns] * _step(self.coordinates[1])
        last = len(self.weights) - 1
        lower = _is_first(self.weights[[last, *range(last)]], z, moved, x, along="y")
        if last < 2:
            return np.where(lower, last, 0)
        if self.horizontal is not None:
            z = z - self.horizontal[0, rows, columns] * _step(self.coordinates[0])
        middle = _is_first(self.weights[[1, 0]], z, y, x, along="z")
        return np.where(lower, last, middle)

    def _below_oblique(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Above 0 in the lower lobe."""
        lobe_values = quadrics(self.weights, z, y, x)
        return lobe_values[-1] - lobe_values[:-1].max(axis=0)

    def _below_horizontal(self, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Above 0 in the middle lobe, of what is not in the lower one."""
        upper, middle = quadrics(self.weights[:2], z, y, x)
        return middle - upper

    def _moved(
        self, values: np.ndarray, inside: np.ndarray, spacing_mm: Spacing, *, axis: int
    ) -> np.ndarray | None:
        """Offsets along ``axis`` of the oblique (1) or the horizontal (0) border, in voxels."""
        plane_axes = [plane_axis for plane_axis in range(3) if plane_axis != axis]
        steps = node_steps((spacing_mm[plane_axes[0]], spacing_mm[plane_axes[1]]))
        coordinates = list(self.coordinates)
        for plane_axis, step in zip(plane_axes, steps, strict=True):
            coordinates[plane_axis] = coordinates[plane_axis][::step]
        grid = np.ix_(*coordinates)
        if axis == 1:
            below = self._below_oblique(*grid)
        else:
            # Behind the oblique border there is no horizontal one.
            below = self._below_horizontal(*grid)
            below = np.where(self._below_oblique(*grid) > 0, np.nan, below)
        expected = Surface(_crossing(np.moveaxis(below, axis, 0)), steps)
        offset = trace_fissure(
            np.moveaxis(values, axis, 0),
            np.moveaxis(inside, axis, 0),
            expected,
            (spacing_mm[axis], spacing_mm[plane_axes[0]], spacing_mm[plane_axes[1]]),
        )
        if offset is None:
            return None
        size = tuple(self.lung.shape[plane_axis] for plane_axis in plane_axes)
        at = np.ix_(*(np.arange(n) / step for n, step in zip(size, steps, strict=True)))
        whole = ndimage.map_coordinates(
            offset, np.stack(np.broadcast_arrays(*at)), order=1, mode="nearest"
        )
        return np.expand_dims(whole, axis)


def _away_from_wall(lung: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """The voxels of a lung at least WALL_MM below its surface, to within a coarse block."""
    grid = Grid.over(lung.shape, spacing_mm, block_mm=WALL_MM / 2)  # type: ignore[arg-type]
    outside = np.pad(grid.fraction(lung) < 0.5, 1, constant_values=True)
    deep = ~near(outside, grid.spacing_mm, WALL_MM, open_ball=True)
    whole = slice(0, lung.shape[0]), slice(0, lung.shape[1]), slice(0, lung.shape[2])
    return grid.repeat(deep[1:-1, 1:-1, 1:-1], whole)


def quadrics(weights: np.ndarray, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(lobes, …): each row of ``weights`` · (1, z, y, x, zz, zy, zx, yy, yx, xx)."""
    return np.stack(
        [
            constant
            + (wz + zz * z + zy * y) * z
            + (wy + yy * y + yx * x) * y
            + (wx + xx * x + zx * z) * x
            for constant, wz, wy, wx, zz, zy, zx, yy, yx, xx in weights
        ]
    )


def _is_first(
    weights: np.ndarray, z: np.ndarray, y: np.ndarray, x: np.ndarray, *, along: str
) -> np.ndarray:
    """Where the first of the quadrics is the greatest, bool (H, W).

    along: the coordinate, "z" or "y", that may differ from pixel to pixel. The difference of two
    quadrics is one too, and is taken as a polynomial of that coordinate, whose coefficients depend
    on the two others alone.
    """
    first = np.ones((), bool)
    for other in weights[1:]:
        c, wz, wy, wx, zz, zy, zx, yy, yx, xx = weights[0].astype(np.float64) - other
        if along == "y":
            free = c + (wz + zz * z) * z + (wx + xx * x + zx * z) * x
            slope, bend, place = wy + zy * z + yx * x, yy, y
        else:
            free = c + (wy + yy * y + yx * x) * y + (wx + xx * x) * x
            slope, bend, place = wz + zy * y + zx * x, zz, z
        value = bend * place + slope
        value *= place
        value += free
        first = (value > 0) & first
    return first


def _crossing(below: np.ndarray) -> np.ndarray:
    """Where along the first axis ``below`` last turns from negative to positive; NaN if nowhere."""
    turns = (below[:-1] <= 0) & (below[1:] > 0)
    index = len(turns) - 1 - turns[::-1].argmax(axis=0)
    low = np.take_along_axis(below, index[None], axis=0)[0]
    high = np.take_along_axis(below, index[None] + 1, axis=0)[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        position = index + low / (low - high)
    return np.where(turns.any(axis=0), position, np.nan)


def _step(coordinates: np.ndarray) -> float:
    """What one voxel is in the lung's coordinates."""
    return float(coordinates[1] - coordinates[0]) if len(coordinates) > 1 else 0.0
