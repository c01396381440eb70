"""The losses against a second implementation in numpy, pixel by pixel."""

import numpy as np
import pytest
import torch

from lungscore.learning.losses import boundary_weight, infection_loss, segmentation_loss
from lungscore.networks import InfNetOutput


def naive_weight(truth: np.ndarray) -> np.ndarray:
    """1 + 5 |mean of 31 x 31 around the pixel, zeros outside counted, - pixel|, one image."""
    padded = np.pad(truth, 15)
    mean = np.zeros_like(truth)
    for row, column in np.ndindex(truth.shape):
        mean[row, column] = padded[row : row + 31, column : column + 31].sum() / 31**2
    return 1 + 5 * np.abs(mean - truth)


def naive_loss(logits: np.ndarray, truth: np.ndarray, *, weighted: bool = True) -> float:
    """Equation 1 of one image, term by term."""
    weight = naive_weight(truth)
    p = 1 / (1 + np.exp(-logits))
    cross_entropy = -(truth * np.log(p) + (1 - truth) * np.log(1 - p))
    if weighted:
        entropy = (weight * cross_entropy).sum() / weight.sum()
    else:
        entropy = cross_entropy.mean()
    overlap = (weight * p * truth).sum()
    union = (weight * (p + truth)).sum() - overlap
    return entropy + 1 - (overlap + 1) / (union + 1)


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """One image as (1, 1, H, W) or a batch as (N, 1, H, W)."""
    batch = array[None] if array.ndim == 2 else array
    return torch.from_numpy(batch[:, None].astype(np.float64))


@pytest.fixture
def batch():
    rng = np.random.default_rng(7)
    truth = np.zeros((2, 37, 44))
    truth[0, 5:20, 10:33] = 1
    truth[1, 25:, :9] = 1
    return rng.normal(0, 2, truth.shape), truth


def test_boundary_weight_is_the_plain_mean_of_31_by_31(batch):
    _, truth = batch
    expected = np.stack([naive_weight(image) for image in truth])
    np.testing.assert_allclose(boundary_weight(as_tensor(truth))[:, 0], expected, atol=1e-12)


def test_boundary_weight_is_one_far_from_borders_and_at_most_six():
    truth = torch.zeros(1, 1, 80, 80)
    truth[..., 40, 40] = 1
    weight = boundary_weight(truth)
    assert weight[0, 0, 0, 0] == 1
    assert 5.9 < weight.max() <= 6


def test_loss_is_equation_1_averaged_over_the_batch(batch):
    logits, truth = batch
    weight = boundary_weight(as_tensor(truth))
    loss = segmentation_loss(as_tensor(logits), as_tensor(truth), weight)
    expected = np.mean([naive_loss(a, b) for a, b in zip(logits, truth, strict=True)])
    assert loss.item() == pytest.approx(expected, abs=1e-9)


def test_loss_of_one_pixel_is_as_computed_by_hand():
    # G = 1, p = 1/2. w = 1 + 5 (1 - 1/961); BCE = ln 2; IoU = 1 - (w/2 + 1) / (3w/2 - w/2 + 1).
    w = 1 + 5 * (1 - 1 / 961)
    expected = np.log(2) + 1 - (w / 2 + 1) / (w + 1)
    pixel = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    loss = segmentation_loss(torch.zeros_like(pixel), pixel, boundary_weight(pixel))
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_paper_recipe_differs_only_by_the_unweighted_cross_entropy(batch):
    logits, truth = map(as_tensor, batch)
    weight = boundary_weight(truth)
    paper = segmentation_loss(logits, truth, weight, weighted_cross_entropy=False)
    expected = np.mean([naive_loss(a, b, weighted=False) for a, b in zip(*batch, strict=True)])
    assert paper.item() == pytest.approx(expected, abs=1e-9)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    weighted = ((weight * entropy).sum((2, 3)) / weight.sum((2, 3))).mean()
    default = segmentation_loss(logits, truth, weight)
    assert (default - paper).item() == pytest.approx((weighted - entropy.mean()).item(), abs=1e-9)
    assert default.item() != pytest.approx(paper.item(), abs=1e-3)


@pytest.mark.parametrize("weighted", [True, False])
def test_a_perfect_prediction_costs_nearly_nothing(batch, weighted):
    truth = as_tensor(batch[1])
    loss = segmentation_loss(
        (truth - 0.5) * 60, truth, boundary_weight(truth), weighted_cross_entropy=weighted
    )
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_a_clean_slice_called_clean_costs_nearly_nothing_and_called_ill_costs_much():
    truth = torch.zeros(1, 1, 20, 20)
    weight = boundary_weight(truth)
    assert segmentation_loss(truth - 30, truth, weight).item() == pytest.approx(0, abs=1e-6)
    assert segmentation_loss(truth + 30, truth, weight).item() > 30


def test_the_loss_of_a_batch_is_the_mean_of_its_images(batch):
    logits, truth = map(as_tensor, batch)
    alone = [
        segmentation_loss(logits[i : i + 1], truth[i : i + 1], boundary_weight(truth[i : i + 1]))
        for i in range(2)
    ]
    together = segmentation_loss(logits, truth, boundary_weight(truth))
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), abs=1e-9)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_total_loss_sums_four_side_outputs_and_the_edge(batch, recipe):
    logits, truth = map(as_tensor, batch)
    logits, truth = logits.float(), truth.float()
    edge_logits, edge = logits.flip(2), truth.flip(3)
    sides = [logits, logits * 2, logits - 1, -logits]
    loss = infection_loss(InfNetOutput(sides, edge_logits), truth, edge, recipe=recipe)
    weight = boundary_weight(truth)
    weighted = recipe == "default"
    expected = sum(
        segmentation_loss(side, truth, weight, weighted_cross_entropy=weighted).item()
        for side in sides
    )
    # The edge's cross-entropy is plain, never weighted.
    p, g = edge_logits.double().sigmoid().numpy(), edge.double().numpy()
    expected += -np.mean(g * np.log(p) + (1 - g) * np.log(1 - p))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
