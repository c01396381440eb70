import pytest
import torch
from torch import nn

from lungscore.networks import InfNet, LesionInfNet, normalise
from lungscore.networks.lesion_inf_net import (
    CONSOLIDATION,
    DENSE_GREY,
    GGO,
    LOGIT_OF_20_LEVELS,
    DensitySplit,
)


@pytest.fixture(
    scope="module",
    params=[("resnet18", False), ("resnet18", True), ("vgg16", False)],
    ids=["resnet18", "resnet18-finer", "vgg16"],
)
def pair(request):
    """A network for infection as if trained, and one for lesions that starts from it."""
    torch.manual_seed(0)
    encoder, finer = request.param
    single, lesions = InfNet(encoder, finer=finer), LesionInfNet(encoder, finer=finer)
    with torch.no_grad():
        for module in single.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
        single.train()(torch.rand(2, 1, 64, 64))
    lesions.start_from_infection(single.state_dict())
    return single, lesions


@pytest.mark.parametrize("training", [False, True])
def test_at_the_start_infection_is_that_of_the_single_network_whatever_the_prior(pair, training):
    single, lesions = (network.train(training) for network in pair)
    image = torch.randn(2, 1, 65, 97)
    with torch.no_grad():
        expected = single(image)
        output = lesions(torch.cat([image, torch.rand(2, 1, 65, 97)], dim=1))
    for infection, three in zip(expected.side_outputs, output.side_outputs, strict=True):
        probs = three.softmax(dim=1)
        torch.testing.assert_close(
            probs[:, 1:].sum(1, keepdim=True), infection.sigmoid(), rtol=1e-3, atol=1e-4
        )
        dense = lesions.density(image).sigmoid()
        torch.testing.assert_close(
            probs[:, CONSOLIDATION:], infection.sigmoid() * dense, rtol=1e-3, atol=1e-4
        )
    torch.testing.assert_close(output.edge, expected.edge)


def test_density_alone_speaks_for_consolidation_above_its_grey_level_at_the_start():
    levels = torch.tensor([DENSE_GREY - 20, DENSE_GREY, DENSE_GREY + 20]).view(3, 1, 1, 1) / 255
    with torch.no_grad():
        logits = DensitySplit()(normalise(levels.expand(3, 1, 20, 30)))
    expected = torch.tensor([-LOGIT_OF_20_LEVELS, 0.0, LOGIT_OF_20_LEVELS]).view(3, 1, 1, 1)
    torch.testing.assert_close(logits, expected.expand(3, 1, 20, 30), rtol=1e-4, atol=1e-4)


def test_at_the_start_the_prior_can_still_be_learned(pair):
    _, lesions = pair
    lesions.eval()(torch.rand(1, 2, 64, 64)).side_outputs[-1][:, GGO].mean().backward()
    weight = next(p for p in lesions.encoder.parameters() if p.ndim == 4)
    assert not weight[:, 1].any()
    assert weight.grad[:, 1].any()


def test_starting_leaves_the_single_network_as_it_was(pair):
    single, lesions = pair
    with torch.no_grad():
        before = single.refine_deep.head[0].weight.clone()
        lesions.refine_deep.head[0].weight.add_(1)
    assert torch.equal(single.refine_deep.head[0].weight, before)


def test_weights_of_another_network_are_refused():
    with pytest.raises(RuntimeError, match="state_dict"):
        LesionInfNet("resnet18").start_from_infection(InfNet("vgg16").state_dict())
