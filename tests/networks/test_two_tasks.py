"""Two sets of heads on one network: what is shared, and that nothing else changes."""

import pytest
import torch
from torch import nn

from lungscore.networks import LESION_NETWORKS, NETWORKS, make_network
from lungscore.networks.two_tasks import TwoTasks, averages_kept, twin_of

SINGLE = [name for name in NETWORKS if name not in LESION_NETWORKS]


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return make_network(name, base_width=8)


def of_a_head(name: str) -> bool:
    return "head" in name.split(".")


@pytest.mark.parametrize("name", SINGLE)
def test_all_but_the_heads_is_shared_and_the_heads_are_not(name):
    segment = network(name)
    before = {key: value.clone() for key, value in segment.state_dict().items()}
    both = TwoTasks(segment, erase=0.25, block=16)
    first, second = (
        dict([*part.named_parameters(), *part.named_buffers()])
        for part in (both.segment, both.inpaint)
    )
    for key, value in first.items():
        if of_a_head(key):
            assert second.get(key) is not value, key
        else:
            assert second[key] is value, key
    assert both.segment is segment
    after = segment.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_a_twin_gives_the_same_and_follows_what_is_learned():
    segment = network("inf-net").eval()
    twin, image = twin_of(segment), torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(twin(image).side_outputs[0], segment(image).side_outputs[0])
        segment.encoder.conv1.weight.mul_(1.5)
        assert torch.equal(twin(image).side_outputs[0], segment(image).side_outputs[0])


def test_segmentation_sees_the_whole_slice():
    both, image = TwoTasks(network("u-net"), erase=0.5, block=16).eval(), torch.rand(2, 1, 64, 48)
    with torch.no_grad():
        output, error = both(image)
        assert torch.equal(output.side_outputs[0], both.segment(image).side_outputs[0])
    assert error > 0


def test_gradients_of_either_task_reach_what_both_share():
    both = TwoTasks(network("u-net"), erase=0.25, block=16)
    output, error = both(torch.rand(2, 1, 64, 64))
    shared, head = both.segment.stem[0].weight, both.segment.head.weight
    of_error = torch.autograd.grad(error, [shared, head], allow_unused=True, retain_graph=True)
    of_output = torch.autograd.grad(output.side_outputs[0].sum(), [shared, head])
    assert of_error[0].any()
    assert of_error[1] is None
    assert all(gradient.any() for gradient in of_output)


def test_running_averages_are_those_of_whole_slices():
    torch.manual_seed(0)
    image = torch.rand(2, 1, 64, 64)
    alone, both = network("u-net").train(), TwoTasks(network("u-net"), erase=0.5, block=16).train()
    with torch.no_grad():
        alone(image)
        both(image)
    averages = {k: v for k, v in alone.named_buffers() if "running" in k}
    for key, value in averages.items():
        assert torch.equal(both.segment.get_buffer(key), value), key
    with averages_kept(both.segment):
        pass
    assert both.segment.stem[1].momentum == 0.1
