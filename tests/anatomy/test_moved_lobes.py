"""Borders moved as far as they may be off, and what is said of each lobe."""

from dataclasses import replace

import numpy as np
import pytest

from lungscore.anatomy import divide_lungs, move_lobes
from lungscore.anatomy.atlas import load_atlas
from lungscore.anatomy.moved_lobes import UNCERTAIN_DICE, LobeConfidence
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from tests.anatomy.test_lobes import two_lungs

SPACING = (5.0, 5.0, 5.0)


@pytest.fixture(scope="module")
def lungs():
    return two_lungs()


def with_errors(errors_of):
    """The shipped atlas with other errors; it takes every lung for one that it knows."""
    return {
        side: replace(atlas, errors=errors_of(atlas), distances=np.full(len(atlas.errors), 1e9))
        for side, atlas in load_atlas().items()
    }


def test_lobes_under_moved_borders_fill_the_same_lungs(lungs):
    divided = divide_lungs(lungs, SPACING)
    moved = move_lobes(lungs, SPACING, divided)
    assert len(moved.lobes) == len(load_atlas()[RIGHT_LUNG].errors) == 26
    right = [LOBES[name] for name in ("RUL", "RML", "RLL")]
    for lobes in moved.lobes:
        assert np.isin(lobes[lungs == RIGHT_LUNG], right).all()
        assert np.isin(lobes[lungs == LEFT_LUNG], [LOBES["LUL"], LOBES["LLL"]]).all()
    assert any((lobes != moved.lobes[0])[lungs > 0].any() for lobes in moved.lobes[1:])
    assert set(moved.confidence) == set(LOBES)


def test_without_errors_the_lobes_stay_and_are_certain(lungs):
    atlas = with_errors(lambda known: np.zeros_like(known.errors))
    divided = divide_lungs(lungs, SPACING, atlas=atlas)
    moved = move_lobes(lungs, SPACING, divided)
    for lobes in moved.lobes:
        assert (lobes == divided.lobes)[lungs > 0].mean() > 0.995
    assert all(lobe.low == 1 and not lobe.uncertain for lobe in moved.confidence.values())


def test_an_error_moves_the_border_by_as_much(lungs):
    def backwards(known):
        errors = np.zeros_like(known.errors)
        errors[:, 0, 0] = 1.0  # the lower lobes begin farther behind
        return errors

    divided = divide_lungs(lungs, SPACING, atlas=with_errors(backwards))
    moved = move_lobes(lungs, SPACING, divided)
    for name in ("RLL", "LLL"):
        before = np.count_nonzero(divided.lobes == LOBES[name])
        assert np.count_nonzero((moved.lobes[0] == LOBES[name])[lungs > 0]) < 0.7 * before
        assert moved.confidence[name].expected < 0.85


def test_a_lung_unlike_all_others_is_less_certain():
    atlas = load_atlas()[RIGHT_LUNG]
    known = np.full(len(atlas.distances), 1.0)
    usual = atlas.errors_at(float(np.median(atlas.distances)))
    made_up = divide_lungs(two_lungs(), SPACING).lungs[RIGHT_LUNG].errors
    assert np.abs(made_up).sum() > np.abs(usual).sum()
    # They grow with the distance, within bounds.
    np.testing.assert_allclose(replace(atlas, distances=known).errors_at(2.0), 2 * atlas.errors)
    np.testing.assert_allclose(replace(atlas, distances=known).errors_at(99.0), 4 * atlas.errors)


def test_a_lobe_is_uncertain_by_its_border_or_by_a_fissure_far_from_it():
    assert LobeConfidence(0.8, UNCERTAIN_DICE - 0.01, 1.0).uncertain
    assert LobeConfidence(0.8, 0.7, UNCERTAIN_DICE - 0.01).uncertain
    assert not LobeConfidence(0.8, 0.7, 0.9).uncertain


def test_one_lung_has_the_confidence_of_its_own_lobes(lungs):
    alone = np.where(lungs == LEFT_LUNG, lungs, 0).astype(np.uint8)
    moved = move_lobes(alone, SPACING, divide_lungs(alone, SPACING))
    assert set(moved.confidence) == {"LUL", "LLL"}
    assert not moved.lobes[:, lungs == RIGHT_LUNG].any()


def test_the_blocks_of_a_part_are_those_of_the_whole(lungs):
    fine = lungs.repeat(2, axis=1).repeat(2, axis=2)
    moved = move_lobes(fine, (5.0, 2.5, 2.5), divide_lungs(fine, (5.0, 2.5, 2.5)))
    box = slice(3, 20), slice(7, 40), slice(10, 90)
    part = moved.within(box)
    for whole, cut, span in zip(moved.planes, part.planes, box, strict=True):
        np.testing.assert_array_equal(whole[span], cut)
    labels = list(part.labels())
    assert len(labels) == 26
    lobes, regions = labels[0]
    assert lobes.shape == regions.shape == (np.prod(part.shape),)
    np.testing.assert_array_equal(lobes > 0, regions > 0)
