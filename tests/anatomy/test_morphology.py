"""Fast morphology is scipy's, voxel by voxel."""

import numpy as np
import pytest
from scipy import ndimage

from lungscore.anatomy.balls import near
from lungscore.anatomy.closing import IN_PLANE
from lungscore.anatomy.morphology import CROSS, dilation, erosion, opening

FULL = np.ones((3, 3, 3), bool)
IN_PLANE_FULL = np.zeros((3, 3, 3), bool)
IN_PLANE_FULL[1] = True
STRUCTURES = {"cross": CROSS, "full": FULL, "plane": IN_PLANE, "full plane": IN_PLANE_FULL}


def masks() -> list[np.ndarray]:
    """Volumes of every thickness, nearly empty and nearly full; some as thin as one voxel."""
    random = np.random.default_rng(24)
    shapes = [(1, 1, 1), (1, 9, 8), (2, 1, 17), (7, 8, 9), (12, 20, 25), (3, 30, 2)]
    return [random.random(shape) < share for shape in shapes for share in (0.02, 0.3, 0.9, 1.0)]


@pytest.mark.parametrize("name", STRUCTURES)
def test_dilation_erosion_and_opening_are_those_of_scipy(name: str) -> None:
    structure = STRUCTURES[name]
    for mask in masks():
        assert (dilation(mask, structure) == ndimage.binary_dilation(mask, structure)).all()
        assert (erosion(mask, structure) == ndimage.binary_erosion(mask, structure)).all()
        filled = ndimage.binary_erosion(mask, structure, border_value=1)
        assert (erosion(mask, structure, beyond=True) == filled).all()
        assert (opening(mask, structure) == ndimage.binary_opening(mask, structure)).all()
        within = np.random.default_rng(1).random(mask.shape) < 0.5
        expected = ndimage.binary_dilation(mask, structure, iterations=2, mask=within)
        assert (dilation(mask, structure, iterations=2, within=within) == expected).all()


@pytest.mark.parametrize("open_ball", [False, True])
@pytest.mark.parametrize("radius_mm", [0.5, 2.0, 4.0, 6.25, 12.0, 40.0])
def test_what_is_near_is_what_a_distance_transform_says(radius_mm: float, open_ball: bool) -> None:
    for mask in masks():
        for spacing_mm in ((2.5, 2.5, 2.5), (5.0, 0.7, 2.1), (1.0, 1.25, 0.8)):
            if mask.any():
                away = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
                expected = away < radius_mm if open_ball else away <= radius_mm
            else:
                expected = mask
            found = near(mask, spacing_mm, radius_mm, open_ball=open_ball)
            assert (found == expected).all()
