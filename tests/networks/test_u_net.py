import pytest
import torch

from lungscore.networks import MultiInfNet, UNet


def test_the_published_multi_class_stage_has_17_27_million_parameters():
    for network in (UNet(6, 3), MultiInfNet()):
        parameters = sum(parameter.numel() for parameter in network.parameters())
        assert parameters / 1e6 == pytest.approx(17.27, abs=0.005)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (15 * 3, 50)])
def test_sizes_that_do_not_halve_evenly_pass(size):
    with torch.no_grad():
        logits = UNet(5, 2, base_width=4).eval()(torch.rand(1, 5, *size)).side_outputs[-1]
    assert logits.shape == (1, 2, *size)


def test_detail_passes_through_the_skip_connection_and_context_from_below():
    torch.manual_seed(0)
    image = torch.rand(1, 1, 96, 96, requires_grad=True)
    UNet(base_width=4).eval()(image).side_outputs[0][0, 0, 48, 48].backward()
    rows, _ = torch.nonzero(image.grad[0, 0], as_tuple=True)
    assert image.grad[0, 0, 48, 48] != 0
    assert rows.max() - rows.min() > 60


def test_grey_and_prior_are_each_shown_three_times():
    torch.manual_seed(0)
    network = MultiInfNet(base_width=4).eval()
    grey, prior = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    six = torch.cat([grey, grey, grey, prior, prior, prior], dim=1)
    with torch.no_grad():
        logits = network(torch.cat([grey, prior], dim=1)).side_outputs[-1]
        expected = UNet.forward(network, six).side_outputs[-1]
    assert torch.equal(logits, expected)
