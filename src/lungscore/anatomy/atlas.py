"""The lobe atlas: where the fissures of a lung lie, given the shape of the lung and the hila.

Fitted by ``python experiments/fit_lobe_atlas.py`` to the manual lobe masks of 26 LUNA16 scans (Tang
et al. 2019, CC BY-NC-SA 4.0; see LICENSE-LOBE-ATLAS.txt beside this file).
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

from lungscore.anatomy.closing import close_ball
from lungscore.anatomy.grid import Grid
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

#: The lobes of each lung, from the top; the last lies behind the oblique border.
LUNG_LOBES = {RIGHT_LUNG: ("RUL", "RML", "RLL"), LEFT_LUNG: ("LUL", "LLL")}

#: Shapes are looked at on blocks of about this size, mm.
BLOCK_MM = 3.0
#: A shape is sampled at this many places along each axis, from -REACH to REACH.
PLACES, REACH = 15, 1.25
#: Depths within about a fifth of the lung's size below and above its surface tell shapes apart.
STEEPNESS = 4.0
#: Bays of a lung this much deeper than a vessel is wide are its hilum, mm.
HILUM_MM = 12.0
#: The hilum lies at the medial side of the middle of the lung: bounds of z (both ways) and x.
HILUM_HEIGHT, HILUM_SIDE = 0.7, -0.4
#: Shapes farther from the mean than this many standard deviations are taken to lie there.
FARTHEST = 2.5
#: Errors grow with the distance of a lung from those known, within these bounds.
GROWTH = 0.5, 4.0


@dataclass(frozen=True)
class LungAtlas:
    """The atlas of one lung.

    mean: (n,) the mean shape (``lung_shape``); modes: (m, n) the directions in which shapes vary,
    scaled to give a lung's place on each in standard deviations; spread: () the mean squared
    distance of a shape from the mean one. hila: (2, 2) mean and standard deviation of the height of
    the hilum, of this lung and of the other. importance: (m + 2,) what one standard deviation
    weighs, of every mode and of both heights.
    borders: (1 or 2, 6, m + 3) the oblique border and, on the right, the horizontal one
    (anatomy.borders): of the mean lung, and how it changes with each trait.

    What is known of its errors, each lung of the atlas predicted from the others alone:
    traits: (N, m + 2) of those lungs; distances: (N,) of each to the others (``distance``);
    errors: (N, 1 or 2, 6) true less predicted border.
    """

    mean: np.ndarray
    modes: np.ndarray
    spread: np.ndarray
    hila: np.ndarray
    importance: np.ndarray
    borders: np.ndarray
    traits: np.ndarray
    distances: np.ndarray
    errors: np.ndarray

    def traits_of(self, shape: np.ndarray, hila: tuple[float, float]) -> np.ndarray:
        """(m + 2,) float: the place of a ``shape`` on every mode and of both hila, weighted."""
        heights = (np.array(hila) - self.hila[:, 0]) / self.hila[:, 1]
        deviations = np.append(self.modes.astype(np.float64) @ (shape - self.mean), heights)
        # No hilum to be seen: as in the mean lung.
        return np.nan_to_num(deviations) * self.importance

    def borders_of(self, traits: np.ndarray) -> np.ndarray:
        """(1 or 2, 6) the borders that a lung with these ``traits`` is expected to have."""
        farthest = FARTHEST * self.importance
        expected: np.ndarray = self.borders @ np.append(1.0, traits.clip(-farthest, farthest))
        return expected

    def distance(self, shape: np.ndarray, traits: np.ndarray) -> float:
        """How far a lung lies from the nearest one that the atlas knows, in mean spreads.

        What the modes cannot tell of the ``shape`` counts in full.
        """
        whole = ((shape - self.mean.astype(np.float64)) ** 2).sum() / self.spread
        untold = max(float(whole - (traits[:-2] ** 2).sum()), 0.0)
        nearest = ((self.traits - traits) ** 2).sum(axis=1).min()
        return float(np.sqrt(nearest + untold))

    def errors_at(self, distance: float) -> np.ndarray:
        """(N, 1 or 2, 6) the errors, each grown as this ``distance`` is to its own lung's."""
        growth = (distance / self.distances).clip(*GROWTH)
        grown: np.ndarray = self.errors * growth[:, None, None]
        return grown


@cache
def load_atlas() -> dict[int, LungAtlas]:
    """The shipped atlas of both lungs, by their labels."""
    path = files("lungscore.anatomy").joinpath("lobe_atlas.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {
            side: LungAtlas(
                *(stored[f"{name}_{field}"] for field in LungAtlas.__dataclass_fields__)
            )
            for side, name in ((RIGHT_LUNG, "right"), (LEFT_LUNG, "left"))
        }


def lung_coordinates(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The coordinate of every plane along z, y and x, from the mean of ``mask`` in units of spread.

    One unit is 1.7 standard deviations of the mask's voxels along that axis, so a lung reaches
    from about −1 to 1. Mean and spread hardly feel a stray voxel, as a bounding box would.
    """
    coordinates = []
    for axis, size in enumerate(mask.shape):
        mean, unit = _mean_and_unit(mask, axis)
        coordinates.append(((np.arange(size) - mean) / unit).astype(np.float32))
    return coordinates[0], coordinates[1], coordinates[2]


def lung_traits(
    mask: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, float]:
    """The shape of a lung (``lung_shape``), and the height of its hilum in lung_coordinates.

    mask: bool (D, H, W), lateral side first. The height is NaN where there is no hilum.
    """
    coarse, coarse_mm = _coarse(mask, spacing_mm)
    return _shape(coarse, coarse_mm), _hilum_height(coarse, coarse_mm)


def lung_shape(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The shape of a lung, float32 (PLACES³,).

    mask: bool (D, H, W), lateral side first. It is the depth below the lung's surface (negative
    outside) in units of the lung's size, squeezed by tanh, at places fixed in lung_coordinates.
    """
    return _shape(*_coarse(mask, spacing_mm))


def _coarse(
    mask: np.ndarray, spacing_mm: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """``mask`` on blocks of BLOCK_MM, and their size."""
    grid = Grid.over(mask.shape, spacing_mm, block_mm=BLOCK_MM)  # type: ignore[arg-type]
    coarse = grid.fraction(mask) >= 0.5
    if not coarse.any():
        coarse = grid.fraction(mask) > 0
    return coarse, grid.spacing_mm


def _shape(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    pad = 1
    padded = np.pad(mask, pad)
    depth_mm = ndimage.distance_transform_edt(padded, sampling=spacing_mm)
    depth_mm -= ndimage.distance_transform_edt(~padded, sampling=spacing_mm)
    coordinates, beyond_mm, size_mm = [], [], 0.0
    for axis, millimetres in enumerate(spacing_mm):
        mean, unit = _mean_and_unit(mask, axis)
        positions = mean + unit * np.linspace(-REACH, REACH, PLACES)
        inside = positions.clip(0, mask.shape[axis] - 1)
        coordinates.append(inside + pad)
        beyond_mm.append((positions - inside) * millimetres)
        size_mm += 2 * unit * millimetres / 3
    at = ndimage.map_coordinates(
        depth_mm, np.stack(np.meshgrid(*coordinates, indexing="ij")), order=1
    )
    # Beyond the box, the way back to it counts as depth outside.
    away = np.sqrt(sum(distance**2 for distance in np.meshgrid(*beyond_mm, indexing="ij")))
    shape: np.ndarray = np.tanh(STEEPNESS * (at - away) / size_mm).ravel().astype(np.float32)
    return shape


def _hilum_height(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """The mean height of the bays at the medial side, where bronchi and vessels enter."""
    z, _, x = lung_coordinates(mask)
    bays = close_ball(mask, spacing_mm, radius_mm=HILUM_MM) & ~mask
    bays &= (np.abs(z) < HILUM_HEIGHT)[:, None, None] & (x > HILUM_SIDE)
    counts = bays.sum(axis=(1, 2))
    return float(np.average(z, weights=counts)) if counts.any() else float("nan")


def _mean_and_unit(mask: np.ndarray, axis: int) -> tuple[float, float]:
    other_axes = tuple(other_axis for other_axis in range(3) if other_axis != axis)
    counts = mask.sum(axis=other_axes)
    positions = np.arange(mask.shape[axis])
    mean = float(np.average(positions, weights=counts))
    spread = float(np.sqrt(np.average((positions - mean) ** 2, weights=counts)))
    return mean, 1.7 * max(spread, 0.5)
