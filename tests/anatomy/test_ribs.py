import numpy as np
import pytest
from scipy.spatial import Delaunay

from lungscore.anatomy.ribs import convex_hull, lacking
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from tests.anatomy.chest import ellipsoid

SHAPE, SPACING_MM = (48, 40, 64), (4.0, 4.0, 4.0)
RIGHT, LEFT = (
    ellipsoid(SHAPE, (24, 20, 17), (20, 16, 12)),
    ellipsoid(SHAPE, (24, 20, 46), (20, 16, 12)),
)


@pytest.mark.parametrize("shape", [(9, 11, 12), (1, 15, 15), (10, 1, 12), (8, 9, 1)])
def test_convex_hull_holds_what_a_triangulation_holds(shape):
    mask = np.random.default_rng(sum(shape)).random(shape) < 0.06
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    places = np.argwhere(np.ones(shape, bool))[:, axes]
    inside = Delaunay(np.argwhere(mask)[:, axes]).find_simplex(places, tol=1e-9) >= 0
    np.testing.assert_array_equal(convex_hull(mask), inside.reshape(shape))


def test_convex_hull_of_a_flat_mask_is_the_mask():
    mask = np.zeros((5, 6, 7), bool)
    mask[2, 1, 1:5] = True
    np.testing.assert_array_equal(convex_hull(mask), mask)


@pytest.mark.parametrize(
    ("side", "lung", "other"), [(RIGHT_LUNG, RIGHT, LEFT), (LEFT_LUNG, LEFT, RIGHT)]
)
def test_a_dense_base_is_what_the_other_lung_shows(side, lung, other):
    rest = lung.copy()
    rest[32:] = False
    found = lacking(rest, other, side, SPACING_MM)
    gone = lung & ~rest
    gone[:, :20] = False  # in front, the heart makes lungs unlike
    gone[:, :, 26:37] = False  # spine and aorta
    assert found[gone].mean() > 0.65
    assert (lung | ~found).mean() > 0.99


def test_healthy_lungs_lack_nothing():
    higher = RIGHT.copy()
    higher[38:] = False  # one half of the diaphragm stands 2 cm higher
    assert not lacking(RIGHT, LEFT, RIGHT_LUNG, SPACING_MM).any()
    assert not lacking(higher, LEFT, RIGHT_LUNG, SPACING_MM).any()
    assert not lacking(RIGHT, np.zeros_like(LEFT), RIGHT_LUNG, SPACING_MM).any()
