"""Batch norm in networks whose running averages have not settled."""

import pytest
import torch
from torch import nn

from lungscore.learning.batch_norm import batch_statistics, recalibrate


@pytest.fixture
def network():
    """A convolution and a batch norm whose averages are off, in evaluation mode."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    network[1].running_mean.fill_(4.0)
    return network.eval()


def test_within_it_a_network_normalises_by_the_batch_and_keeps_its_averages(network):
    images = torch.randn(4, 1, 8, 8)
    expected = nn.functional.batch_norm(network[0](images), None, None, training=True)
    with batch_statistics(network):
        torch.testing.assert_close(network(images), expected)
    assert (network[1].running_mean == 4).all()
    assert not network[1].training
    assert not torch.allclose(network(images), expected)


def test_averages_are_put_back_after_an_error(network):
    with pytest.raises(RuntimeError), batch_statistics(network):
        network(torch.randn(1))
    assert (network[1].running_mean == 4).all()


def test_recalibrated_a_network_computes_in_evaluation_what_it_does_in_training(network):
    images = torch.randn(64, 1, 16, 16)
    recalibrate(network, network, images)
    with torch.no_grad():
        measured = network(images)
        torch.testing.assert_close(network.train()(images), measured, rtol=1e-3, atol=1e-3)
    assert network[1].momentum == 0.1
