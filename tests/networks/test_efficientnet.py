import pytest
import torch
from torch import nn
from torch.nn import functional

from lungscore.networks.encoders import EfficientNetLite0, EfficientNetLite1, EfficientNetLite2
from lungscore.networks.encoders.efficientnet import ConvolutionAndNorm


@pytest.mark.parametrize(
    ("make", "parameters", "blocks"),
    [
        # The public weights without "_conv_head", "_fc" and the norm between them, counted.
        (EfficientNetLite0, 2_958_848, (1, 2, 2, 3, 3, 4, 1)),
        (EfficientNetLite1, 3_723_520, (1, 3, 3, 4, 4, 5, 1)),
        (EfficientNetLite2, 4_357_952, (1, 3, 3, 4, 4, 5, 1)),
    ],
)
def test_they_are_as_large_as_the_public_ones(make, parameters, blocks):
    encoder = make(3)
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    assert tuple(len(stage) for stage in encoder.stages) == blocks


def test_the_maps_are_the_expanded_features_of_the_stages_that_halve_the_size():
    encoder = EfficientNetLite0().eval()
    seen = {}
    for stage in (2, 3, 5):
        encoder.stages[stage][0].expand.register_forward_hook(
            lambda module, inputs, output, stage=stage: seen.update({stage: output})
        )
    with torch.no_grad():
        features = encoder(torch.rand(1, 1, 64, 96))
    for feature, stage in zip(features, (2, 3, 5), strict=False):
        torch.testing.assert_close(feature, functional.relu6(seen[stage]))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (10, 11)])
def test_stride_two_pads_as_tensorflow_does(kernel, size):
    # TensorFlow's rule, written as a loop over the places of the output.
    module = ConvolutionAndNorm(1, 1, kernel, stride=2).eval()
    x = torch.rand(1, 1, *size)
    rows, columns = (-(-side // 2) for side in size)
    before = [
        max((places - 1) * 2 + kernel - side, 0) // 2
        for places, side in zip((rows, columns), size, strict=True)
    ]
    expected = torch.zeros(rows, columns)
    weight = module.conv.weight[0, 0].detach()
    for row in range(rows):
        for column in range(columns):
            for dy in range(kernel):
                for dx in range(kernel):
                    y, z = row * 2 + dy - before[0], column * 2 + dx - before[1]
                    if 0 <= y < size[0] and 0 <= z < size[1]:
                        expected[row, column] += x[0, 0, y, z] * weight[dy, dx]
    expected = expected / (1 + module.bn.eps) ** 0.5
    with torch.no_grad():
        torch.testing.assert_close(module(x)[0, 0], expected)


def test_batch_norm_forgets_imagenet_within_a_short_training():
    norms = [m for m in EfficientNetLite0().modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}
