"""Peripheral, posterior and lower shares of hand-made lungs."""

import numpy as np
import pytest

from lungscore.severity import Segmentation, Share, measure
from lungscore.severity.distribution import shares, thirds


def lungs():
    """Right lung: slices 0–5, rows 0–3; left lung: slices 3–11, rows 4–8; each 2 columns wide."""
    labels = np.zeros((12, 10, 6), np.uint8)
    labels[0:6, 0:4, 0:2] = 1
    labels[3:12, 4:9, 4:6] = 2
    return labels


def infected(*places):
    lesions = np.zeros((12, 10, 6), np.uint8)
    for index in places:
        lesions[index] = 1
    return lesions


def test_each_lung_has_its_own_back_half_and_lowest_third():
    # Rows 2–3 are the back of the right lung (16 of 48 voxels a row pair of each slice), 6–8 of
    # the left one; slices 4–5 and 9–11 are the lowest thirds.
    _, posterior, lower = shares(lungs(), infected())
    assert posterior == Share(None, 100 * (6 * 2 * 2 + 9 * 3 * 2) / (48 + 90))
    assert lower == Share(None, 100 * (2 * 4 * 2 + 3 * 5 * 2) / (48 + 90))


@pytest.mark.parametrize(
    ("index", "posterior", "lower"),
    [
        ((0, 1, 0), 0, 0),
        ((0, 2, 0), 100, 0),
        ((3, 1, 0), 0, 0),
        ((4, 1, 0), 0, 100),
        ((8, 5, 5), 0, 0),
        ((9, 5, 5), 0, 100),
        # The middle row of the left lung belongs to its back.
        ((8, 6, 5), 100, 0),
        ((11, 8, 5), 100, 100),
    ],
)
def test_one_infected_voxel_lies_in_one_place(index, posterior, lower):
    _, back, base = shares(lungs(), infected(index))
    assert (back.infection_percent, base.infection_percent) == (posterior, lower)


def test_shares_are_of_the_infection_of_both_lungs():
    four = infected((0, 1, 0), (4, 3, 1), (9, 5, 5), (9, 8, 4))
    peripheral = np.zeros(four.shape, bool)
    peripheral[..., 0] = True
    outer, posterior, lower = shares(lungs(), four, peripheral)
    assert outer == Share(25, 100 * 24 / 138)
    assert posterior.infection_percent == 50
    assert lower.infection_percent == 75


def test_infection_outside_the_lungs_and_effusion_count_nowhere():
    outside = infected((0, 9, 5))
    outside[4, 3, 1] = 3
    assert all(share.infection_percent is None for share in shares(lungs(), outside))


def test_a_lung_in_fewer_than_three_slices_has_no_thirds():
    flat = lungs()[3:5]
    _, posterior, lower = shares(flat, infected()[3:5])
    assert lower == Share()
    assert posterior.lung_percent is not None


def test_both_lungs_are_affected_from_one_percent_of_each():
    body = np.ones((4, 10, 50), np.uint8)
    body[..., 25:] = 2
    lesions = np.zeros_like(body)
    lesions[0, :10, 0] = 1
    lesions[0, :9, 30] = 1
    assert measure(Segmentation(body, lesions)).distribution.bilateral is False
    lesions[0, 9, 30] = 2
    assert measure(Segmentation(body, lesions)).distribution.bilateral is True
    assert measure(Segmentation(body % 2, lesions)).distribution.bilateral is None


def test_lobes_are_affected_from_one_percent_of_each():
    body = np.ones((5, 10, 20), np.uint8)
    body[3:] = 2
    lobes = np.broadcast_to(np.array([3, 4, 5, 1, 2], np.uint8)[:, None, None], body.shape)
    lesions = np.zeros_like(body)
    lesions[0, 0, :2], lesions[3, 0, :1], lesions[4, 0] = 1, 1, 1
    assert measure(Segmentation(body, lesions, lobes=lobes)).distribution.lobes_affected == 2
    assert measure(Segmentation(body, lesions)).distribution.lobes_affected is None
    without_middle = np.where(lobes == 4, 3, lobes).astype(np.uint8)
    assert (
        measure(Segmentation(body, lesions, lobes=without_middle)).distribution.lobes_affected
        is None
    )


@pytest.mark.parametrize(
    ("occupied", "expected"),
    [
        ([2, 3, 4], [2, 3, 4, 5]),
        (range(7), [0, 2, 5, 7]),
        (range(10, 22), [10, 14, 18, 22]),
        ([0, 1, 8], [0, 3, 6, 9]),
        ([3, 4], None),
        ([], None),
    ],
)
def test_thirds_share_a_height_from_the_first_slice_to_the_last(occupied, expected):
    edges = thirds(np.array(occupied, int))
    assert (None if edges is None else edges.tolist()) == expected


@pytest.mark.parametrize("flat", [1, 2])
def test_one_lung_too_flat_for_thirds_leaves_the_lower_share_out(flat):
    labels = lungs()
    first = int(np.flatnonzero((labels == flat).any(axis=(1, 2)))[0])
    labels[first + 2 :][labels[first + 2 :] == flat] = 0
    _, posterior, lower = shares(labels, infected((4, 2, 0)))
    assert lower == Share()
    assert posterior.lung_percent > 0


@pytest.mark.parametrize("side", [1, 2])
def test_one_lung_alone_has_its_shares(side):
    alone = np.where(lungs() == side, lungs(), 0).astype(np.uint8)
    index = (5, 3, 1) if side == 1 else (11, 8, 5)
    _, posterior, lower = shares(alone, infected(index))
    assert (posterior.infection_percent, lower.infection_percent) == (100, 100)
    expected = (50, 100 * 2 / 6) if side == 1 else (60, 100 * 3 / 9)
    assert (posterior.lung_percent, lower.lung_percent) == pytest.approx(expected)


def test_ground_glass_and_consolidation_are_infection_alike():
    lesions = infected((0, 0, 0), (0, 3, 0))
    lesions[0, 3, 0] = 2
    peripheral = lesions == 2
    outer, posterior, _ = shares(lungs(), lesions, peripheral)
    assert (outer.infection_percent, posterior.infection_percent) == (50, 50)
    assert outer.lung_percent == pytest.approx(100 / 138)


def test_without_a_peripheral_map_nothing_is_said_of_the_periphery():
    assert shares(lungs(), infected((0, 1, 0)))[0] == Share()


def test_no_lungs_have_no_shares():
    nothing = np.zeros((4, 4, 4), np.uint8)
    outer, posterior, lower = shares(nothing, nothing, nothing > 0)
    assert outer == posterior == lower == Share()


def test_a_peripheral_map_that_is_none_is_refused_by_name():
    with pytest.raises(ValueError, match="peripheral hold labels 0–2"):
        shares(lungs(), infected(), infected((0, 0, 0)) * 2)
