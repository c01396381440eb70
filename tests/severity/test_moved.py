"""Ranges under moved borders: against measuring whole arrays, and what they mark."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.labels import LOBES, REGIONS
from lungscore.severity import Segmentation, measure
from lungscore.severity.counts import tally
from lungscore.severity.moved import tallies_of_moves
from tests.severity.test_ranges import MILD, Others, chest, infected

LOBE_OF_REGION = np.array([0, *(LOBES[lobe] for _, lobe in REGIONS)], np.uint8)


@dataclass
class Moved:
    """Regions under every move, each voxel a block of its own."""

    regions: list

    @property
    def shape(self):
        return self.regions[0].shape

    @property
    def planes(self):
        return tuple(np.arange(size) for size in self.shape)

    def labels(self):
        return ((LOBE_OF_REGION[each].ravel(), each.ravel()) for each in self.regions)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_by_block_are_those_of_the_voxels(seed):
    rng = np.random.default_rng(seed)
    maps = chest(depth=20, width=12)
    lungs = maps["lungs"]
    dense = rng.random(lungs.shape) < 0.4
    lesions = (rng.integers(1, 3, lungs.shape) * (rng.random(lungs.shape) < 0.3)).astype(np.uint8)
    sides = lungs > 1
    moves = [
        np.where(sides, rng.integers(11, 21, lungs.shape), rng.integers(1, 11, lungs.shape))
        for _ in range(3)
    ]
    moves = [(move * (lungs > 0)).astype(np.uint8) for move in moves]
    voxels = np.flatnonzero(lesions)
    readings = [(voxels, lesions.take(voxels)), (voxels[:0], lesions[:0].ravel())]
    of_readings = tallies_of_moves(Moved(moves), lungs, readings, dense)
    for reading, labels in zip(of_readings, (lesions, np.zeros_like(lesions)), strict=True):
        for counted, regions in zip(reading, moves, strict=True):
            whole = tally(
                lungs, labels, lobes=LOBE_OF_REGION[regions], regions=regions, dense=dense
            )
            expected, ours = (each.histogram.sum(axis=0) for each in (whole, counted))
            # Which of what is not infected is dense is not counted.
            np.testing.assert_array_equal(ours[..., 0, :].sum(-1), expected[..., 0, :].sum(-1))
            np.testing.assert_array_equal(ours[..., 1:, :], expected[..., 1:, :])


def test_blocks_hold_all_voxels_that_they_cover():
    maps = chest(depth=20, width=12)

    class Halves(Moved):
        @property
        def planes(self):
            return np.arange(20), np.zeros(1, int), np.arange(17) // 2

    lungs, lesions = maps["lungs"], infected(maps, [3] * 20)
    regions = np.broadcast_to(np.arange(1, 21, dtype=np.uint8)[:, None, None], (20, 1, 9))
    voxels = np.flatnonzero(lesions)
    [[counted]] = tallies_of_moves(Halves([regions]), lungs, [(voxels, lesions[lesions > 0])], None)
    for region in range(1, 21):
        part = counted.part(region=region)
        assert (part.voxels, part.infection) == (12, 3)


def measured(lesions, moves, others=()):
    maps = chest()
    arrays = [lesions, *others]
    return measure(
        Segmentation(
            maps["lungs"],
            lesions,
            lobes=maps["lobes"],
            regions=maps["regions"],
            alternatives=Others(arrays),
            moved=Moved(moves),
        )
    )


def shifted(by):
    """The first region takes ``by`` voxels of every row of the second."""
    regions = chest()["regions"]
    regions[1, :, :by] = 1
    return regions


def test_a_score_that_hangs_on_a_border_is_marked_and_in_the_range():
    lesions = infected(chest(), [0, 40, *[0] * 18])
    first, second = (name for name, _ in REGIONS[:2])
    fixed = measured(lesions, [shifted(0)] * 10).ranges
    assert fixed.moves == 10
    assert fixed.border_regions == fixed.border_lobes == ()
    ranges = measured(lesions, [shifted(0)] * 5 + [shifted(40)] * 5).ranges
    # Under half of the moves the infection lies in the first region.
    assert set(ranges.border_regions) == {first, second}
    assert ranges.regions[first][0] == 0 < ranges.regions[first][1]
    assert ranges.regions[second] == (0, 40)
    assert ranges.border_lobes == ()  # both regions are of one lobe


def test_one_move_in_ten_on_either_side_is_left_out():
    lesions = infected(chest(), [0, 40, *[0] * 18])
    ranges = measured(lesions, [shifted(0)] * 9 + [shifted(40)]).ranges
    assert ranges.border_regions == ()
    assert ranges.regions[REGIONS[0][0]] == (0, 0)
    assert measured(lesions, [shifted(0)] * 8 + [shifted(40)] * 2).ranges.border_regions


def test_readings_and_moves_widen_the_same_range():
    lesions, more = (infected(chest(), [0, count, *[0] * 18]) for count in (40, 80))
    first = REGIONS[0][0]
    moves = [shifted(0)] * 5 + [shifted(40)] * 5
    alone = measured(lesions, moves).ranges
    both = measured(lesions, moves, [more]).ranges
    assert both.regions[first] == alone.regions[first]
    assert both.regions[REGIONS[1][0]][1] == 80 > alone.regions[REGIONS[1][0]][1]


def test_borders_withhold_no_category_and_no_infection_has_no_moves():
    lesions = infected(chest(), MILD)
    severity = measured(lesions, [shifted(0)] * 5 + [shifted(90)] * 5)
    assert severity.category == "mild"
    assert severity.withheld == ()
    assert measured(infected(chest(), [0] * 20), [shifted(0)] * 5).ranges.moves == 0
