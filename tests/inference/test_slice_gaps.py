"""Gaps between infected slices, filled: against scipy's closing, and on columns known by hand."""

import sys
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from lungscore.anatomy import Lungs
from lungscore.inference import EngineUsed, Segmenter, segment
from lungscore.inference.readings import SILENT
from lungscore.inference.slice_gaps import MOST_MM, MOST_SLICES, filled, longest_gap
from lungscore.labels import CONSOLIDATION, GGO
from tests.inference.small_scans import scan_of

SHAPE = (9, 3, 4)
EVERYWHERE = np.ones(SHAPE, bool)
VOLUMES = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
FIELDS = arrays(bool, SHAPE)
GAPS = st.integers(0, 3)


def closed(volume: np.ndarray, gap: int, field: np.ndarray = EVERYWHERE) -> np.ndarray:
    """``volume`` with its gaps filled, all slices together."""
    slices = list(filled(enumerate(volume), field, gap))
    assert [index for index, _ in slices] == list(range(len(volume)))
    return np.stack([probability for _, probability in slices])


@given(VOLUMES, GAPS)
def test_it_is_the_closing_along_the_slices(volume, gap):
    padded = np.pad(volume, ((gap, gap), (0, 0), (0, 0)))
    expected = ndimage.grey_closing(padded, size=(gap + 1, 1, 1))[gap : gap + len(volume)]
    # What stays below SILENT counts nowhere, and need not be looked at.
    expected = np.where(expected >= SILENT, expected, volume)
    np.testing.assert_array_equal(closed(volume, gap) >= SILENT, expected >= SILENT)
    above = expected >= SILENT
    np.testing.assert_array_equal(closed(volume, gap)[above], expected[above])


@given(VOLUMES, FIELDS, GAPS)
def test_nothing_is_taken_away_and_nothing_added_outside_the_field(volume, field, gap):
    volume_before = volume.copy()
    whole = closed(volume, gap, field)
    assert (whole >= volume).all()
    np.testing.assert_array_equal(whole[~field], volume[~field])
    np.testing.assert_array_equal(volume, volume_before)
    # Nor does what lies outside the field fill anything.
    np.testing.assert_array_equal(whole[field], closed(volume * field, gap, field)[field])


@given(VOLUMES, FIELDS, GAPS)
def test_filling_again_changes_nothing(volume, field, gap):
    once = closed(volume, gap, field)
    np.testing.assert_array_equal(closed(once, gap, field), once)


@given(VOLUMES, FIELDS, GAPS)
def test_a_scan_stored_the_other_way_round_is_filled_alike(volume, field, gap):
    turned = closed(volume[::-1], gap, field[::-1])[::-1]
    np.testing.assert_array_equal(turned, closed(volume, gap, field))


@given(VOLUMES, FIELDS, GAPS, st.sampled_from((0.2, 0.5, 0.8)))
def test_the_mask_at_every_threshold_is_filled_as_if_alone(volume, field, gap, threshold):
    mask = np.float32(volume >= threshold)
    np.testing.assert_array_equal(
        closed(volume, gap, field) >= threshold, closed(mask, gap, field) > 0
    )


@given(arrays(np.float32, (2, *SHAPE), elements=st.floats(0, 1, width=32)), FIELDS, GAPS)
def test_several_readings_do_not_touch_each_other(volumes, field, gap):
    together = closed(np.moveaxis(volumes, 0, 1), gap, field)
    for number, volume in enumerate(volumes):
        alone = closed(volume, gap, field)
        np.testing.assert_array_equal(together[:, number] >= SILENT, alone >= SILENT)


def column(marks: str, gap: int) -> str:
    """A column of voxels, # where infected, from the top slice down, after filling."""
    volume = np.float32([mark == "#" for mark in marks])[:, None, None]
    whole = closed(volume, gap, np.ones(volume.shape, bool))
    return "".join("#" if infected else "." for infected in whole[:, 0, 0])


@pytest.mark.parametrize(
    ("gap", "before", "after"),
    [
        (1, "##.##", "#####"),
        (1, "##..##", "##..##"),
        (2, "##..##", "######"),
        (2, "##...##", "##...##"),
        (2, "#.#..#", "######"),
        (0, "##.##", "##.##"),
        (2, "...#...", "...#..."),  # one slice alone does not grow
        (2, "..##...", "..##..."),
        (2, "..#", "..#"),  # nor do the ends
        (2, "#", "#"),
    ],
)
def test_a_column_of_voxels(gap, before, after):
    assert column(before, gap) == after


def test_slices_that_were_not_seen_have_no_infection():
    volume = np.full(SHAPE, 0.9, np.float32)
    volume[4] = 0
    seen = [(index, plane) for index, plane in enumerate(volume) if index not in (3, 5)]
    whole = dict(filled(seen, EVERYWHERE, 2))
    assert list(whole) == [index for index, _ in seen]
    assert not whole[4].any()  # two to one side and two to the other: a gap of three
    assert dict(filled(seen, EVERYWHERE, 3))[4].all()


@pytest.mark.parametrize(
    ("slice_mm", "gap"),
    [(0.6, MOST_SLICES), (2.0, 1), (5.0, 1), (MOST_MM, 1), (MOST_MM + 0.1, 0), (40.0, 0)],
)
def test_gaps_are_short_in_slices_and_in_millimetres(slice_mm, gap):
    scan = scan_of(np.zeros((5, 4, 4), np.int16))
    assert longest_gap(replace(scan, spacing_mm=(slice_mm, 1.0, 1.0))) == gap


def test_slices_without_positions_and_lone_slices_have_no_gaps():
    volume = scan_of(np.zeros((5, 4, 4), np.int16))
    assert longest_gap(volume) > 0
    assert longest_gap(replace(volume, spacing_mm=None)) == 0
    assert longest_gap(scan_of(np.zeros((1, 4, 4), np.int16))) == 0


def test_memory_is_bounded_by_the_longest_gap():
    """No more slices are taken than those that one needs: the stream may be endless."""
    taken = 0

    def endless():
        nonlocal taken
        while True:
            yield taken, np.full((2, 2), 0.9, np.float32)
            taken += 1

    field = np.ones((100, 2, 2), bool)
    list(islice(filled(endless(), field, 2), 10))
    assert taken == 9 + 2


# In a scan


@pytest.fixture
def grey(monkeypatch):
    """An engine whose probability is the grey level it is shown."""

    def run(slices):
        for (level,) in slices:
            yield level[None]

    monkeypatch.setattr(
        sys.modules[Segmenter.__module__],
        "make_engine",
        lambda *_, **__: (run, EngineUsed("grey", "f32")),
    )


def volume_of(*levels: float, slice_mm: float = 2.0):
    """Slices of lung with a square of each level of the window of the bundle, in HU."""
    values = np.full((len(levels), 64, 96), -1350, np.int16)
    for index, level in enumerate(levels):
        values[index, 20:40, 30:60] = round(-1350 + 1500 * level)
    scan = replace(scan_of(values), spacing_mm=(slice_mm, 4.0, 4.0))
    return scan, Lungs(np.ones(values.shape, np.uint8), sides_known=True)


@pytest.mark.usefixtures("grey")
def test_a_lesion_missed_in_one_slice_is_found_there_and_told_apart_by_its_density(bundle):
    levels = (0.0, 0.9, 0.3, 0.9, 0.0, 0.0)
    for slice_mm, expected in ((2.0, GGO), (10.0, 0)):
        lesions = segment(*volume_of(*levels, slice_mm=slice_mm), Segmenter(bundle))
        middle = lesions.labels[:, 30, 45].tolist()
        assert middle == [0, CONSOLIDATION, expected, CONSOLIDATION, 0, 0]
        assert not lesions.labels[:, :10].any()
        assert lesions.filled_gaps == (1 if expected else 0)


@pytest.mark.usefixtures("grey")
def test_every_reading_is_filled_by_itself(bundle):
    scan, lungs = volume_of(0.9, 0.3, 0.9, 0.0, 0.0)
    found = segment(scan, lungs, Segmenter(bundle), alternatives=True)
    for labels in found.alternatives.lesions():
        whole = np.zeros(scan.shape, np.uint8)
        whole.put(found.alternatives.voxels, labels)
        assert (whole[:, 30, 45] > 0).tolist() == [True, True, True, False, False]
    usual = list(found.alternatives.lesions())[1]
    whole.put(found.alternatives.voxels, usual)
    np.testing.assert_array_equal(whole, found.labels)
