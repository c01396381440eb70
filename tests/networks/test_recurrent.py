"""Recurrent convolution, and the networks of COVID_MTNet that are built from it."""

import numpy as np
import pytest
import torch
from torch import nn

from lungscore.networks import IRRCNN, SLICE_DETECTOR, InfectionProbability, NablaN, make_network
from lungscore.networks.irrcnn import InceptionRecurrentUnit
from lungscore.networks.recurrent import RecurrentConvolution, RecurrentResidualUnit


def calibrated(network: nn.Module) -> nn.Module:
    """In evaluation mode, batch norm's running averages those of one batch."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(torch.rand(4, 1, 65, 49))
    return network.eval()


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return calibrated(make_network(SLICE_DETECTOR, base_width=8))


# The recurrent layer


def test_every_step_adds_what_the_same_kernel_makes_of_the_one_before():
    torch.manual_seed(0)
    layer = RecurrentConvolution(2, 3, steps=2).eval()
    x = torch.rand(1, 2, 9, 9)
    fed = layer.forward_kernel(x)
    state = layer.norms[0](fed).relu()
    for norm in layer.norms[1:]:
        state = norm(fed + layer.recurrent_kernel(state)).relu()
    assert torch.equal(layer(x), state)
    assert len(layer.norms) == 3


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_each_step_widens_what_a_pixel_sees(steps):
    torch.manual_seed(0)
    layer = RecurrentConvolution(1, 4, steps=steps).eval()
    image = torch.rand(1, 1, 15, 15, requires_grad=True)
    with torch.no_grad():  # no unit rests, so that every path counts
        for kernel in (layer.forward_kernel, layer.recurrent_kernel):
            kernel.weight.abs_()
    layer(image)[0, :, 7, 7].sum().backward()
    rows = torch.nonzero(image.grad[0, 0].abs().sum(1))
    assert rows.max() - rows.min() + 1 == 3 + 2 * steps


def test_a_residual_unit_without_refinement_passes_its_input_on():
    torch.manual_seed(0)
    unit = RecurrentResidualUnit(2, 3).eval()
    with torch.no_grad():
        for norm in unit.refine[-1].norms:
            norm.weight.zero_()
    x = torch.rand(1, 2, 8, 8)
    assert torch.equal(unit(x), unit.match(x))


# NABLA-N (what all networks promise is in test_every_network.py)


@pytest.mark.parametrize("decoders", [1, 2, 3])
def test_decoders_start_from_ever_shallower_levels(decoders):
    torch.manual_seed(0)
    network = NablaN(base_width=4, decoders=decoders)
    assert [len(units) for units in network.decoders] == [4, 3, 2][:decoders]
    assert network.head.in_channels == 4 * decoders
    with torch.no_grad():
        assert network.eval()(torch.rand(1, 1, 33, 47)).side_outputs[0].shape == (1, 1, 33, 47)


def test_a_decoder_takes_what_the_one_before_made_at_its_size():
    torch.manual_seed(0)
    network = NablaN(base_width=4).eval()
    with torch.no_grad():  # the head reads the last decoder alone
        network.head.weight[:, :8] = 0
    network(torch.rand(1, 1, 32, 32)).side_outputs[0].sum().backward()
    reached = [[bool(unit.match.weight.grad.any()) for unit in units] for units in network.decoders]
    # The shallowest features of the first decoder go into the second, of which those go on; what
    # the last decoder starts from, it takes from the encoder.
    assert reached == [[True] * 4, [True] * 3, [True] * 2]


@pytest.mark.parametrize("decoders", [0, 5])
def test_there_are_as_many_decoders_as_levels_below_the_first_at_most(decoders):
    with pytest.raises(ValueError, match=f"{decoders} decoders"):
        NablaN(base_width=4, decoders=decoders)


@pytest.mark.slow
def test_at_full_width_it_segments_too():
    torch.manual_seed(0)
    network = NablaN().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == 68_863_745
    with torch.no_grad():
        assert torch.isfinite(network(torch.rand(1, 1, 64, 96)).side_outputs[0]).all()


# IRRCNN


@pytest.mark.parametrize("size", [(32, 32), (97, 65), (33, 64)])
def test_slices_of_any_size_get_one_logit_each(detector, size):
    with torch.no_grad():
        logits = detector(torch.rand(3, 1, *size))
    assert logits.shape == (3,)
    assert torch.isfinite(logits).all()


def test_a_slice_gets_the_same_logit_again_alone_and_in_a_batch(detector):
    images = torch.rand(3, 1, 41, 57)
    with torch.no_grad():
        together = detector(images)
        assert torch.equal(detector(images), together)
        torch.testing.assert_close(detector(images[1:2]), together[1:2], rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_parameter_of_the_detector(detector):
    detector.double()(torch.rand(2, 1, 65, 49, dtype=torch.float64)).square().sum().backward()
    untouched = [k for k, p in detector.named_parameters() if p.grad is None or not p.grad.any()]
    detector.zero_grad(set_to_none=True)
    detector.float()
    assert untouched == []


def test_branches_see_one_pixel_and_three_and_the_mean_of_three():
    unit = InceptionRecurrentUnit(4, 8)
    assert unit.point.forward_kernel.kernel_size == (1, 1)
    assert unit.near.forward_kernel.kernel_size == (3, 3)
    assert unit.smooth.forward_kernel.kernel_size == (1, 1)
    flat = torch.ones(1, 4, 6, 6)
    with torch.no_grad():  # an even image has the same mean everywhere, at its borders too
        even = unit.eval().smooth(nn.functional.avg_pool2d(flat, 3, 1, 1, count_include_pad=False))
        assert torch.equal(even, unit.smooth(flat))


def test_a_width_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match="not a multiple of 4"):
        IRRCNN(base_width=6)


# As other engines run them


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nabla-n", SLICE_DETECTOR])
def test_an_exported_network_gives_what_torch_gives(tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    network = calibrated(make_network(name, base_width=8))
    if name == "nabla-n":
        network = InfectionProbability(network).eval()
    grey = torch.rand(1, 1, 45, 61)
    torch.onnx.export(
        network, (grey,), tmp_path / "model.onnx", input_names=["grey"], dynamo=True, verbose=False
    )
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(grey).numpy()
    np.testing.assert_allclose(session.run(None, {"grey": grey.numpy()})[0], expected, atol=1e-4)
