"""The lung network keeps its contract: sizes, gradients, cost, and the same answer as a graph."""

import numpy as np
import pytest
import torch
from torch import nn

from lungscore.networks.lung_net import CLASSES, NEIGHBOURS, LungNet, LungProbabilities


@pytest.mark.parametrize("size", [(192, 192), (33, 47), (64, 101)])
def test_any_size_keeps_its_size(size: tuple[int, int]) -> None:
    network = LungNet().eval()
    logits = network(torch.rand(2, NEIGHBOURS, *size))
    assert logits.shape == (2, len(CLASSES), *size)


def test_gradients_reach_every_parameter_and_every_slice() -> None:
    torch.manual_seed(0)
    network = LungNet().train()
    slices = torch.rand(2, NEIGHBOURS, 64, 64, requires_grad=True)
    network(slices).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    assert slices.grad is not None
    assert (slices.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_probabilities_sum_to_one() -> None:
    network = LungProbabilities(LungNet().eval())
    probabilities = network(torch.rand(1, NEIGHBOURS, 32, 32))
    assert torch.allclose(probabilities.sum(1), torch.ones(1, 32, 32), atol=1e-5)


def test_is_small_enough() -> None:
    """At most 5 MB of float16 weights and 1 GFLOP a slice of 192 x 192."""
    network = LungNet().eval()
    operations = 0

    def count(layer: nn.Conv2d, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal operations
        operations += 2 * output.numel() * layer.in_channels * int(np.prod(layer.kernel_size))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    network(torch.rand(1, NEIGHBOURS, 192, 192))
    assert 2 * sum(p.numel() for p in network.parameters()) < 5e6
    assert operations < 1e9
