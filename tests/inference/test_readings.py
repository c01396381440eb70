"""What the network could be taken to say as well."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lungscore.anatomy import Lungs
from lungscore.inference import EngineUsed, Segmenter, segment
from lungscore.inference.predict import predict_slice
from lungscore.inference.readings import (
    DENSE,
    SILENT,
    THRESHOLD,
    THRESHOLDS,
    Alternatives,
    Basis,
    code,
    joined,
    of_slice,
)
from lungscore.inference.views import OTHER_MARGIN, other_views, views
from lungscore.labels import CONSOLIDATION, GGO
from tests.inference.random_bundle import images_of
from tests.inference.small_scans import scan_of

SHAPE = (2, 3, 4)


@given(arrays(np.float32, (3, *SHAPE), elements=st.floats(0, 1, width=32)), st.integers(0, 2**24))
def test_codes_hold_every_reading_at_every_threshold(probability, seed):
    dense = np.random.default_rng(seed).random(SHAPE) < 0.5
    slices = []
    for index in range(SHAPE[0]):
        codes = np.zeros(SHAPE[1:], np.uint8)
        for reading in range(3):
            codes |= code(probability[reading, index], reading)
        codes[dense[index] & (codes > 0)] |= DENSE
        slices.append(of_slice(index, codes))
        np.testing.assert_array_equal(slices[-1].plane(SHAPE[1:]), codes)
    found = joined(slices, SHAPE[1] * SHAPE[2])
    expected = [
        np.where(each >= threshold, np.where(dense, CONSOLIDATION, GGO), 0)
        for each in probability
        for threshold in THRESHOLDS
    ]
    assert len(found) == len(expected) == 9
    for got, labels in zip(found.lesions(), expected, strict=True):
        np.testing.assert_array_equal(spread(found.voxels, got, SHAPE), labels)


def spread(voxels, labels, shape):
    """Labels at places as an array."""
    whole = np.zeros(shape, np.uint8)
    whole.put(voxels, labels)
    return whole


def test_no_slice_has_no_alternatives():
    found = joined([], 12)
    assert found.voxels.size == found.codes.size == 0
    assert [labels.size for labels in found.lesions()] == [0] * 9


@given(
    arrays(np.uint8, (3, 6, 7), elements=st.sampled_from([0, 0, 1, 5])),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_a_part_of_a_scan_has_the_alternatives_that_lie_in_it(codes, first):
    whole = Alternatives(np.flatnonzero(codes).astype(np.int32), codes[codes > 0])
    box = slice(0, 3), slice(first[0], 5), slice(first[1], 6)
    part = whole.within(box, codes.shape)
    np.testing.assert_array_equal(part.voxels, np.flatnonzero(codes[box]))
    np.testing.assert_array_equal(part.codes, codes[box][codes[box] > 0])
    assert part.voxels.dtype == np.int32


def test_the_thresholds_lie_about_the_one_that_counts():
    assert list(THRESHOLDS) == sorted(THRESHOLDS)
    assert THRESHOLDS[1] == THRESHOLD == 0.5
    assert SILENT <= THRESHOLDS[0]


# In a volume


@pytest.mark.parametrize("with_lesions", [False, True])
def test_the_reading_that_counts_is_one_of_the_alternatives(
    phantom, lungs, bundle, lesions_bundle, with_lesions
):
    segmenter = Segmenter(bundle, lesions_bundle if with_lesions else None, threads=2)
    plain = segment(phantom.scan, lungs, segmenter)
    found = segment(phantom.scan, lungs, segmenter, alternatives=True)
    np.testing.assert_array_equal(found.labels, plain.labels)
    assert plain.alternatives is None
    usual = list(found.alternatives.lesions())[1]
    whole = spread(found.alternatives.voxels, usual, phantom.scan.shape)
    np.testing.assert_array_equal(whole, plain.labels)
    sizes = [np.count_nonzero(each) for each in found.alternatives.lesions()]
    assert min(sizes) < np.count_nonzero(plain.labels) < max(sizes)


def test_a_lower_threshold_finds_no_less_and_the_same_classes(phantom, lungs, segmenter):
    found = segment(phantom.scan, lungs, segmenter, alternatives=True).alternatives
    lesions = list(found.lesions())
    for reading in range(3):
        low, middle, high = lesions[3 * reading : 3 * reading + 3]
        assert ((low > 0) >= (middle > 0)).all()
        assert ((middle > 0) >= (high > 0)).all()
        np.testing.assert_array_equal(low[high > 0], high[high > 0])


@pytest.mark.slow
def test_the_same_scan_gives_the_same_alternatives_with_every_number_of_threads(
    phantom, lungs, segmenter, bundle
):
    once = segment(phantom.scan, lungs, segmenter, alternatives=True).alternatives
    other = Segmenter(bundle, threads=1)
    again = segment(phantom.scan, lungs, other, alternatives=True).alternatives
    np.testing.assert_array_equal(once.voxels, again.voxels)
    np.testing.assert_array_equal(once.codes, again.codes)


def test_the_others_of_a_volume_are_mirrored_and_in_another_box(phantom, lungs):
    usual, others = list(views(phantom.scan, lungs)), list(other_views(phantom.scan, lungs))
    narrower = list(views(phantom.scan, lungs, margin=OTHER_MARGIN))
    assert len(others) == 2 * len(usual)
    for view, other, (mirrored,), (near,) in zip(
        usual, narrower, others[::2], others[1::2], strict=True
    ):
        assert (mirrored.box, mirrored.mirrored) == (view.box, True)
        assert near == other
        assert near.index == mirrored.index == view.index


class Grey:
    """An engine whose probability is the grey level it is shown; it counts what that is."""

    def __init__(self):
        self.shown = 0

    def run(self, slices):
        for (grey,) in slices:
            self.shown += 1
            yield grey[None]


@pytest.fixture
def grey(monkeypatch) -> Grey:
    grey = Grey()
    monkeypatch.setattr(
        sys.modules[Segmenter.__module__],
        "make_engine",
        lambda *_, **__: (grey.run, EngineUsed("grey", "f32")),
    )
    return grey


def levels(*grey_levels):
    """Slices of lung with a square of each level of the window of the bundle, in HU."""
    values = np.full((len(grey_levels), 64, 96), -1350, np.int16)
    for index, level in enumerate(grey_levels):
        values[index, 20:40, 30:60] = round(-1350 + 1500 * level)
    return scan_of(values), Lungs(np.ones(values.shape, np.uint8), sides_known=True)


def test_slices_in_which_nothing_is_seen_are_not_read_again(grey, bundle):
    scan, lungs = levels(0.0, SILENT - 0.02, SILENT + 0.02, 0.9)
    found = segment(scan, lungs, Segmenter(bundle), alternatives=True)
    assert grey.shown == 4 + 2 * 2
    assert set(found.alternatives.voxels // (64 * 96)) == {3}
    grey.shown = 0
    segment(scan, lungs, Segmenter(bundle))
    assert grey.shown == 4


@pytest.mark.usefixtures("grey")
def test_density_tells_the_classes_apart_where_only_an_alternative_is_infected(bundle):
    # -1350 + 1500 · 0.4 is -750 HU: infected at 0.2 alone, and ground-glass opacity.
    scan, lungs = levels(0.4, 0.95)
    found = segment(scan, lungs, Segmenter(bundle), alternatives=True)
    assert not found.labels[0].any()
    low = spread(found.alternatives.voxels, next(found.alternatives.lesions()), scan.shape)
    assert set(np.unique(low[0])) == {0, GGO}
    assert low[1, 30, 45] == CONSOLIDATION


@pytest.mark.usefixtures("grey")
def test_every_reading_is_averaged_with_neighbouring_slices(bundle):
    scan, lungs = levels(0.9, 0.9, 0.3, 0.9, 0.9)
    near = replace(scan, spacing_mm=(2.0, 4.0, 4.0))
    for volume, expected in ((scan, [0, 0, 0]), (near, [GGO] * 3)):
        found = segment(volume, lungs, Segmenter(bundle), alternatives=True).alternatives
        lesions = [spread(found.voxels, labels, scan.shape) for labels in found.lesions()]
        # At 0.5, of each of the three readings.
        assert [labels[2, 30, 45] for labels in lesions[1::3]] == expected


@pytest.mark.usefixtures("grey")
def test_neighbours_that_are_not_read_again_count_as_free_of_infection(bundle):
    scan, lungs = levels(*[0.9] * 4, *[0.0] * 8)
    near = replace(scan, spacing_mm=(3.0, 4.0, 4.0))
    found = segment(near, lungs, Segmenter(bundle), alternatives=True).alternatives
    usual, *others = (spread(found.voxels, labels, scan.shape) for labels in found.lesions())
    assert set(np.flatnonzero(usual[:, 30, 45])) == {0, 1, 2, 3, 4}
    for labels in (others[2], others[5]):  # at 0.2, of the two other readings
        np.testing.assert_array_equal(labels[:, 30, 45] > 0, usual[:, 30, 45] > 0)


# Where the card of the bundle has calibrated thresholds


def calibrated(bundle, *thresholds):
    return replace(bundle, card=bundle.card.model_copy(update={"range_thresholds": thresholds}))


def test_one_reading_is_enough_with_thresholds_that_were_calibrated(grey, bundle):
    scan, lungs = levels(0.0, 0.2, 0.4, 0.7, 0.95)
    segmenter = Segmenter(calibrated(bundle, 0.3, 0.9))
    found = segment(scan, lungs, segmenter, alternatives=True)
    assert grey.shown == 5
    assert found.alternatives.basis == segmenter.basis == Basis(1, (0.3, 0.5, 0.9))
    assert len(found.alternatives) == 3
    low, middle, high = (
        spread(found.alternatives.voxels, labels, scan.shape)
        for labels in found.alternatives.lesions()
    )
    assert low[:, 30, 45].tolist() == [0, 0, GGO, GGO, CONSOLIDATION]
    assert high[:, 30, 45].tolist() == [0, 0, 0, 0, CONSOLIDATION]
    np.testing.assert_array_equal(middle, found.labels)
    box = slice(0, 5), slice(10, 50), slice(20, 70)
    assert found.alternatives.within(box, scan.shape).basis == found.alternatives.basis


@pytest.mark.usefixtures("grey")
def test_a_low_calibrated_threshold_is_reached_in_slices_that_are_otherwise_silent(bundle):
    scan, lungs = levels(SILENT - 0.02, 0.9)
    found = segment(scan, lungs, Segmenter(calibrated(bundle, 0.05, 0.9)), alternatives=True)
    assert set(found.alternatives.voxels // (64 * 96)) == {0, 1}


def test_without_calibration_three_readings_are_made(bundle):
    assert Segmenter(bundle).basis == Basis(3, THRESHOLDS)


# Of one slice


def test_a_lone_slice_is_read_in_its_narrowest_and_its_widest_box_alone(segmenter):
    crop = (255 * images_of(4)[3]).astype(np.uint8)
    scan = scan_of(crop[None], sides_known=False)
    usual = list(views(scan, None))
    assert list(other_views(scan, None)) == [tuple(usual[:2]), tuple(usual[-2:])]
    assert usual[0].box != usual[-1].box
    ((index, readings),) = segmenter.read_otherwise(scan, None, {0})
    assert index == 0
    (found,) = segmenter.find(scan, None)
    assert [each.shape for each in readings] == [crop.shape] * 2
    between = np.mean(readings, axis=0)
    assert np.abs(between - found.probability).mean() < np.abs(readings[0] - readings[1]).mean()


def test_a_lone_slice_has_alternatives_too(segmenter):
    crop = (255 * images_of(4)[3]).astype(np.uint8)
    scan = scan_of(crop[None], sides_known=False)
    lungs = Lungs(np.ones(scan.shape, np.uint8), sides_known=False)
    found = segment(scan, lungs, segmenter, alternatives=True)
    usual = list(found.alternatives.lesions())[1]
    whole = spread(found.alternatives.voxels, usual, scan.shape)
    np.testing.assert_array_equal(whole, found.labels)
    prediction = predict_slice(scan, segmenter)
    assert prediction.infection.shape == crop.shape
