import pytest
import torch

from lungscore.networks import InfNet
from lungscore.networks.blocks import (
    EdgeAttention,
    PartialDecoder,
    ReceptiveFieldBlock,
    ReverseAttention,
    not_infected,
    resize_like,
)


def test_inf_net_with_resnet18_has_the_published_layers():
    parameters = sum(parameter.numel() for parameter in InfNet("resnet18").parameters())
    assert parameters == pytest.approx(17.664e6, abs=1e3)


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
    coarse, fused = PartialDecoder(8).eval()(*features)
    assert (coarse.shape, fused.shape) == ((2, 1, *sizes[-1]), (2, 24, *sizes[-1]))


def test_edge_attention_gives_features_and_logits():
    features, logits = EdgeAttention(12, 6).eval()(torch.rand(1, 12, 9, 8))
    assert features.shape == (1, 6, 9, 8)
    assert logits.shape == (1, 1, 9, 8)


def test_reverse_attention_adds_to_the_coarser_map_and_ignores_what_is_found():
    torch.manual_seed(3)
    stage = ReverseAttention(8, 4, edge_channels=2).eval()
    edge, coarser = torch.rand(1, 2, 12, 12), torch.full((1, 1, 3, 3), 50.0)
    with torch.no_grad():
        first = stage(torch.rand(1, 8, 6, 6), edge, coarser)
        second = stage(torch.rand(1, 8, 6, 6), edge, coarser)
        plain = stage(torch.rand(1, 8, 6, 6), edge, -coarser)
    # Where infection is certain the features are attended with 0; there are only edges left.
    assert torch.equal(first, second)
    assert first.mean() > 40
    assert plain.mean() < -40


def test_attention_goes_where_background_is_likely():
    logit = torch.randn(2, 1, 4, 4)
    torch.testing.assert_close(not_infected(logit), 1 - logit.sigmoid())
    logits = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(not_infected(logits), 1 - logits.softmax(1)[:, 1:].sum(1, True))


@pytest.mark.parametrize("classes", [1, 3])
def test_blocks_give_as_many_channels_as_there_are_classes(classes):
    decoder = PartialDecoder(8, classes=classes).eval()
    coarse, _ = decoder(*(torch.rand(1, 8, size, size) for size in (2, 4, 8)))
    stage = ReverseAttention(8, 4, edge_channels=2, classes=classes).eval()
    fine = stage(torch.rand(1, 8, 4, 4), torch.rand(1, 2, 16, 16), coarse)
    assert (coarse.shape, fine.shape) == ((1, classes, 8, 8), (1, classes, 4, 4))


def test_resize_is_by_size_so_odd_sizes_need_no_padding():
    assert resize_like(torch.rand(1, 2, 3, 5), torch.rand(1, 9, 7, 11)).shape == (1, 2, 7, 11)
