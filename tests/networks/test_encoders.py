import pytest
import torch
from torch import nn
from torch.nn import functional

from lungscore.networks import ENCODERS, InfNet
from lungscore.networks.encoders import VGG16, Res2Net50, ResNet10, ResNet18, ResNet50
from lungscore.networks.encoders.res2net import Res2Block


def test_the_published_encoders_are_there():
    lite = {f"efficientnet-lite{number}" for number in range(3)}
    assert set(ENCODERS) == {"resnet10", "resnet18", "resnet50", "res2net50-v1b", "vgg16"} | lite


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_an_encoder_gives_four_maps_each_half_the_size_of_the_one_before(name):
    encoder = ENCODERS[name](3).eval()
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, 64, 96))
    strides = (2, 4, 8, 16) if name == "vgg16" else (4, 8, 16, 32)
    assert [tuple(f.shape) for f in features] == [
        (2, width, 64 // stride, 96 // stride)
        for width, stride in zip(encoder.channels, strides, strict=True)
    ]


@pytest.mark.parametrize(
    ("encoder", "millions"),
    [("res2net50-v1b", 31.07), ("resnet50", 30.91), ("vgg16", 21.30), ("resnet18", 17.67)],
)
def test_inf_net_has_as_many_parameters_as_published(encoder, millions):
    parameters = sum(p.numel() for p in InfNet(encoder, in_channels=3).parameters())
    assert parameters / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(
    ("make", "whole", "classifier"),
    [
        (ResNet18, 11_689_512, 513_000),
        (ResNet50, 25_557_032, 2_049_000),
        (VGG16, 138_357_544, 123_642_856),
    ],
)
def test_encoders_have_as_many_parameters_as_torchvisions(make, whole, classifier):
    assert sum(p.numel() for p in make(3).parameters()) == whole - classifier


def norms(*places: str) -> set[str]:
    return {f"{module}.{kind}" for module in places for kind in ("weight", "bias")}


def names(encoder: nn.Module) -> set[str]:
    return {name for name, _ in encoder.named_parameters()}


@pytest.mark.parametrize(
    ("make", "blocks", "convolutions"),
    [
        (ResNet10, (1, 1, 1, 1), 2),
        (ResNet18, (2, 2, 2, 2), 2),
        (ResNet50, (3, 4, 6, 3), 3),
    ],
)
def test_residual_encoders_have_the_parameter_names_of_torchvision(make, blocks, convolutions):
    expected = {"conv1.weight"} | norms("bn1")
    for layer, count in enumerate(blocks, start=1):
        for block in range(count):
            module = f"layer{layer}.{block}"
            for index in range(1, convolutions + 1):
                expected |= {f"{module}.conv{index}.weight"} | norms(f"{module}.bn{index}")
            if block == 0 and (layer > 1 or make is ResNet50):
                expected |= {f"{module}.downsample.0.weight"} | norms(f"{module}.downsample.1")
    assert names(make(3)) == expected


def test_res2net_has_the_parameter_names_of_its_public_weights():
    expected = {f"conv1.{index}.weight" for index in (0, 3, 6)} | norms("conv1.1", "conv1.4", "bn1")
    for layer, count in enumerate((3, 4, 6, 3), start=1):
        for block in range(count):
            module = f"layer{layer}.{block}"
            expected |= {f"{module}.conv1.weight", f"{module}.conv3.weight"}
            expected |= {f"{module}.convs.{index}.weight" for index in range(3)}
            expected |= norms(f"{module}.bn1", f"{module}.bn3")
            expected |= norms(*(f"{module}.bns.{index}" for index in range(3)))
            if block == 0:
                expected |= {f"{module}.downsample.1.weight"} | norms(f"{module}.downsample.2")
    assert names(Res2Net50(3)) == expected


def test_vgg_has_the_parameter_names_of_torchvision():
    places = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert names(VGG16(3)) == norms(*(f"features.{module}" for module in places))


def test_resnets_3x3_convolution_carries_the_stride():
    strides = {
        name: m.stride for name, m in ResNet50().layer2.named_modules() if hasattr(m, "stride")
    }
    assert strides["0.conv1"] == (1, 1)
    assert strides["0.conv2"] == strides["0.downsample.0"] == (2, 2)


def test_a_res2net_block_is_a_cascade_over_its_groups():
    torch.manual_seed(0)
    block = Res2Block(64, 64, 1).eval()
    seen, expected = [], []
    block.conv3.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.rand(1, 64, 9, 9)
    with torch.no_grad():
        block(x)
        *groups, last = functional.relu(block.bn1(block.conv1(x))).chunk(4, dim=1)
        before = torch.zeros_like(last)
        for group, conv, norm in zip(groups, block.convs, block.bns, strict=True):
            before = functional.relu(norm(conv(group + before)))
            expected.append(before)
    torch.testing.assert_close(seen[0], torch.cat([*expected, last], dim=1))


def test_the_first_block_of_a_stage_adds_nothing_and_averages_its_last_group():
    torch.manual_seed(0)
    block = Res2Block(32, 64, 2).eval()
    seen = []
    block.conv3.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    x = torch.rand(1, 32, 9, 7)
    with torch.no_grad():
        out = block(x)
        groups = functional.relu(block.bn1(block.conv1(x))).chunk(4, dim=1)
        expected = [
            functional.relu(norm(conv(group)))
            for group, conv, norm in zip(groups, block.convs, block.bns, strict=False)
        ]
        expected.append(functional.avg_pool2d(groups[3], 3, 2, padding=1))
    assert out.shape == (1, 64, 5, 4)
    torch.testing.assert_close(seen[0], torch.cat(expected, dim=1))


def test_vgg_pools_by_averaging():
    kinds = {type(module) for module in VGG16().modules()}
    assert nn.AvgPool2d in kinds
    assert nn.MaxPool2d not in kinds
