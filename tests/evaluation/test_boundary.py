"""Distances of borders against all pairs of border pixels, and against MONAI where it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from skimage.segmentation import find_boundaries

from lungscore.evaluation.boundary import TOLERANCE, border_scores

SHAPE = (9, 11)
masks = arrays.arrays(bool, SHAPE)
spacings = st.tuples(st.floats(0.3, 3), st.floats(0.3, 3))


def points(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    border = find_boundaries(np.pad(mask, 1), connectivity=1, mode="inner")[1:-1, 1:-1]
    return np.argwhere(border) * spacing


@settings(max_examples=60, deadline=None)
@given(masks, masks, spacings)
def test_distances_are_those_of_all_pairs_of_border_pixels(predicted, truth, spacing):
    scores = border_scores(predicted, truth, spacing)
    if not predicted.any() or not truth.any():
        assert np.isnan(scores["hd95"])
        assert np.isnan(scores["surface_dice"]) == (not predicted.any() and not truth.any())
        return
    apart = cdist(points(predicted, spacing), points(truth, spacing))
    there, back = apart.min(axis=1), apart.min(axis=0)
    expected = max(np.percentile(there, 95), np.percentile(back, 95))
    assert scores["hd95"] == pytest.approx(expected)
    near = (there <= TOLERANCE).sum() + (back <= TOLERANCE).sum()
    assert scores["surface_dice"] == pytest.approx(near / (len(there) + len(back)))


def blobs(seed: int) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(80, 60)), 5)
    return noise > np.quantile(noise, 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.3)])
def test_distances_are_those_of_monai(spacing):
    metrics = pytest.importorskip("monai.metrics")
    torch = pytest.importorskip("torch")
    predicted, truth = blobs(0), blobs(0) | blobs(1)
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth)]
    options = {"include_background": True, "spacing": spacing}
    hd95 = metrics.compute_hausdorff_distance(*pair, percentile=95, **options)
    surface = metrics.compute_surface_dice(*pair, class_thresholds=[TOLERANCE], **options)
    scores = border_scores(predicted, truth, spacing)
    assert scores["hd95"] == pytest.approx(float(hd95), abs=1e-4)
    assert scores["surface_dice"] == pytest.approx(float(surface), abs=1e-6)


def test_a_square_moved_by_three_rows_is_three_rows_away():
    truth, moved = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[10:30, 10:30], moved[13:33, 10:30] = True, True
    assert border_scores(moved, truth)["hd95"] == 3
    assert border_scores(moved, truth, (0.5, 0.5))["hd95"] == 1.5
    assert border_scores(moved, truth, (0.5, 0.5))["surface_dice"] == 1
    assert border_scores(moved, truth)["surface_dice"] < 1


@settings(max_examples=30, deadline=None)
@given(masks, masks)
def test_borders_are_symmetric_and_do_not_mind_flips(predicted, truth):
    scores = border_scores(predicted, truth)
    for moved in (
        border_scores(truth, predicted),
        border_scores(predicted[::-1], truth[::-1]),
        border_scores(predicted.T, truth.T),
    ):
        assert moved == pytest.approx(scores, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(masks.filter(np.any))
def test_a_mask_is_no_distance_from_itself(mask):
    assert border_scores(mask, mask) == {"hd95": 0, "surface_dice": 1}
