"""Masked modelling: nothing that is erased reaches the encoder, nor its batch norm."""

import pytest
import torch
from torch import nn

from lungscore.learning.pretexts.masked_modelling import (
    MaskedAutoencoder,
    SparseBatchNorm,
    Visibility,
    normalised_squares,
    visible_squares,
)
from lungscore.networks import ENCODERS
from tests.learning.tiny_training import TinyEncoder


def test_what_is_erased_changes_nothing_that_is_drawn():
    torch.manual_seed(0)
    learner = MaskedAutoencoder(TinyEncoder()).train()
    image, other = torch.rand(2, 2, 1, 128, 128)
    grid = visible_squares(image, 32, 0.6)
    shown = nn.functional.interpolate(grid, (128, 128), mode="nearest")
    with torch.no_grad():
        first = learner(image, grid)
        second = learner(image * shown + other * (1 - shown), grid)
        third = learner(image * (1 - shown) + other * shown, grid)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_batch_norm_is_that_of_the_visible_positions_alone():
    torch.manual_seed(0)
    norm, plain = SparseBatchNorm(3), nn.BatchNorm1d(3)
    norm.visibility = Visibility()
    norm.visibility.grid = torch.tensor([[1.0, 0], [0, 1]]).view(1, 1, 2, 2)
    x = torch.rand(1, 3, 4, 4)
    with torch.no_grad():
        out = norm(x)
        visible = torch.zeros(4, 4, dtype=bool)
        visible[:2, :2] = visible[2:, 2:] = True
        expected = plain(x[0, :, visible].T)
    torch.testing.assert_close(out[0, :, visible].T, expected)
    assert not out[0, :, ~visible].any()
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)


def test_with_everything_visible_a_sparse_encoder_is_the_dense_one():
    torch.manual_seed(0)
    encoder = TinyEncoder().eval()
    image = torch.rand(1, 1, 96, 64)
    with torch.no_grad():
        dense = encoder(image)
        learner = MaskedAutoencoder(encoder).eval()
        learner.sparse.visibility.grid = torch.ones(1, 1, 3, 2)
        for before, after in zip(dense, encoder(image), strict=True):
            torch.testing.assert_close(before, after)
        learner.sparse.restore()
        assert all(torch.equal(a, b) for a, b in zip(dense, encoder(image), strict=True))


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.slow
def test_every_encoder_can_be_made_sparse_and_dense_again(name):
    torch.manual_seed(0)
    encoder = ENCODERS[name](1)
    kinds = [type(module) for module in encoder.modules()]
    learner = MaskedAutoencoder(encoder).train()
    image, other = torch.rand(2, 2, 1, 96, 96)
    grid = visible_squares(image, 32, 0.6)
    shown = nn.functional.interpolate(grid, (96, 96), mode="nearest")
    with torch.no_grad():
        first = learner(image, grid)
        second = learner(image * shown + other * (1 - shown), grid)
    assert torch.equal(first, second)
    averages = {k: v.clone() for k, v in encoder.state_dict().items() if "running" in k}
    learner.sparse.restore()
    learner.sparse.restore()
    assert [type(module) for module in encoder.modules()] == kinds
    assert all(torch.equal(encoder.state_dict()[k], v) for k, v in averages.items())


@pytest.mark.parametrize(("size", "count"), [((64, 96), 6), ((75, 97), 12)])
def test_as_many_squares_are_erased_of_every_slice(size, count):
    torch.manual_seed(0)
    grid = visible_squares(torch.rand(5, 1, *size), 32, 0.6)
    assert grid.flatten(1).shape == (5, count)
    assert (1 - grid).flatten(1).sum(1).tolist() == [round(0.6 * count)] * 5
    assert len({tuple(row.tolist()) for row in grid.flatten(1)}) > 1


def test_one_square_stays_and_one_is_erased():
    image = torch.rand(1, 1, 32, 64)
    assert visible_squares(image, 32, 0.99).sum() == 1
    assert visible_squares(image, 32, 0.01).sum() == 1


def test_targets_are_squares_of_mean_0_and_spread_1():
    torch.manual_seed(0)
    image = torch.rand(2, 1, 70, 64) * 3 + 1
    target = normalised_squares(image, 32)
    assert target.shape == image.shape
    square = target[1, 0, 32:64, :32]
    assert square.mean().abs() < 1e-5
    assert square.std(correction=0) == pytest.approx(1, abs=1e-4)
    assert not normalised_squares(torch.ones(1, 1, 64, 64), 32).any()
