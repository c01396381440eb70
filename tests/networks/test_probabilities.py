import numpy as np
import pytest
import torch
from torch import nn

from lungscore.networks import (
    ENCODERS,
    LESION_NETWORKS,
    NETWORKS,
    InfectionProbability,
    LesionProbabilities,
    make_network,
    normalise,
)


def some(name: str) -> nn.Module:
    torch.manual_seed(0)
    return make_network(name, base_width=8).eval()


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(LESION_NETWORKS)))
def test_probability_is_the_sigmoid_of_the_finest_output_and_never_stretched(name):
    network, grey = some(name), torch.rand(1, 1, 48, 33)
    with torch.no_grad():
        probability = InfectionProbability(network)(grey)
        expected = network(normalise(grey)).side_outputs[-1].sigmoid()
    assert torch.equal(probability, expected)
    assert probability.min() > 0
    assert probability.max() < 1


@pytest.mark.parametrize("name", LESION_NETWORKS)
def test_probabilities_of_background_ggo_and_consolidation_sum_to_one(name):
    with torch.no_grad():
        probs = LesionProbabilities(some(name))(torch.rand(2, 1, 48, 33), torch.rand(2, 1, 48, 33))
    assert probs.shape == (2, 3, 48, 33)
    assert (probs >= 0).all()
    torch.testing.assert_close(probs.sum(1), torch.ones(2, 48, 33))


def test_normalised_grey_has_the_mean_of_imagenet_at_zero():
    assert normalise(torch.tensor(0.449)) == pytest.approx(0, abs=1e-6)
    assert normalise(torch.tensor(0.449 + 0.226)) == pytest.approx(1, abs=1e-6)


def exported_and_run(network: nn.Module, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """What ONNX Runtime computes from the network's exported graph."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    program = torch.onnx.export(
        network,
        tuple(inputs.values()),
        input_names=list(inputs),
        dynamo=True,
        optimize=False,
        verbose=False,
    )
    session = runtime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]


def check_export(name: str, encoder: str = "none") -> None:
    torch.manual_seed(0)
    network = make_network(name, encoder=encoder, base_width=8)
    inputs = {"grey": torch.rand(1, 1, 65, 49)}
    wrapper = InfectionProbability
    if name in LESION_NETWORKS:
        inputs["prior"], wrapper = torch.rand(1, 1, 65, 49), LesionProbabilities
    network = wrapper(network).eval()
    with torch.no_grad():
        expected = network(*inputs.values()).numpy()
    np.testing.assert_allclose(exported_and_run(network, inputs), expected, atol=1e-4)


@pytest.mark.parametrize("name", [pytest.param("u-net", marks=pytest.mark.slow), "multi-inf-net"])
def test_the_exported_graph_computes_what_the_network_does(name):
    check_export(name)


@pytest.mark.slow
def test_the_exported_graph_of_covid_segnet_computes_what_the_network_does():
    check_export("covid-segnet")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoder"),
    [("lesion-inf-net", "resnet18"), *(("inf-net", encoder) for encoder in sorted(ENCODERS))],
)
def test_the_exported_graph_of_every_encoder_computes_what_the_network_does(name, encoder):
    check_export(name, encoder)
