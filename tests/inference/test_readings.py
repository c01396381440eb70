"""What the network could be taken to say as well."""

import sys

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
    alternatives = joined(slices, SHAPE[1] * SHAPE[2])
    expected = [
        np.where(reading >= threshold, np.where(dense, CONSOLIDATION, GGO), 0)
        for reading in probability
        for threshold in THRESHOLDS
    ]
    assert len(alternatives) == len(expected) == 9
    for got, labels in zip(alternatives.lesions(), expected, strict=True):
        np.testing.assert_array_equal(spread(alternatives.voxels, got, SHAPE), labels)


def spread(voxels, labels, shape):
    """Labels at places as an array."""
    whole = np.zeros(shape, np.uint8)
    whole.put(voxels, labels)
    return whole


def test_no_slice_has_no_alternatives():
    alternatives = joined([], 12)
    assert alternatives.voxels.size == alternatives.codes.size == 0
    assert [labels.size for labels in alternatives.lesions()] == [0] * 9


@given(
    arrays(np.uint8, (3, 6, 7), elements=st.sampled_from([0, 0, 1, 5])),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_a_part_of_a_scan_has_the_alternatives_that_lie_in_it(codes, first):
    whole = Alternatives(np.flatnonzero(codes).astype(np.int32), codes[codes > 0])
    box = slice(0, 3), slice(first[0], 5), slice(first[1], 6)
    boxed = whole.within(box, codes.shape)
    np.testing.assert_array_equal(boxed.voxels, np.flatnonzero(codes[box]))
    np.testing.assert_array_equal(boxed.codes, codes[box][codes[box] > 0])
    assert boxed.voxels.dtype == np.int32


def test_the_thresholds_lie_about_the_one_that_counts():
    assert list(THRESHOLDS) == sorted(THRESHOLDS)
    assert THRESHOLDS[1] == THRESHOLD == 0.5
    assert SILENT <= THRESHOLDS[0]


# In a volume


@pytest.mark.parametrize("with_lesions", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_reading_that_counts_is_one_of_the_alternatives(
    phantom, lungs, bundle, lesions_bundle, with_lesions
):
    segmenter = Segmenter(bundle, lesions_bundle if with_lesions else None, threads=2)
    plain = segment(phantom.scan, lungs, segmenter)
    lesions = segment(phantom.scan, lungs, segmenter, alternatives=True)
    np.testing.assert_array_equal(lesions.labels, plain.labels)
    assert plain.alternatives is None
    usual = list(lesions.alternatives.lesions())[1]
    whole = spread(lesions.alternatives.voxels, usual, phantom.scan.shape)
    np.testing.assert_array_equal(whole, plain.labels)
    sizes = [np.count_nonzero(labels) for labels in lesions.alternatives.lesions()]
    assert min(sizes) < np.count_nonzero(plain.labels) < max(sizes)


def test_a_lower_threshold_finds_no_less_and_the_same_classes(phantom, lungs, segmenter):
    alternatives = segment(phantom.scan, lungs, segmenter, alternatives=True).alternatives
    lesions = list(alternatives.lesions())
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
    single = Segmenter(bundle, threads=1)
    again = segment(phantom.scan, lungs, single, alternatives=True).alternatives
    np.testing.assert_array_equal(once.voxels, again.voxels)
    np.testing.assert_array_equal(once.codes, again.codes)


def test_the_others_of_a_volume_are_mirrored_and_in_another_box(phantom, lungs):
    usual, alternatives = list(views(phantom.scan, lungs)), list(other_views(phantom.scan, lungs))
    narrower = list(views(phantom.scan, lungs, margin=OTHER_MARGIN))
    assert len(alternatives) == 2 * len(usual)
    for view, narrow, (mirrored,), (near,) in zip(
        usual, narrower, alternatives[::2], alternatives[1::2], strict=True
    ):
        assert (mirrored.box, mirrored.mirrored) == (view.box, True)
        assert near == narrow
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
    lesions = segment(scan, lungs, Segmenter(bundle), alternatives=True)
    assert grey.shown == 4 + 2 * 2
    assert set(lesions.alternatives.voxels // (64 * 96)) == {3}
    grey.shown = 0
    segment(scan, lungs, Segmenter(bundle))
    assert grey.shown == 4


@pytest.mark.usefixtures("grey")
def test_density_tells_the_classes_apart_where_only_an_alternative_is_infected(bundle):
    # -1350 + 1500 · 0.4 is -750 HU: infected at 0.2 alone, and ground-glass opacity.
    scan, lungs = levels(0.4, 0.95)
    lesions = segment(scan, lungs, Segmenter(bundle), alternatives=True)
    assert not lesions.labels[0].any()
    low = spread(lesions.alternatives.voxels, next(lesions.alternatives.lesions()), scan.shape)
    assert set(np.unique(low[0])) == {0, GGO}
    assert low[1, 30, 45] == CONSOLIDATION


# Of one slice


def test_a_lone_slice_is_read_in_its_narrowest_and_its_widest_box_alone(segmenter):
    crop = (255 * images_of(4)[3]).astype(np.uint8)
    scan = scan_of(crop[None], sides_known=False)
    usual = list(views(scan, None))
    assert list(other_views(scan, None)) == [tuple(usual[:2]), tuple(usual[-2:])]
    assert usual[0].box != usual[-1].box
    ((index, readings),) = segmenter.read_otherwise(scan, None, {0})
    assert index == 0
    (finding,) = segmenter.find(scan, None)
    assert [probability.shape for probability in readings] == [crop.shape] * 2
    between = np.mean(readings, axis=0)
    assert np.abs(between - finding.probability).mean() < np.abs(readings[0] - readings[1]).mean()


def test_a_lone_slice_has_alternatives_too(segmenter):
    crop = (255 * images_of(4)[3]).astype(np.uint8)
    scan = scan_of(crop[None], sides_known=False)
    lungs = Lungs(np.ones(scan.shape, np.uint8), sides_known=False)
    lesions = segment(scan, lungs, segmenter, alternatives=True)
    usual = list(lesions.alternatives.lesions())[1]
    whole = spread(lesions.alternatives.voxels, usual, scan.shape)
    np.testing.assert_array_equal(whole, lesions.labels)
    prediction = predict_slice(scan, segmenter)
    assert prediction.infection.shape == crop.shape
