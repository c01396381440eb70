"""The outer third: by geometry, by brute force, and where the scan is cut off."""

import numpy as np
import pytest
from scipy import ndimage

from lungscore.anatomy import outer_third
from lungscore.anatomy.periphery import BLOCK_MM
from tests.anatomy.chest import ellipsoid, phantom


def half_ball(size: int, radius: float) -> np.ndarray:
    """A right lung: the outer half of a ball, its flat side to the mediastinum."""
    middle = (size - 1) / 2
    ball = ellipsoid((size,) * 3, (middle,) * 3, (radius,) * 3)
    ball[..., size // 2 :] = False
    return ball.astype(np.uint8)


@pytest.mark.parametrize("spacing_mm", [(3.0, 3.0, 3.0), (1.5, 1.5, 1.5), (1.0, 1.0, 1.0)])
def test_the_outer_third_of_a_half_ball(spacing_mm: tuple[float, float, float]) -> None:
    """Depth is radius minus distance from the centre: the inner part is (2/3)³ of the volume."""
    size = round(180 / spacing_mm[0])
    lungs = half_ball(size, 81 / spacing_mm[0])
    share = outer_third(lungs, spacing_mm)[lungs > 0].mean()
    assert share == pytest.approx(1 - (2 / 3) ** 3, abs=0.015)


def test_the_left_lung_is_the_mirror_of_the_right() -> None:
    right = half_ball(60, 27)
    left = (right[..., ::-1] * 2).astype(np.uint8)
    mirrored = outer_third(left, (3.0, 3.0, 3.0))[..., ::-1]
    np.testing.assert_array_equal(mirrored, outer_third(right, (3.0, 3.0, 3.0)))


def test_mediastinum_heart_hilum_and_diaphragm_are_no_costal_pleura() -> None:
    """Deep notches from inside leave the outer third as it is."""
    whole = half_ball(60, 27)
    carved = whole.copy()
    carved[22:40, 10:26, 18:] = 0  # the heart, before the deepest point of the lung
    carved[44:, 15:45, 18:] = 0  # the dome of the diaphragm
    left = carved > 0
    expected, found = (outer_third(labels, (3.0,) * 3) for labels in (whole, carved))
    # Below the recess nothing is left at the ribs, and the border of the dome is the only one.
    assert (expected[left] == found[left]).mean() > 0.975
    depth = ndimage.distance_transform_edt(carved, sampling=3.0)
    assert (expected[left] == (depth <= 27)[left]).mean() < 0.9


def brute_force(lungs: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Voxel by voxel: fill inwards, measure to every voxel outside, cut at a third."""
    result = np.zeros(lungs.shape, bool)
    for side in (1, 2):
        filled = lungs == side
        for z, y in np.ndindex(lungs.shape[:2]):
            inside = np.flatnonzero(lungs[z, y] == side)
            if inside.size and side == 1:
                filled[z, y, inside[0] :] = True
            elif inside.size:
                filled[z, y, : inside[-1] + 1] = True
        for z, x in np.ndindex(lungs.shape[0], lungs.shape[2]):
            inside = np.flatnonzero(filled[z, :, x])
            if inside.size:
                filled[z, inside[0] : inside[-1] + 1, x] = True
        outside = np.argwhere(~filled) * spacing_mm
        voxels = np.argwhere(lungs == side)
        if len(voxels):
            depth = np.array(
                [np.sqrt(((outside - v * spacing_mm) ** 2).sum(axis=1).min()) for v in voxels]
            )
            depth -= min(spacing_mm) / 2
            result[tuple(voxels.T)] = depth <= depth.max() / 3
    return result


def test_on_voxels_of_block_size_it_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    right = ellipsoid((14, 15, 24), (6, 7, 7), (6, 6, 5))
    left = ellipsoid((14, 15, 24), (7, 7, 17), (6, 5, 4))
    lungs = np.where(right, 1, np.where(left, 2, 0)).astype(np.uint8)
    lungs[rng.random(lungs.shape) < 0.1] = 0
    spacing_mm = (BLOCK_MM, 2.9, 3.4)
    np.testing.assert_array_equal(outer_third(lungs, spacing_mm), brute_force(lungs, spacing_mm))


def test_where_the_scan_ends_there_is_no_pleura() -> None:
    lungs = half_ball(60, 27)
    cut = lungs[:30]
    whole = outer_third(lungs, (3.0,) * 3)[:30]
    found = outer_third(cut, (3.0,) * 3)
    assert (found == whole)[cut > 0].mean() > 0.99
    # The lowest slice that is left is not all periphery.
    assert found[-1][cut[-1] > 0].mean() < 0.8


def test_lungs_that_fill_the_volume_have_no_border_to_measure_from() -> None:
    assert not outer_third(np.ones((4, 4, 4), np.uint8), (3.0,) * 3).any()


def test_no_lungs_have_no_periphery() -> None:
    assert not outer_third(np.zeros((4, 4, 4), np.uint8), (3.0,) * 3).any()


@pytest.mark.parametrize("preset", ["moderate", "one-lung"])
def test_of_a_chest_the_outer_third_is_most_but_not_all(preset: str) -> None:
    body = phantom(preset)
    assert body.scan.spacing_mm is not None
    peripheral = outer_third(body.lungs, body.scan.spacing_mm)
    assert not peripheral[body.lungs == 0].any()
    for side in {1, 2} & set(np.unique(body.lungs)):
        assert 0.45 < peripheral[body.lungs == side].mean() < 0.75
