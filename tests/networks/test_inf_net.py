import pytest
import torch

from lungscore.networks import ENCODERS, InfectionProbability, InfNet, normalise
from lungscore.networks.blocks import (
    EdgeAttention,
    PartialDecoder,
    ReceptiveFieldBlock,
    ReverseAttention,
    resize_like,
)
from lungscore.networks.encoders import ResNet18


@pytest.fixture(scope="module", params=sorted(ENCODERS))
def network(request):
    torch.manual_seed(0)
    return InfNet(request.param).eval()


@pytest.mark.parametrize("size", [(33, 47), (64, 96), (100, 75)])
def test_images_of_any_size_pass_through_every_encoder(network, size):
    with torch.no_grad():
        output = network(torch.rand(1, 1, *size))
    assert [logits.shape for logits in output.side_outputs] == [(1, 1, *size)] * 4
    assert output.edge.shape == (1, 1, *size)
    assert all(torch.isfinite(logits).all() for logits in (*output.side_outputs, output.edge))


def test_an_encoder_gives_four_maps_at_a_quarter_to_a_32nd(network):
    with torch.no_grad():
        features = network.encoder(torch.rand(2, 1, 64, 96))
    channels = network.encoder.channels
    assert [tuple(f.shape) for f in features] == [
        (2, width, 64 // stride, 96 // stride)
        for width, stride in zip(channels, (4, 8, 16, 32), strict=True)
    ]


def test_a_slice_gets_the_same_output_alone_and_in_a_batch(network):
    images = torch.rand(2, 1, 40, 56)
    with torch.no_grad():
        together, again = network(images).side_outputs[-1], network(images).side_outputs[-1]
        alone = network(images[1:]).side_outputs[-1]
    assert torch.equal(together, again)
    torch.testing.assert_close(alone, together[1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_gradients_reach_every_parameter(encoder):
    torch.manual_seed(1)
    network = InfNet(encoder)
    output = network(torch.rand(2, 1, 64, 64))
    torch.stack([*output.side_outputs, output.edge]).square().mean().backward()
    untouched = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert untouched == []


def test_encoders_take_the_number_of_channels():
    for make in ENCODERS.values():
        assert len(make(3).eval()(torch.rand(1, 3, 32, 32))) == 4


def test_inf_net_with_resnet18_has_the_published_layers():
    parameters = sum(parameter.numel() for parameter in InfNet("resnet18").parameters())
    assert parameters == pytest.approx(17.664e6, abs=1e3)


def test_resnet18_has_the_parameter_names_of_torchvision():
    norm = ("weight", "bias")
    expected = {"conv1.weight", *(f"bn1.{part}" for part in norm)}
    for layer in range(1, 5):
        for block in range(2):
            place = f"layer{layer}.{block}"
            for index in (1, 2):
                expected.add(f"{place}.conv{index}.weight")
                expected |= {f"{place}.bn{index}.{part}" for part in norm}
            if layer > 1 and block == 0:
                expected.add(f"{place}.downsample.0.weight")
                expected |= {f"{place}.downsample.1.{part}" for part in norm}
    assert {name for name, _ in ResNet18(3).named_parameters()} == expected
    # torchvision's resnet18 has 11,689,512 parameters, 513,000 of them in the classifier.
    assert sum(p.numel() for p in ResNet18(3).parameters()) == 11_689_512 - 513_000


@pytest.mark.parametrize("in_channels", [48, 64])
def test_receptive_field_block_keeps_the_size_and_reduces_the_channels(in_channels):
    block = ReceptiveFieldBlock(in_channels, 16).eval()
    reduced = block(torch.rand(1, in_channels, 7, 9))
    assert reduced.shape == (1, 16, 7, 9)
    assert (reduced >= 0).all()


def test_receptive_field_block_looks_farther_than_its_dilations():
    torch.manual_seed(2)
    block = ReceptiveFieldBlock(4, 4).eval()
    x = torch.rand(1, 4, 41, 41, requires_grad=True)
    block(x)[0, :, 20, 20].sum().backward()
    rows, columns = torch.nonzero(x.grad.abs().sum((0, 1)), as_tuple=True)
    # A kernel of 7, one of 3 with dilation 7, and the merging one of 3: 3 + 7 + 1 to each side.
    assert rows.max() - rows.min() == columns.max() - columns.min() == 22


@pytest.mark.parametrize("sizes", [((2, 3), (4, 6), (8, 12)), ((2, 2), (3, 3), (5, 6))])
def test_partial_decoder_gives_one_map_at_the_shallow_size(sizes):
    features = [torch.rand(2, 8, *size) for size in sizes]
    assert PartialDecoder(8).eval()(*features).shape == (2, 1, *sizes[-1])


def test_edge_attention_gives_features_and_logits():
    features, logits = EdgeAttention(12, 6).eval()(torch.rand(1, 12, 9, 8))
    assert features.shape == (1, 6, 9, 8)
    assert logits.shape == (1, 1, 9, 8)


def test_reverse_attention_adds_to_the_coarser_map_and_ignores_what_is_found():
    torch.manual_seed(3)
    stage = ReverseAttention(8, 4, edge_channels=2).eval()
    edge, coarser = torch.rand(1, 2, 12, 12), torch.full((1, 1, 3, 3), 50.0)
    with torch.no_grad():
        one = stage(torch.rand(1, 8, 6, 6), edge, coarser)
        other = stage(torch.rand(1, 8, 6, 6), edge, coarser)
        plain = stage(torch.rand(1, 8, 6, 6), edge, -coarser)
    # Where infection is certain the features are attended with 0; there are only edges left.
    assert torch.equal(one, other)
    assert one.mean() > 40
    assert plain.mean() < -40


def test_resize_is_by_size_so_odd_sizes_need_no_padding():
    assert resize_like(torch.rand(1, 2, 3, 5), torch.rand(1, 9, 7, 11)).shape == (1, 2, 7, 11)


def test_probability_is_the_sigmoid_of_the_finest_output_and_never_stretched(network):
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        probability = InfectionProbability(network)(grey)
        expected = network(normalise(grey)).side_outputs[-1].sigmoid()
    assert torch.equal(probability, expected)
    assert probability.min() > 0
    assert probability.max() < 1


def test_normalised_grey_has_the_mean_of_imagenet_at_zero():
    assert normalise(torch.tensor(0.449)) == pytest.approx(0, abs=1e-6)
    assert normalise(torch.tensor(0.449 + 0.226)) == pytest.approx(1, abs=1e-6)
