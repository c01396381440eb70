"""What an exported bundle holds: weights once, no pickle, nothing of the exporting machine."""

import getpass
import socket
from pathlib import Path

import numpy as np
import pytest

from lungscore.inference.bundle import WEIGHTS
from tests.inference.random_bundle import HEIGHT, LESIONS_HEIGHT, LESIONS_WIDTH, WIDTH

onnx = pytest.importorskip("onnx")


def graph_of(bundle):
    return onnx.load(bundle.graph, load_external_data=False)


@pytest.fixture(scope="module", params=["bundle", "lesions_bundle"])
def any_bundle(request):
    """That for infection, then that for lesions."""
    return request.getfixturevalue(request.param)


def test_the_graph_is_small_and_the_weights_are_stored_once(bundle):
    assert bundle.graph.stat().st_size < 1e6
    assert bundle.weights.stat().st_size < 40e6
    assert {path.name for path in bundle.folder.iterdir()} == {
        "card.json",
        "model.onnx",
        "weights.safetensors",
    }


def shapes(values) -> dict[str, list[int]]:
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


def test_the_graph_takes_one_slice_and_gives_one_map(bundle):
    graph = graph_of(bundle).graph
    assert shapes(graph.input) == {"grey": [1, 1, HEIGHT, WIDTH]}
    assert shapes(graph.output) == {"infection": [1, 1, HEIGHT, WIDTH]}


def test_a_graph_for_lesions_takes_a_slice_and_a_prior_and_gives_three_maps(lesions_bundle):
    graph, size = graph_of(lesions_bundle).graph, [LESIONS_HEIGHT, LESIONS_WIDTH]
    assert list(shapes(graph.input)) == list(lesions_bundle.card.inputs)  # in this order
    assert shapes(graph.input) == {"grey": [1, 1, *size], "prior": [1, 1, *size]}
    assert shapes(graph.output) == {"lesions": [1, 3, *size]}


def test_every_parameter_points_into_the_weights_file(any_bundle):
    bundle, graph = any_bundle, graph_of(any_bundle)
    from safetensors.numpy import load_file

    stored = load_file(bundle.weights)
    content = bundle.weights.read_bytes()
    outside = [t for t in graph.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    # All but the edge branch's head, which gives nothing to the probability.
    unused = set(stored) - {t.name.removeprefix("network.").removesuffix(".fp16") for t in outside}
    assert all(name.startswith("edge_attention.head") for name in unused)
    for tensor in outside:
        location = {entry.key: entry.value for entry in tensor.external_data}
        assert location["location"] == WEIGHTS
        start, length = int(location["offset"]), int(location["length"])
        expected = stored[tensor.name.removeprefix("network.").removesuffix(".fp16")]
        kind = np.float16 if tensor.data_type == onnx.TensorProto.FLOAT16 else np.float32
        values = np.frombuffer(content[start : start + length], kind).reshape(tensor.dims)
        np.testing.assert_array_equal(values, expected)
    inside = [t for t in graph.graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
    assert all(np.prod(t.dims) < 1000 for t in inside)


def test_nothing_tells_on_which_machine_the_bundle_was_made(any_bundle):
    bundle = any_bundle
    names = {str(Path.home()), str(Path(__file__).parents[2]), socket.gethostname()}
    names |= {"site-packages", ".py", "/tmp", "/usr/"}  # noqa: S108
    if len(getpass.getuser()) > 4:
        names.add(getpass.getuser())
    for file in (bundle.graph, bundle.weights.with_name("card.json")):
        content = file.read_bytes()
        assert [name for name in names if name.encode() in content] == []
    header = bundle.weights.read_bytes()[:50_000]
    assert [name for name in names if len(name) > 3 and name.encode() in header] == []


def test_nothing_is_pickled(any_bundle):
    for file in any_bundle.folder.iterdir():
        start = file.read_bytes()[:4]
        assert not start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04"))


def test_exporting_leaves_the_network_as_it_was(bundle, monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    from lungscore.learning import export
    from lungscore.networks import InfNet

    class Stopped(Exception):
        pass

    def stop(*_, **__):
        raise Stopped

    network = InfNet()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    monkeypatch.setattr(export.torch.onnx, "export", stop)
    with pytest.raises(Stopped):
        export.export_bundle(network, tmp_path, height=64, width=96)
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
