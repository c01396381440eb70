import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lungscore.networks import normalise
from lungscore.networks.slim_inf_net import InfectionAndConsolidation, SlimInfNet


@pytest.fixture(scope="module")
def network():
    """Its batch norms calibrated on one batch."""
    torch.manual_seed(0)
    network = SlimInfNet()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(2, 1, 64, 80))
    return network.eval()


@pytest.mark.parametrize("size", [(97, 65), (32, 32)])
def test_images_of_any_size_give_logits_of_their_size(network, size):
    with torch.no_grad():
        output = network(torch.rand(2, 1, *size))
    for logits in (*output.side_outputs, output.edge, output.consolidation):
        assert logits.shape == (2, 1, *size)
        assert torch.isfinite(logits).all()
    assert len(output.side_outputs) == 5


def test_gradients_reach_every_parameter(network):
    output = network.double()(torch.rand(1, 1, 65, 49, dtype=torch.float64))
    maps = [*output.side_outputs, output.edge, output.consolidation]
    sum(logits.square().mean() for logits in maps).backward()
    untouched = [
        name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()
    ]
    network.zero_grad(set_to_none=True)
    network.float()
    assert untouched == []


def test_consolidation_begins_as_a_threshold_on_density(network):
    # What the finer stage says is taken away: denser is likelier, and 145 of 255 is even.
    grey = torch.linspace(0, 1, 256).view(1, 1, 1, 256).expand(1, 1, 32, 256)
    with torch.no_grad():
        logits = network.density(normalise(grey))[0, 0, 16]
    assert (logits[3:-3].diff() > 0).all()
    assert abs(float(logits[145])) < 0.05


def test_inference_gets_two_probabilities(network):
    grey = torch.rand(2, 1, 40, 56)
    with torch.no_grad():
        probabilities = InfectionAndConsolidation(network)(grey)
    assert probabilities.shape == (2, 2, 40, 56)
    assert float(probabilities.min()) >= 0
    assert float(probabilities.max()) <= 1


@pytest.mark.parametrize(
    ("encoder", "consolidation"),
    [
        ("efficientnet-lite0", True),
        ("efficientnet-lite1", True),
        ("efficientnet-lite2", True),
        ("resnet10", False),
    ],
)
def test_a_slice_costs_at_most_four_gigaflop(encoder, consolidation):
    network = SlimInfNet(encoder, consolidation=consolidation).eval().to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 256, 320, device="meta"))
    assert counter.get_total_flops() <= 4e9
    assert sum(p.numel() for p in network.parameters()) * 2 < 20e6
