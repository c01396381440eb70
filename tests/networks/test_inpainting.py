"""Heads that reconstruct take the place of those that segment, and give it back."""

import pytest
import torch
from torch import nn

from lungscore.networks import LESION_NETWORKS, NETWORKS, COVIDSegNet, make_network
from lungscore.networks.inpainting import (
    masked_mean,
    put_inpainting_heads,
    reconstruction_error,
    restore_heads,
)


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return make_network(name, encoder="resnet18", base_width=8)


def tensors(module: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def of_a_head(name: str) -> bool:
    return "head" in name.split(".")


@pytest.mark.parametrize("name", NETWORKS)
def test_heads_come_back_as_they_were_and_nothing_else_is_replaced(name):
    segmenting = network(name).train()
    before = tensors(segmenting)
    values = {key: value.clone() for key, value in before.items()}
    saved = put_inpainting_heads(segmenting)
    during = tensors(segmenting)
    assert all(during[key] is value for key, value in before.items() if not of_a_head(key))
    assert not {id(during[key]) for key in during if of_a_head(key)} & {
        id(value) for value in before.values()
    }
    channels = 2 if name in LESION_NETWORKS else 1
    output = segmenting(torch.rand(2, channels, 64, 48))
    assert {logits.shape for logits in output.side_outputs} == {(2, 1, 64, 48)}
    # One step of everything: the segmentation heads must not notice.
    sum(logits.square().mean() for logits in output.side_outputs).backward()
    with torch.no_grad():
        for parameter in segmenting.parameters():
            parameter.sub_(1)
    restore_heads(segmenting, saved)
    after = tensors(segmenting)
    assert list(after) == list(before)
    assert all(after[key] is value for key, value in before.items())
    for key, value in after.items():
        assert torch.equal(value, values[key]) or not of_a_head(key)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_head_is_one_linear_convolution_of_the_same_kernel(name):
    segmenting = network(name)
    saved = put_inpainting_heads(segmenting)
    finer = ("finer-inf-net", "slim-inf-net", "finer-lesion-inf-net")
    heads = dict.fromkeys(("inf-net", "lesion-inf-net"), 5) | dict.fromkeys(finer, 6)
    assert len(saved.modules) == heads.get(name, 1)
    for path, module in saved.modules.items():
        linear = segmenting.get_submodule(path)
        first = module[0] if isinstance(module, nn.Sequential) else module
        assert type(linear) is nn.Conv2d
        assert (linear.kernel_size, linear.padding) == (first.kernel_size, first.padding)
        assert linear.out_channels == 1
        assert linear.bias is not None


def test_volumes_have_heads_too():
    segmenting = COVIDSegNet(3, base_width=4).eval()
    saved = put_inpainting_heads(segmenting, channels=2)
    with torch.no_grad():
        assert segmenting(torch.rand(1, 1, 8, 8, 8)).side_outputs[0].shape == (1, 2, 8, 8, 8)
    restore_heads(segmenting, saved)
    assert segmenting.head.out_channels == 1


@pytest.mark.parametrize("without", [nn.Linear(2, 2), nn.ModuleDict({"head": nn.Linear(2, 2)})])
def test_a_network_without_convolutions_as_heads_cannot_reconstruct(without):
    with pytest.raises(ValueError, match="head"):
        put_inpainting_heads(without)


def test_the_error_is_squared_and_limited_where_asked():
    inpainted, image = torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 0.5, 1.0])
    assert reconstruction_error(inpainted, image).tolist() == [0, 0.25, 4]
    assert reconstruction_error(inpainted, image, limit=2).tolist() == [0, 0.25, 2]


def test_the_mean_counts_what_the_mask_says():
    error = torch.tensor([[1.0, 2.0], [3.0, 10.0]])[None, None]
    assert masked_mean(error, torch.tensor([[1.0, 0.0], [1.0, 0.0]])[None, None]) == 2
    assert masked_mean(error, torch.tensor([[0.5, 0.0], [0.0, 0.25]])[None, None]) == 4
    assert masked_mean(error, torch.zeros(1, 1, 2, 2)) == 0
