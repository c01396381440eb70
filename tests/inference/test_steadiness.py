"""Slices averaged with their neighbours, against a plain convolution and on known volumes."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from lungscore.inference.steadiness import (
    FARTHEST_MM,
    SPREAD_MM,
    SliceMaps,
    neighbour_weights,
    steadied,
)

SHAPE = (9, 3, 4)
EVERYWHERE = np.ones(SHAPE, bool)
PROBABILITIES = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
DISTANCES_MM = st.sampled_from((0.6, 1.0, 2.0, 3.0, 5.0, 6.0))


def slices_of(volume: np.ndarray, leans: np.ndarray | None = None) -> list[SliceMaps]:
    return [
        SliceMaps(index, plane, None if leans is None else leans[index])
        for index, plane in enumerate(volume)
    ]


def probabilities(slices) -> np.ndarray:
    return np.stack([maps.probability for maps in slices])


@given(PROBABILITIES, DISTANCES_MM)
def test_within_a_volume_it_is_a_convolution_with_a_normal_curve(volume, slice_mm):
    found = probabilities(steadied(slices_of(volume), EVERYWHERE, slice_mm))
    offsets = slice_mm * np.arange(-20, 21)
    spread = max(SPREAD_MM, slice_mm)
    kernel = np.exp(-(offsets**2) / (2 * spread**2)) * (np.abs(offsets) <= 2 * spread + 1e-9)
    kernel /= kernel.sum()
    # Where a slice is missing, the slice itself stands for it.
    inside = ndimage.convolve1d(np.ones(len(volume)), kernel, mode="constant")
    expected = ndimage.convolve1d(volume.astype(np.float64), kernel, axis=0, mode="constant")
    expected += volume * (1 - inside)[:, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(PROBABILITIES, DISTANCES_MM, st.data())
def test_what_all_slices_share_stays_and_probabilities_stay_between_those_averaged(
    volume, slice_mm, data
):
    field = data.draw(arrays(bool, SHAPE))
    found = probabilities(steadied(slices_of(volume), field, slice_mm))
    assert found.min() >= volume.min() - 1e-6
    assert found.max() <= volume.max() + 1e-6
    np.testing.assert_array_equal(found[~field], volume[~field])
    same = np.repeat(volume[:1], len(volume), axis=0)
    np.testing.assert_allclose(probabilities(steadied(slices_of(same), field, slice_mm)), same)


@pytest.mark.parametrize("slice_mm", [None, FARTHEST_MM + 0.1, 40.0])
def test_slices_far_apart_or_without_positions_are_left_alone(slice_mm):
    slices = slices_of(np.random.default_rng(0).random(SHAPE, np.float32))
    assert list(steadied(slices, EVERYWHERE, slice_mm)) == slices
    assert neighbour_weights(slice_mm).size == 0


def test_a_lone_slice_stays_as_it_is():
    (lone,) = slices_of(np.random.default_rng(0).random((1, 3, 4), np.float32))
    (found,) = steadied([lone], EVERYWHERE[:1], 2.0)
    np.testing.assert_array_equal(found.probability, lone.probability)


def column(slices, slice_mm: float, levels: list[float]) -> np.ndarray:
    volume = np.tile(np.float32(levels)[:, None, None], (1, 2, 2))
    return probabilities(slices(slices_of(volume), np.ones(volume.shape, bool), slice_mm))[:, 0, 0]


def test_a_lesion_missed_in_one_slice_is_found_and_one_of_a_single_slice_is_not():
    gap = column(steadied, 2.0, [0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9])
    assert (gap >= 0.5).all()
    flash = column(steadied, 2.0, [0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1])
    assert (flash < 0.5).all()


def test_a_neighbour_without_lung_has_no_say():
    """A lesion at the diaphragm: below it there is no lung, and the network sees nothing there."""
    volume = np.zeros((4, 1, 2), np.float32)
    volume[:2] = 0.9
    field = np.ones(volume.shape, bool)
    field[2:, :, 0] = False
    found = probabilities(steadied(slices_of(volume), field, 2.0))
    assert found[1, 0, 0] == pytest.approx(0.9)
    assert found[1, 0, 1] < 0.9


def test_slices_that_were_not_seen_are_missing_and_do_not_move_the_others():
    volume = np.random.default_rng(0).random(SHAPE, np.float32)
    seen = [maps for maps in slices_of(volume) if maps.index not in (3, 4)]
    found = {maps.index: maps for maps in steadied(seen, EVERYWHERE, 3.0)}
    assert list(found) == [maps.index for maps in seen]
    # 2 and 5 are 9 mm apart, out of each other's reach of 6 mm.
    upper = {maps.index: maps for maps in steadied(seen[:3], EVERYWHERE, 3.0)}
    np.testing.assert_array_equal(found[2].probability, upper[2].probability)


def test_leans_are_averaged_over_the_slices_that_have_one():
    volume = np.full(SHAPE, 0.6, np.float32)
    slices = [SliceMaps(index, plane) for index, plane in enumerate(volume)]
    slices[4] = SliceMaps(4, volume[4], np.full(SHAPE[1:], 0.3, np.float32))
    found = list(steadied(slices, EVERYWHERE, 4.0))
    for index in (2, 3, 4, 5, 6):
        assert (found[index].lean > 0).all()  # infected there, and told apart nowhere else
    assert found[1].lean is found[7].lean is None  # 12 mm away
    slices[3] = SliceMaps(3, volume[3], np.full(SHAPE[1:], -0.8, np.float32))
    assert (list(steadied(slices, EVERYWHERE, 4.0))[4].lean < 0).all()


def test_slices_with_nothing_near_them_are_passed_on_untouched():
    volume = np.full(SHAPE, 0.1, np.float32)
    volume[8] = 0.9
    slices = slices_of(volume)
    found = list(steadied(slices, EVERYWHERE, 4.0, nothing_below=0.2))
    assert found[:6] == slices[:6]
    whole = probabilities(steadied(slices, EVERYWHERE, 4.0))
    np.testing.assert_array_equal(probabilities(found)[6:], whole[6:])
    np.testing.assert_array_equal(probabilities(found) >= 0.2, whole >= 0.2)


def test_memory_is_bounded_by_the_reach():
    """No more slices are taken than those that one needs: the stream may be endless."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            yield SliceMaps(taken, np.zeros((2, 2), np.float32))
            taken += 1

    field = np.ones((100, 2, 2), bool)
    list(islice(steadied(endless(), field, 2.0), 10))
    assert taken == 9 + len(neighbour_weights(2.0))
