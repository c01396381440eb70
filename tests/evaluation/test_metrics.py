"""Overlap and losses against naive loops over pixels, and against the loss of training."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lungscore.evaluation.metrics import (
    CLIP,
    confusion,
    cross_entropy,
    dice,
    overlap_scores,
    segmentation_loss,
)
from lungscore.learning import losses

SHAPE = (5, 6)
masks = arrays.arrays(bool, SHAPE)


@pytest.fixture(autouse=True)
def no_warnings():
    """A division by zero is a bug, not a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def ratio(hits: int, whole: int) -> float:
    return hits / whole if whole else float("nan")


@given(masks, masks)
def test_overlap_is_counted_pixel_by_pixel(predicted, truth):
    pairs = [(bool(p), bool(t)) for p, t in zip(predicted.ravel(), truth.ravel(), strict=True)]
    tp, fp, fn, tn = (pairs.count(kind) for kind in ((1, 1), (1, 0), (0, 1), (0, 0)))
    assert confusion(predicted, truth) == (tp, fp, fn, tn)
    expected = {
        "dice": ratio(2 * tp, predicted.sum() + truth.sum()),
        "iou": ratio(tp, (predicted | truth).sum()),
        "sensitivity": ratio(tp, truth.sum()),
        "specificity": ratio(tn, (~truth).sum()),
        "precision": ratio(tp, predicted.sum()),
        "mae": ratio(fp + fn, 30),
    }
    scores = overlap_scores(confusion(predicted, truth))
    assert scores == pytest.approx(expected, nan_ok=True)
    assert dice(predicted, truth) == pytest.approx(scores["dice"], nan_ok=True)
    assert all(0 <= value <= 1 for value in scores.values() if not np.isnan(value))


@given(masks, masks, st.permutations(range(30)))
def test_overlap_does_not_depend_on_where_pixels_lie(predicted, truth, order):
    moved = [mask.ravel()[list(order)].reshape(SHAPE) for mask in (predicted, truth)]
    assert confusion(*moved) == confusion(predicted, truth)


@given(masks, masks)
def test_dice_and_iou_are_symmetric_and_tell_the_same(predicted, truth):
    forward, backward = (
        overlap_scores(confusion(*pair)) for pair in ((predicted, truth), (truth, predicted))
    )
    assert forward["dice"] == pytest.approx(backward["dice"], nan_ok=True)
    assert forward["sensitivity"] == pytest.approx(backward["precision"], nan_ok=True)
    if not np.isnan(forward["dice"]):
        assert forward["iou"] == pytest.approx(forward["dice"] / (2 - forward["dice"]))


def test_a_ratio_over_nothing_is_not_a_number():
    nothing, something = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    missed = overlap_scores(confusion(nothing, something))
    assert (missed["dice"], missed["iou"], missed["sensitivity"]) == (0, 0, 0)
    assert np.isnan(missed["precision"])
    assert np.isnan(missed["specificity"])
    invented = overlap_scores(confusion(something, nothing))
    assert (invented["dice"], invented["specificity"], invented["precision"]) == (0, 0, 0)
    assert np.isnan(invented["sensitivity"])
    rightly_empty = overlap_scores(confusion(nothing, nothing))
    assert np.isnan(rightly_empty["dice"])
    assert np.isnan(rightly_empty["iou"])
    assert (rightly_empty["specificity"], rightly_empty["mae"]) == (1, 0)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.9))
def test_the_loss_of_a_map_is_the_loss_of_training(seed, share):
    rng = np.random.default_rng(seed)
    truth = np.zeros((70, 50), bool)
    truth[: int(70 * share), 10:40] = True
    logits = rng.normal(0, 2, truth.shape)
    tensors = [torch.from_numpy(a.astype(np.float64))[None, None] for a in (logits, truth)]
    expected = losses.segmentation_loss(*tensors, losses.boundary_weight(tensors[1]))
    loss = segmentation_loss(1 / (1 + np.exp(-logits)), truth)
    assert loss == pytest.approx(float(expected), abs=1e-9)


def test_the_loss_of_certain_maps_is_bounded_by_the_clip():
    truth = np.zeros((40, 40), bool)
    truth[10:20, 10:20] = True
    assert segmentation_loss(truth.astype(np.float32), truth) == pytest.approx(0, abs=1e-5)
    worst = segmentation_loss(1 - truth.astype(np.float64), truth)
    assert -np.log(CLIP) < worst < 1 - np.log(CLIP)


@given(arrays.arrays(bool, (40, 35)), arrays.arrays(np.uint8, (40, 35)))
@settings(max_examples=10, deadline=None)
def test_the_loss_does_not_change_when_both_are_flipped(truth, grey):
    loss = segmentation_loss(grey / 255, truth)
    assert loss == pytest.approx(segmentation_loss(grey[:, ::-1] / 255, truth[:, ::-1]))
    assert loss == pytest.approx(segmentation_loss(grey[::-1] / 255, truth[::-1]))


@given(st.integers(0, 2**32 - 1))
def test_cross_entropy_is_the_mean_over_pixels(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet((1, 1, 1), SHAPE).transpose(2, 0, 1)
    classes = rng.integers(0, 3, SHAPE)
    expected = np.mean([-np.log(probabilities[classes[i], *i]) for i in np.ndindex(SHAPE)])
    assert cross_entropy(probabilities, classes) == pytest.approx(expected, rel=1e-4)


def test_cross_entropy_of_an_impossible_class_stays_finite():
    probabilities = np.zeros((3, *SHAPE), np.float32)
    probabilities[0] = 1
    assert cross_entropy(probabilities, np.zeros(SHAPE, np.uint8)) == pytest.approx(0, abs=1e-6)
    assert cross_entropy(probabilities, np.full(SHAPE, 2)) == pytest.approx(-np.log(CLIP))
