"""Chests for the tests of anatomy: simple bodies and phantoms, made once."""

from functools import cache

import numpy as np

from lungscore.anatomy import Lungs, find_lungs
from lungscore.scan import Geometry, Scan
from lungscore.scan.phantom import Phantom, make_phantom

SPACING_MM = (5.0, 4.0, 4.0)


@cache
def phantom(preset: str) -> Phantom:
    """A phantom that is small enough for a quick test."""
    return make_phantom(preset, shape=(64, 112, 112))


@cache
def found(preset: str) -> Lungs:
    """The lungs found in that phantom."""
    return find_lungs(phantom(preset).scan)


def as_scan(
    values: np.ndarray,
    spacing_mm: tuple[float, float, float] | None = SPACING_MM,
    *,
    sides_known: bool = True,
) -> Scan:
    """``values`` as a scan in canonical axes; uint8 becomes grey levels."""
    z, y, x = spacing_mm or (1.0, 1.0, 1.0)
    affine = np.array([[0, 0, -x, 0], [0, -y, 0, 0], [-z, 0, 0, 0], [0, 0, 0, 1.0]])
    grey = values.dtype == np.uint8
    return Scan(
        values=values,
        units="grey" if grey else "hu",
        geometry=Geometry(values.shape, affine),  # type: ignore[arg-type]
        spacing_mm=spacing_mm,
        sides_known=sides_known,
        kind="slices" if grey else "phantom",
        name="chest",
    )


def windowed(values: np.ndarray) -> np.ndarray:
    """Hounsfield units as the 8-bit grey levels of a lung window, −1250 to 250 HU."""
    return np.clip((values.astype(np.float32) + 1250) / 1500 * 255, 0, 255).astype(np.uint8)


def ellipsoid(
    shape: tuple[int, int, int], centre: tuple[float, ...], radii: tuple[float, ...]
) -> np.ndarray:
    """A bool ellipsoid, in voxels."""
    axes = np.ogrid[tuple(slice(size) for size in shape)]
    return sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)) <= 1


def body(shape: tuple[int, int, int] = (48, 80, 96)) -> np.ndarray:
    """A trunk of soft tissue in air, int16 HU, on SPACING_MM."""
    values = np.full(shape, -1000, np.int16)
    trunk = ellipsoid((1, *shape[1:]), (0, 40, 48), (1, 32, 42))
    values[np.broadcast_to(trunk, shape)] = 40
    return values


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice coefficient of two bool masks."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
