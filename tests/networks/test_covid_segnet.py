import pytest
import torch

from lungscore.networks import COVIDSegNet
from lungscore.networks.covid_segnet import FeatureVariation, ProgressivePyramid


@pytest.fixture(scope="module")
def volumes():
    torch.manual_seed(0)
    return COVIDSegNet(3, classes=2, base_width=4).eval()


@pytest.mark.parametrize("size", [(16, 24, 32), (9, 17, 31)])
def test_volumes_of_any_size_give_logits_of_their_size(volumes, size):
    with torch.no_grad():
        output = volumes(torch.rand(1, 1, *size))
    assert [logits.shape for logits in output.side_outputs] == [(1, 2, *size)]
    assert output.edge is None
    assert torch.isfinite(output.side_outputs[0]).all()


def test_a_volume_gets_the_same_output_again_and_gradients_reach_every_parameter(volumes):
    x = torch.rand(1, 1, 16, 16, 16)
    first, second = (volumes(x).side_outputs[0] for _ in range(2))
    assert torch.equal(first, second)
    first.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in volumes.parameters())


def test_a_block_for_volumes_computes_on_equal_slices_what_that_for_slices_does():
    """Where its 3-D kernels hold the 2-D ones in their middle plane."""
    torch.manual_seed(0)
    flat, deep = FeatureVariation(2, 4).eval(), FeatureVariation(3, 4).eval()
    weights = {}
    for name, value in flat.state_dict().items():
        target = deep.state_dict()[name]
        if target.ndim == value.ndim:
            weights[name] = value
        else:
            weights[name] = torch.zeros_like(target)
            weights[name][:, :, target.shape[2] // 2] = value
    deep.load_state_dict(weights)
    x = torch.rand(1, 4, 7, 6)
    with torch.no_grad():
        expected = flat(x)
        deep_map = deep(x[:, :, None].expand(-1, -1, 5, -1, -1))
    for plane in range(5):
        torch.testing.assert_close(deep_map[:, :, plane], expected)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pyramid_looks_eight_pixels_far_and_keeps_the_size(dimensions):
    torch.manual_seed(0)
    block = ProgressivePyramid(dimensions, 8)
    x = torch.rand(1, 8, *[21] * dimensions, requires_grad=True)
    middle = (0, slice(None), *[10] * dimensions)
    y = block(x)
    assert y.shape == x.shape
    y[middle].sum().backward()
    places = torch.nonzero(x.grad.abs().sum((0, 1)))
    assert (places.max(0).values - places.min(0).values).tolist() == [16] * dimensions


@pytest.mark.parametrize(("dimensions", "width"), [(1, 8), (4, 8), (2, 6)])
def test_other_dimensions_and_widths_are_refused(dimensions, width):
    with pytest.raises(ValueError, match="no COVID-SegNet"):
        COVIDSegNet(dimensions, base_width=width)
