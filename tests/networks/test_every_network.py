"""What every network promises, whatever its encoder."""

import pytest
import torch
from torch import nn

from lungscore.networks import ENCODERS, LESION_NETWORKS, NETWORKS, make_network

WITH_ENCODER = (
    "inf-net",
    "finer-inf-net",
    "slim-inf-net",
    "lesion-inf-net",
    "finer-lesion-inf-net",
)
FINER = ("finer-inf-net", "slim-inf-net", "finer-lesion-inf-net")
# The others are Inf-Net with more heads: their larger encoders wait for the slow tests.
CASES = [
    pytest.param(
        (name, encoder),
        marks=pytest.mark.slow if name != "inf-net" and encoder not in ("resnet18", "none") else (),
        id=f"{name}-{encoder}",
    )
    for name in NETWORKS
    for encoder in (sorted(ENCODERS) if name in WITH_ENCODER else ["none"])
]


def channels(name: str) -> int:
    return 2 if name in LESION_NETWORKS else 1


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """The name of a network and the network, its batch norms calibrated."""
    name, encoder = request.param
    torch.manual_seed(0)
    network = make_network(name, encoder=encoder, base_width=8)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the running statistics become those of one batch
    with torch.no_grad():
        network.train()(torch.rand(2, channels(name), 64, 48))
    return name, network.eval()


@pytest.mark.parametrize("size", [(97, 65), (32, 32)])
def test_images_of_any_size_give_logits_of_their_size(case, size):
    name, network = case
    with torch.no_grad():
        output = network(torch.rand(1, channels(name), *size))
    classes = 3 if name in LESION_NETWORKS else 1
    side_outputs = (5 if name in FINER else 4) if name in WITH_ENCODER else 1
    assert [logits.shape for logits in output.side_outputs] == [(1, classes, *size)] * side_outputs
    assert all(torch.isfinite(logits).all() for logits in output.side_outputs)
    if name in WITH_ENCODER:
        assert output.edge.shape == (1, 1, *size)
    else:
        assert output.edge is None


def test_a_slice_gets_the_same_output_again_alone_and_in_a_batch(case):
    name, network = case
    images = torch.rand(2, channels(name), 40, 56)
    with torch.no_grad():
        together, again = network(images).side_outputs[-1], network(images).side_outputs[-1]
        alone = network(images[1:]).side_outputs[-1]
    assert torch.equal(together, again)
    # Freshly calibrated batch norms amplify rounding; a mixed-up batch would differ by far more.
    torch.testing.assert_close(alone, together[1:], rtol=0, atol=2e-2)


def test_gradients_reach_every_parameter(case):
    # In eval mode: in training mode batch norm takes away what a bias before it adds. In float64:
    # where a coarse map is sure of infection, reverse attention rounds to nothing in float32.
    name, network = case
    output = network.double()(torch.rand(1, channels(name), 65, 49, dtype=torch.float64))
    maps = [*output.side_outputs, *([] if output.edge is None else [output.edge])]
    sum(logits.square().mean() for logits in maps).backward()
    untouched = [
        key
        for key, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    network.zero_grad(set_to_none=True)
    network.float()
    assert untouched == []


def test_a_single_slice_can_be_trained_on(case):
    name, network = case
    with torch.no_grad():
        output = network.train()(torch.rand(1, channels(name), 65, 49))
    network.eval()
    assert torch.isfinite(output.side_outputs[-1]).all()


def test_an_unknown_network_is_a_key_error():
    with pytest.raises(KeyError):
        make_network("w-net")
