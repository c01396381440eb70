"""Solid lung: what it is, and what it is not."""

import numpy as np
import pytest

from lungscore.anatomy import Lungs, solid_lung
from lungscore.scan import Scan

SPACING_MM = (2.0, 1.5, 1.5)
AIR_HU, SOLID_HU = -850, 30


def ball(shape: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    """A ball about the middle of a volume."""
    axes = [
        (np.arange(size) - size // 2) * step for size, step in zip(shape, SPACING_MM, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 <= radius_mm**2


def chest(
    solid: np.ndarray, *, solid_hu: float = SOLID_HU, noise_hu: float = 10
) -> tuple[Lungs, Scan]:
    """Lungs that fill the volume but for its rim, solid where it is asked for."""
    inside = np.zeros(solid.shape, np.uint8)
    inside[:, 5:-5, 5:-5] = 1
    values = np.where(inside > 0, AIR_HU, SOLID_HU) + np.where(solid, solid_hu - AIR_HU, 0)
    values = values + np.random.default_rng(0).normal(0, noise_hu, values.shape)
    scan = Scan.from_array(values.astype(np.int16), spacing_mm=SPACING_MM)
    return Lungs(inside, True, ()), scan


SHAPE = (50, 60, 60)


@pytest.mark.parametrize("noise_hu", [10, 80])
def test_a_solid_ball_in_a_lung_is_found_to_its_border(noise_hu):
    truth = ball(SHAPE, 20)
    found = solid_lung(*chest(truth, noise_hu=noise_hu))
    assert found is not None
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


def test_vessels_and_small_nodules_are_none():
    rod = np.zeros(SHAPE, bool)
    rod[:, 27:34, 27:34] = True  # a vessel 10 mm wide
    assert solid_lung(*chest(rod)) is None
    assert solid_lung(*chest(ball(SHAPE, 9))) is None  # 3 ml


def test_what_lies_outside_the_lungs_is_none():
    truth = ball(SHAPE, 20)
    lungs, scan = chest(truth)
    without = np.where(truth, 0, lungs.labels).astype(np.uint8)
    assert solid_lung(Lungs(without, True, ()), scan) is None


def test_ground_glass_and_bone_are_none():
    for hu in (-450, 400):
        assert solid_lung(*chest(ball(SHAPE, 20), solid_hu=hu)) is None


def test_lone_slices_and_scans_of_unknown_spacing_have_none():
    lungs, scan = chest(ball(SHAPE, 20))
    lone = Scan.from_array(scan.values[25:26], spacing_mm=SPACING_MM)
    assert solid_lung(Lungs(lungs.labels[25:26], True, ()), lone) is None


def test_a_lung_without_anything_solid_has_none():
    assert solid_lung(*chest(np.zeros(SHAPE, bool))) is None
