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
    readings = [(voxels, [lesions.take(voxels)]), (voxels[:0], [lesions[:0].ravel()])]
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
    readings = [(voxels, [lesions[lesions > 0]])]
    [[counted]] = tallies_of_moves(Halves([regions]), lungs, readings, None)
    for region in range(1, 21):
        part = counted.part(region=region)
        assert (part.voxels, part.infection) == (12, 3)


class Coarse(Moved):
    """Regions of blocks of 2 x 3 x 4 voxels, with blocks beyond the arrays on every side."""

    @property
    def planes(self):
        return np.arange(6) // 2 + 1, np.arange(8) // 3 + 1, np.arange(11) // 4 + 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_blocks_across_the_lungs_edge_count_the_voxels_of_lung_in_them(seed):
    """A reading may name voxels that are healthy, or lie outside the lungs: they count as such."""
    rng = np.random.default_rng(seed)
    lungs, dense = (rng.integers(0, 2, (6, 8, 11), np.uint8) for _ in range(2))
    lungs[3] = 0
    readings = [rng.integers(0, 3, lungs.shape, np.uint8) for _ in range(2)]
    voxels = np.arange(lungs.size)
    moved = Coarse([rng.integers(0, 21, (5, 5, 7), np.uint8) for _ in range(2)])
    of_readings = tallies_of_moves(moved, lungs, [(voxels, [r.ravel() for r in readings])], dense)
    for of_moves, lesions in zip(of_readings, readings, strict=True):
        for counted, blocks in zip(of_moves, moved.regions, strict=True):
            regions = blocks[np.ix_(*moved.planes)]
            whole = tally(
                lungs, lesions, lobes=LOBE_OF_REGION[regions], regions=regions, dense=dense
            )
            assert counted.histogram.shape == (1, *whole.histogram.shape[1:])
            expected, ours = (table.histogram.sum(axis=(0, 1)) for table in (whole, counted))
            np.testing.assert_array_equal(ours[..., 0, :].sum(-1), expected[..., 0, :].sum(-1))
            np.testing.assert_array_equal(ours[..., 1:, :], expected[..., 1:, :])


def test_what_is_doubtful_outside_the_lungs_alone_counts_nowhere():
    maps = chest()
    lungs, lesions = maps["lungs"], np.zeros_like(maps["lungs"])
    voxels = np.flatnonzero(lungs == 0)[:5]
    moved = Moved([maps["regions"], shifted(1)])
    of_readings = tallies_of_moves(moved, lungs, [(voxels, [np.ones(5, np.uint8)] * 2)], None)
    for of_moves in of_readings:
        for counted, regions in zip(of_moves, moved.regions, strict=True):
            lobes = LOBE_OF_REGION[regions]
            whole = tally(lungs, lesions, lobes=lobes, regions=regions, dense=None)
            tables = [table.histogram.sum(axis=(0, 1)) for table in (counted, whole)]
            np.testing.assert_array_equal(tables[0].sum(-1), tables[1].sum(-1))


def measured(lesions, moves, others=(), first=()):
    """Of ``lesions``; they, those before and those after are the alternatives."""
    maps = chest()
    arrays = [*first, lesions, *others]
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


def shifted(by, region=1):
    """A region, the first by default, takes ``by`` voxels of every row of the next."""
    regions = chest()["regions"]
    regions[region, :, :by] = region
    return regions


#: The last region of the first lobe: its border with the next is one of lobes, too.
LAST = next(number for number, (_, lobe) in enumerate(REGIONS) if lobe != REGIONS[0][1])


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


def test_two_moves_of_nineteen_are_more_than_a_tenth():
    lesions = infected(chest(), [0, 40, *[0] * 18])
    ranges = measured(lesions, [shifted(0)] * 17 + [shifted(40)] * 2).ranges
    assert ranges.regions[REGIONS[0][0]] == (0, 100 * 40 / 140)
    assert ranges.regions[REGIONS[1][0]] == (0, 40)


def test_totals_reach_from_the_lowest_without_faint_parts_to_the_highest():
    first = infected(chest(), [2, *[0] * 19])  # 2 of 100 voxels, or of 140: nearer to the floor
    assert measured(first, [shifted(0)] * 10).ranges.scores["ct_ss"] == (1, 1)
    assert measured(first, [shifted(0)] * 5 + [shifted(40)] * 5).ranges.scores["ct_ss"] == (0, 1)
    second = infected(chest(), [0, 40, *[0] * 18])  # 40 in one region, or 20 in each of two
    assert measured(second, [shifted(0)] * 5 + [shifted(20)] * 5).ranges.scores["ct_ss"] == (1, 2)


def test_a_border_of_lobes_widens_both_and_marks_them_by_any_score():
    """Under 6 % of the upper lobe or under 4 %: one class of CTSI, and of no other score, more."""
    above, below = REGIONS[LAST - 1][1], REGIONS[LAST][1]
    voxels = sum(100 for _, lobe in REGIONS if lobe == above)
    counts = [0] * 20
    counts[0], counts[LAST] = voxels // 25, 60
    lesions = infected(chest(), counts)
    moves = [shifted(0, LAST)] * 5 + [shifted(voxels // 50, LAST)] * 5
    ranges = measured(lesions, moves).ranges
    low, high = ranges.lobes[above]["infection_percent"]
    assert low == 4
    assert high == 100 * (voxels // 25 + voxels // 50) / (voxels + voxels // 50)
    assert high > 5
    assert ranges.lobes[above]["consolidation_percent"] == (0, 0)
    assert above in ranges.border_lobes
    low, high = ranges.lobes[below]["infection_percent"]
    assert low < high


def test_what_hangs_on_a_border_is_said_of_the_reading_shown():
    """In another reading infection lies at the border, but not in the one that is shown."""
    away, at = (infected(chest(), [0] * LAST + counts) for counts in ([0, 40], [40]))
    moves = [shifted(0, LAST)] * 5 + [shifted(40, LAST)] * 5
    ranges = measured(away, moves, first=[at]).ranges
    assert ranges.border_regions == ranges.border_lobes == ()
    assert ranges.regions[REGIONS[LAST - 1][0]][1] > 0
    assert measured(at, moves, first=[away]).ranges.border_lobes


#: CT-SS 19 and a fifth of the lungs: mild. Where the second region's infection is in two, severe.
NINETEEN = [0, 40, *[20] * 18]


def test_a_category_that_borders_tip_is_named_beside_the_first():
    severity = measured(infected(chest(), NINETEEN), [shifted(0)] * 5 + [shifted(20)] * 5)
    assert (severity.category, severity.ct_ss.total, severity.withheld) == ("mild", 19, ())
    assert severity.ranges.categories == ("mild", "severe")
    (notice,) = (notice for notice in severity.notices if notice.code == "borderline-category")
    assert notice.message == "The category is mild, or severe by CT-SS."


def test_a_category_is_named_after_more_than_a_tenth_of_the_moves():
    lesions = infected(chest(), NINETEEN)
    for often, of, categories in ((1, 10, ("mild",)), (2, 19, ("mild", "severe"))):
        moves = [shifted(0)] * (of - often) + [shifted(20)] * often
        assert measured(lesions, moves).ranges.categories == categories


def test_borders_give_no_category_that_is_withheld():
    maps = chest()
    lesions = infected(maps, NINETEEN)
    severity = measure(
        Segmentation(
            **maps,
            lesions=lesions,
            alternatives=Others([lesions]),
            moved=Moved([shifted(0), shifted(20)]),
            notice_codes=["truncated-scan"],
        )
    )
    assert severity.withheld == ("truncated-scan",)
    assert severity.ranges.categories == ()
