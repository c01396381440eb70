import importlib
import sys

import numpy as np
import pytest

from lungscore.errors import ResourceError, UsageError
from lungscore.evaluation.metrics import dice
from lungscore.inference import EngineUsed, engines
from lungscore.inference.engines import ENGINE_MODULES, make_engine
from tests.inference.random_bundle import images_of


@pytest.fixture(scope="module", autouse=True)
def threads_of_torch():
    """The torch engine sets the number of threads of the process; other tests want theirs."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["infection", "lesions"])
def target(request):
    """Every engine runs networks of one input and of two."""
    return request.param


@pytest.fixture(scope="module")
def model(target, request):
    return request.getfixturevalue("bundle" if target == "infection" else "lesions_bundle")


@pytest.fixture(scope="module")
def slices(model):
    """Five slices as the model sees them; each has the next one for its prior."""
    spec = model.card.input
    images = images_of(5, spec.height, spec.width)
    greys = [(image,) for image in images]
    if len(model.card.inputs) == 1:
        return greys
    return [(image, images[index - 4]) for index, image in enumerate(images)]


@pytest.fixture(scope="module")
def maps(model, slices):
    """engine -> its probabilities of every slice at f32."""
    for module in ENGINE_MODULES.values():
        pytest.importorskip(module)
    return {
        name: list(make_engine(model, name=name, precision="f32", threads=1)[0](slices))
        for name in ENGINE_MODULES
    }


@pytest.mark.parametrize("name", list(ENGINE_MODULES))
def test_every_engine_gives_probabilities_of_the_size_of_the_slice(model, maps, name):
    spec = model.card.input
    for probabilities in maps[name]:
        assert probabilities.shape == (len(model.card.outputs), spec.height, spec.width)
        assert probabilities.dtype == np.float32
        assert 0 <= probabilities.min() < 0.3
        assert 0.7 < probabilities.max() <= 1


@pytest.mark.parametrize("name", list(ENGINE_MODULES))
def test_both_inputs_of_a_network_for_lesions_count(lesions_bundle, name):
    spec = lesions_bundle.card.input
    first, second = images_of(2, spec.height, spec.width)
    run, _ = make_engine(lesions_bundle, name=name, threads=1)
    whole, without_prior, swapped = run([(first, second), (first, 0 * second), (second, first)])
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=1e-5)
    assert np.abs(whole - without_prior).max() > 0.1
    assert np.abs(whole - swapped).max() > 0.1


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_engines_agree_at_equal_precision(maps, name):
    for probabilities, expected in zip(maps[name], maps["torch"], strict=True):
        assert np.abs(probabilities - expected).max() < 1e-4
    infected, expected = np.stack(maps[name]) >= 0.5, np.stack(maps["torch"]) >= 0.5
    assert dice(infected, expected) >= 0.999


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_bf16_is_close_to_f32(model, slices, maps, name):
    """Eight bits of mantissa: 0.03 of probability on average, 0.95 of Dice, even in a random
    network, which is undecided nearly everywhere."""
    run, used = make_engine(model, name=name, precision="bf16", threads=1)
    assert used == EngineUsed(name, "bf16")
    probabilities, expected = np.stack(list(run(slices))), np.stack(maps["torch"])
    assert 0 < np.abs(probabilities - expected).mean() < 0.03
    assert dice(probabilities >= 0.5, expected >= 0.5) > 0.95


@pytest.mark.parametrize("name", list(ENGINE_MODULES))
def test_a_stream_keeps_its_order_with_more_slices_than_requests(model, slices, maps, name):
    run, _ = make_engine(model, name=name, precision="f32", threads=2)
    order = [3, None, None, None, 1, 4, 1, None, 0, 2, 0, None]
    outputs = list(run(None if index is None else slices[index] for index in order))
    assert len(outputs) == len(order)
    for index, probabilities in zip(order, outputs, strict=True):
        if index is None:
            assert probabilities is None
        else:
            np.testing.assert_allclose(probabilities, maps[name][index], atol=1e-4)


@pytest.mark.parametrize("name", list(ENGINE_MODULES))
def test_an_engine_runs_again_after_a_stream_was_left_early(model, slices, maps, name):
    run, _ = make_engine(model, name=name, precision="f32", threads=2)
    next(stream := run([None, *slices]))
    stream.close()
    np.testing.assert_allclose(next(iter(run(slices[2:]))), maps[name][2], atol=1e-4)


@pytest.mark.parametrize("name", list(ENGINE_MODULES))
def test_no_slice_gives_no_map(model, name):
    run, _ = make_engine(model, name=name, threads=1)
    assert list(run([])) == []


@pytest.mark.parametrize("needed", [True, False])
def test_memory_stays_bounded_because_slices_are_taken_as_maps_are_asked_for(model, slices, needed):
    taken = 0

    def counted():
        nonlocal taken
        for inputs in slices:
            taken += 1
            yield inputs if needed else None

    run, _ = make_engine(model, name="openvino", threads=1)
    next(run(counted()))
    assert taken <= 3


def test_slices_of_any_memory_layout_are_taken(model, slices, maps):
    run, _ = make_engine(model, name="openvino", threads=1)
    turned = tuple(np.asfortranarray(channel) for channel in slices[0])
    np.testing.assert_allclose(next(run([turned])), maps["openvino"][0], atol=1e-5)


def test_auto_takes_the_first_engine_that_is_installed_at_f32(bundle, monkeypatch):
    _, used = make_engine(bundle, threads=1)
    assert used == EngineUsed("openvino", "f32")
    monkeypatch.setattr(engines, "_installed", lambda module: module != "openvino")
    _, used = make_engine(bundle, threads=1)
    assert used == EngineUsed("onnxruntime", "f32")


@pytest.mark.parametrize("name", ["auto", *ENGINE_MODULES])
def test_an_engine_that_is_not_installed_is_named_with_what_to_do(bundle, monkeypatch, name):
    monkeypatch.setattr(engines, "_installed", lambda module: False)
    with pytest.raises(ResourceError, match="pip install") as caught:
        make_engine(bundle, name=name)
    assert caught.value.code == "engine-missing"
    assert caught.value.exit_code == 4


def test_the_torch_engine_says_that_it_needs_safetensors(bundle, monkeypatch):
    monkeypatch.setattr(engines, "_installed", lambda module: module != "safetensors")
    with pytest.raises(ResourceError, match="safetensors") as caught:
        make_engine(bundle, name="torch")
    assert caught.value.code == "engine-missing"


@pytest.mark.parametrize(("option", "value"), [("name", "tensorrt"), ("precision", "int8")])
def test_unknown_engines_and_precisions_are_usage_errors(bundle, option, value):
    with pytest.raises(UsageError, match=value) as caught:
        make_engine(bundle, **{option: value})
    assert caught.value.code == "usage"
    assert caught.value.exit_code == 2


def test_onnxruntime_does_not_pretend_to_run_bf16(bundle):
    with pytest.raises(UsageError) as caught:
        make_engine(bundle, name="onnxruntime", precision="bf16")
    assert caught.value.code == "precision-unsupported"


def test_openvino_is_imported_without_its_telemetry():
    code = (
        "import sys; from lungscore.inference.engines import _import_openvino_silently as load;"
        "load(); assert 'openvino' in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry')]"
    )
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_telemetry_package_that_is_loaded_already_is_put_back(monkeypatch):
    stand_in = object()
    monkeypatch.setitem(sys.modules, "openvino_telemetry", stand_in)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    hidden = []

    def load(name):
        hidden.append(sys.modules["openvino_telemetry"] is None)
        return name

    monkeypatch.setattr(importlib, "import_module", load)
    assert engines._import_openvino_silently() == "openvino"
    assert hidden == [True]
    assert sys.modules["openvino_telemetry"] is stand_in
