from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.anatomy import Lungs, lung_field
from lungscore.errors import NOTICES
from lungscore.inference import Segmenter, SliceFinding, segment
from lungscore.inference.bundle import InputSpec
from lungscore.inference.density import DENSE_HU, dense_from, density_near, is_dense, pixels_near
from lungscore.inference.predict import predict_slice, predict_slices
from lungscore.inference.segment import classes
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan.phantom import make_phantom
from tests.inference.random_bundle import images_of
from tests.inference.small_scans import scan_of


@given(st.integers(-1000, 1000), st.integers(0, 255), st.booleans())
def test_density_tells_the_classes_apart_at_one_threshold(hu, grey, infected):
    mask = np.array([[infected]])
    label = classes(mask, is_dense(scan_of(np.array([[[hu]]], np.int16)), 0, mask, spec(0.6)))
    assert label.dtype == np.uint8
    assert label.item() == (0 if not infected else CONSOLIDATION if hu >= -200 else GGO)
    label = classes(mask, is_dense(scan_of(np.array([[[grey]]], np.uint8)), 0, mask, spec(0.6)))
    assert label.item() == (0 if not infected else CONSOLIDATION if grey >= 153 else GGO)


@given(st.integers(0, 2**32 - 1))
def test_density_is_the_mean_of_the_infected_pixels_within_five_by_five(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-1000, 200, (9, 12)).astype(np.int16)
    infected = rng.random(values.shape) < 0.4
    near = density_near(values, infected)
    for row, column in np.ndindex(values.shape):
        if 2 <= row < 7 and 2 <= column < 10:  # elsewhere the slice is mirrored at its border
            square = np.s_[row - 2 : row + 3, column - 2 : column + 3]
            within = values[square][infected[square]]
            expected = within.mean() if within.size else -np.inf
            assert near[row, column] == pytest.approx(expected, abs=1e-5)


def test_one_dense_pixel_among_ground_glass_is_no_consolidation():
    values = np.full((9, 9), -600, np.int16)
    values[4, 4] = 100
    infected = np.ones(values.shape, bool)
    scan = replace(scan_of(values[None]), spacing_mm=(1.0, 0.7, 0.7))
    assert not is_dense(scan, 0, infected, spec(None)).any()
    infected[:] = False
    infected[4, 4] = True
    assert is_dense(scan, 0, infected, spec(None))[4, 4]


@pytest.mark.parametrize(
    ("pixel_mm", "side"), [(None, 5), (0.5, 7), (0.7, 5), (0.8, 5), (1.0, 3), (2.0, 1), (4.0, 1)]
)
def test_nearby_is_the_same_distance_in_every_scan(pixel_mm, side):
    assert pixels_near(None if pixel_mm is None else (1.0, pixel_mm, pixel_mm)) == side


def test_a_card_without_a_grey_level_splits_nothing():
    assert dense_from("hu", spec(None)) == DENSE_HU
    with pytest.raises(ValueError, match="grey level"):
        dense_from("grey", spec(None))


def spec(grey_split: float | None) -> InputSpec:
    return InputSpec(
        height=64, width=96, window_hu=(-1350, 150), orientation="any", grey_split=grey_split
    )


@pytest.fixture(scope="module")
def phantom():
    return make_phantom("moderate", shape=(24, 96, 96))


@pytest.fixture(scope="module")
def lungs(phantom):
    return Lungs((phantom.lungs > 0).astype(np.uint8) * phantom.lungs, sides_known=True)


def test_lesions_lie_within_the_field_of_the_lungs(phantom, lungs, segmenter):
    lesions = segment(phantom.scan, lungs, segmenter)
    field = lung_field(lungs, phantom.scan.spacing_mm)
    assert lesions.labels.shape == phantom.scan.shape
    assert lesions.labels.dtype == np.uint8
    assert lesions.labels.any()
    assert not lesions.labels[~field].any()
    assert (lesions.labels == CONSOLIDATION).any()
    assert (lesions.labels == GGO).any()


def test_lesions_say_which_model_and_engine_found_them(phantom, lungs, segmenter):
    lesions = segment(phantom.scan, lungs, segmenter)
    assert [model.name for model in lesions.models] == ["random"]
    assert (lesions.engine.name, lesions.engine.precision) == ("openvino", "f32")
    assert [notice.code for notice in lesions.notices] == ["solid-lung", "hu-split"]
    assert "−200 HU" in lesions.notices[-1].message


def test_the_same_scan_gives_the_same_labels(phantom, lungs, segmenter):
    once, again = (segment(phantom.scan, lungs, segmenter).labels for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_where_there_is_no_lung_nothing_is_found(phantom, segmenter):
    nowhere = Lungs(np.zeros(phantom.scan.shape, np.uint8), sides_known=True)
    assert not segment(phantom.scan, nowhere, segmenter).labels.any()


def test_probabilities_come_slice_by_slice_in_order_at_the_size_of_the_scan(
    phantom, lungs, segmenter
):
    findings = list(segmenter.find(phantom.scan, lungs))
    with_lung = np.flatnonzero(lungs.labels.any(axis=(1, 2)))
    assert [finding.index for finding in findings] == with_lung.tolist()
    for finding in findings:
        assert finding.probability.shape == finding.dense.shape == phantom.scan.shape[1:]
        assert (finding.probability.dtype, finding.dense.dtype) == (np.float32, bool)


def test_grey_slices_are_split_at_the_level_of_the_card(segmenter):
    values = np.stack([(255 * image).astype(np.uint8) for image in images_of(2)])
    lungs = Lungs(np.ones(values.shape, np.uint8), sides_known=True)
    lesions = segment(scan_of(values), lungs, segmenter)
    assert "178 of 255" in lesions.notices[0].message
    assert all(notice.code in NOTICES for notice in lesions.notices)
    assert set(np.unique(lesions.labels)) == {0, GGO, CONSOLIDATION}
    infected = lesions.labels > 0
    near = np.stack([density_near(*pair) for pair in zip(values, infected, strict=True)])
    np.testing.assert_array_equal(lesions.labels == CONSOLIDATION, infected & (near >= 178.5))


class Levels:
    """A segmenter whose probability is the grey level, or one number everywhere."""

    notices = ()

    def __init__(self, probability: float | None = None):
        self.probability = probability

    def find(self, scan, lungs):
        levels = scan.values[0].astype(np.float32) / 255
        if self.probability is not None:
            levels = np.full_like(levels, self.probability)
        yield SliceFinding(0, levels, scan.values[0] >= 179)


def test_classes_are_infected_exactly_where_the_rounded_probability_is_128_or_more():
    every = np.arange(256, dtype=np.uint8).reshape(1, 8, 32)
    prediction = predict_slice(scan_of(every, sides_known=False), Levels())
    np.testing.assert_array_equal(prediction.infection, every[0])
    np.testing.assert_array_equal(prediction.classes > 0, every[0] >= 128)
    np.testing.assert_array_equal(prediction.classes == CONSOLIDATION, every[0] >= 179)


@pytest.mark.parametrize(
    ("probability", "value"),
    [(0.0, 0), (0.49, 125), (np.nextafter(np.float32(0.5), 0), 127), (0.5, 128), (1.0, 255)],
)
def test_a_probability_is_rounded_half_up(probability, value):
    blank = scan_of(np.ones((1, 4, 5), np.uint8), sides_known=False)
    prediction = predict_slice(blank, Levels(probability))
    assert (prediction.infection == value).all()
    assert ((prediction.classes > 0) == (value >= 128)).all()


def grey_crop(seed: int = 3) -> np.ndarray:
    """A crop that is wider than tall, of another size than the network's input."""
    from lungscore.scan.window import resize

    return (255 * resize(images_of(seed + 1)[seed], 75, 130)).astype(np.uint8)


def test_a_transposed_crop_gives_the_transposed_maps(segmenter):
    crop = grey_crop()
    shown = predict_slice(scan_of(crop[None], sides_known=False), segmenter)
    stored = predict_slice(
        scan_of(np.ascontiguousarray(crop.T)[None], sides_known=False), segmenter
    )
    assert shown.infection.shape == crop.shape
    assert stored.infection.shape == crop.T.shape
    np.testing.assert_array_equal(stored.infection.T, shown.infection)
    np.testing.assert_array_equal(stored.classes.T, shown.classes)
    assert 0.1 < (shown.classes > 0).mean() < 0.9


def test_files_are_predicted_at_their_own_size_and_under_their_own_name(segmenter, tmp_path):
    from PIL import Image

    files = []
    for name, values in (("one.png", grey_crop()), ("two.png", grey_crop(2).T)):
        Image.fromarray(np.ascontiguousarray(values)).save(tmp_path / name)
        files.append(tmp_path / name)
    predictions = list(predict_slices(files, segmenter=segmenter))
    assert [prediction.infection.shape for prediction in predictions] == [(75, 130), (130, 75)]
    assert [prediction.classes.dtype for prediction in predictions] == [np.uint8] * 2
    assert [prediction.name.split(".")[0] for prediction in predictions] == ["one", "two"]
    for prediction in predictions:
        np.testing.assert_array_equal(prediction.classes > 0, prediction.infection >= 128)


def test_several_slices_are_no_slice(segmenter):
    from lungscore.errors import InputError

    with pytest.raises(InputError, match="3 slices") as caught:
        predict_slice(scan_of(np.zeros((3, 20, 20), np.uint8)), segmenter)
    assert caught.value.code == "volume-4d"


def test_a_full_slice_without_lungs_is_seen_whole(segmenter):
    values = grey_crop()
    prediction = predict_slice(scan_of(values[None]), segmenter)
    assert prediction.infection.shape == values.shape


def test_a_slice_of_a_volume_in_another_orientation_comes_back_in_its_own(segmenter):
    """Stored as (column, row, slice): the picture written has the axes of the file."""
    from dataclasses import replace

    from lungscore.scan import Geometry

    crop = grey_crop()
    plain = scan_of(crop[None], sides_known=False)
    stored = np.ascontiguousarray(np.moveaxis(crop[None], 0, 2).swapaxes(0, 1))
    affine = np.array([[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1.0]])
    turned = replace(plain, geometry=Geometry(stored.shape, affine))
    expected = predict_slice(plain, segmenter)
    np.testing.assert_array_equal(predict_slice(turned, segmenter).infection.T, expected.infection)


def test_a_segmenter_needs_a_bundle_that_is_there(monkeypatch, tmp_path):
    from lungscore.errors import ResourceError
    from lungscore.inference import bundle as module

    monkeypatch.setattr(module, "models_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ResourceError) as caught:
        Segmenter()
    assert caught.value.code == "model-missing"
