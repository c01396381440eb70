"""The finer stage of Inf-Net: a logit for every pixel."""

import pytest
import torch

from lungscore.networks import InfNet
from lungscore.networks.quarter_stage import PIXELS, FinerStage


@pytest.mark.parametrize("size", [(64, 48), (65, 47), (63, 50)])
def test_sizes_that_are_no_multiple_of_four_are_cropped_at_the_far_sides(size):
    torch.manual_seed(0)
    stage = FinerStage(1, edge_channels=4, fused=6).eval()
    image, coarser = torch.rand(1, 1, *size), torch.zeros(1, 1, 5, 7)
    edge, fused = torch.rand(1, 4, 16, 12), torch.rand(1, 6, 8, 6)
    with torch.no_grad():
        logits = stage(image, edge, fused, coarser)
    assert logits.shape == (1, 1, *size)


def test_each_pixel_gets_a_logit_of_its_own():
    """With a head that gives sub-pixel k the logit k, the map repeats 0…15 in squares of four."""
    stage = FinerStage(1, edge_channels=4, fused=6).eval()
    head = stage.head[0]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.arange(16.0))
        logits = stage(
            torch.rand(1, 1, 8, 8),
            torch.rand(1, 4, 2, 2),
            torch.rand(1, 6, 1, 1),
            torch.zeros(1, 1, 1, 1),
        )
    square = torch.arange(16.0).view(PIXELS, PIXELS)
    assert torch.equal(logits[0, 0], square.repeat(2, 2))


def test_it_adds_to_the_coarser_map():
    torch.manual_seed(0)
    stage = FinerStage(1, edge_channels=4, fused=6).eval()
    inputs = torch.rand(1, 1, 16, 16), torch.rand(1, 4, 4, 4), torch.rand(1, 6, 2, 2)
    with torch.no_grad():
        zero = stage(*inputs, torch.zeros(1, 1, 2, 2))
        three = stage(*inputs, torch.full((1, 1, 2, 2), 3.0))
    torch.testing.assert_close(three, zero + 3)


def test_the_coarser_maps_are_those_of_the_published_network():
    torch.manual_seed(0)
    finer, published = InfNet(finer=True), InfNet()
    published.load_state_dict(
        {name: v for name, v in finer.state_dict().items() if not name.startswith("finer.")}
    )
    image = torch.rand(1, 1, 65, 49)
    with torch.no_grad():
        maps, expected = finer.eval()(image), published.eval()(image)
    assert len(maps.side_outputs) == 5
    for coarse, true in zip(maps.side_outputs[:4], expected.side_outputs, strict=True):
        assert torch.equal(coarse, true)
