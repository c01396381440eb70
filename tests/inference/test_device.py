"""Where networks run. Without a graphics card, all that is done on one is done on the processor."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore import analyze
from lungscore.errors import ResourceError, UsageError
from lungscore.evaluation.metrics import dice
from lungscore.inference import Segmenter, device, engines
from lungscore.inference.device import usable_device
from lungscore.inference.device_views import DeviceScan
from lungscore.inference.engines import make_engine
from lungscore.inference.predict import predict_slice
from lungscore.inference.views import View, ViewedScan
from lungscore.report import run_record as record_module
from lungscore.result import to_result
from tests.inference.random_bundle import images_of
from tests.inference.small_scans import scan_of
from tests.inference.test_views import SPEC, boxes_from

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module", autouse=True)
def threads_of_torch():
    """The torch engine sets the number of threads of the process; other tests want theirs."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# Which device


@pytest.fixture
def card(monkeypatch):
    """A graphics card that works, or has a fault."""

    def install(fault: str | None = None) -> None:
        monkeypatch.setattr(device, "_has_driver", lambda: True)
        monkeypatch.setattr(device, "_fault_of", lambda name: fault)

    return install


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_auto_is_the_first_card_where_it_works_and_the_processor_where_it_does_not(card, engine):
    assert usable_device("cpu", engine) == "cpu"
    card()
    assert usable_device("auto", engine) == "cuda:0"
    assert usable_device("cuda:2", engine) == "cuda:2"
    card("too old for this torch")
    assert usable_device("auto", engine) == "cpu"


def test_auto_leaves_an_engine_for_the_processor_where_it_is(card):
    card()
    assert usable_device("auto", "openvino") == "cpu"
    with pytest.raises(UsageError, match="openvino") as caught:
        usable_device("cuda", "openvino")
    assert caught.value.code == "device-unsupported"


def test_a_card_that_is_not_there_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError) as caught:
        usable_device("cuda", "auto")
    assert (caught.value.code, caught.value.exit_code) == ("device-missing", 4)
    assert torch.__version__ in caught.value.found
    assert caught.value.expected
    assert "--device auto" in caught.value.hint


def test_a_number_beyond_the_last_card_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ResourceError, match="1 found") as caught:
        usable_device("cuda:1", "torch")
    assert caught.value.code == "device-missing"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "cuda:0\n"])
def test_unknown_devices_are_usage_errors(name):
    with pytest.raises(UsageError) as caught:
        usable_device(name, "auto")
    assert caught.value.code == "usage"


def test_nobody_waits_for_torch_where_there_is_no_driver():
    code = (
        "import sys; from lungscore.inference import device; device._has_driver = lambda: False;"
        "import lungscore; assert lungscore.Segmenter().engine.device == 'cpu';"
        "assert device.cuda_devices() == []; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# The same pictures


@settings(max_examples=40)
@given(boxes_from(-8, shortest=9), st.booleans(), st.booleans(), st.booleans())
def test_views_made_in_torch_are_those_of_the_processor(box, turned, mirrored, grey):
    random = np.random.default_rng(0)
    values = random.integers(0, 256, (2, 22, 26)).astype(np.uint8)
    if not grey:
        values = (values.astype(np.int16) * 8 - 1500).astype(np.int16)
    scan, view = scan_of(values), View(1, box, turned, mirrored)
    there, here = DeviceScan(scan, "cpu"), ViewedScan(scan)
    picture = there.picture(view, SPEC)
    np.testing.assert_allclose(picture.numpy(), here.picture(view, SPEC), atol=1e-5)
    probability = random.random((SPEC.height, SPEC.width), np.float32)
    back = there.back(view, probability)
    np.testing.assert_allclose(back, here.back(view, probability), atol=1e-5)


@pytest.mark.parametrize("flags", ["read-only", "reversed"])
def test_scans_of_any_memory_layout_are_taken(flags):
    values = np.arange(3 * 20 * 22, dtype=np.int16).reshape(3, 20, 22) - 1000
    if flags == "reversed":
        values = values[::-1, :, ::-1]
    values.flags.writeable = flags != "read-only"
    scan, view = scan_of(values), View(2, (1, 18, 2, 20))
    picture = DeviceScan(scan, "cpu").picture(view, SPEC)
    np.testing.assert_allclose(picture.numpy(), view.of(scan, SPEC), atol=1e-5)


# Batches, and memory


class Tight(torch.nn.Module):
    """A network on a card that holds so many slices; the sizes of the batches it was shown."""

    def __init__(self, network: torch.nn.Module, holds: int, says: str) -> None:
        super().__init__()
        self.network, self.holds, self.says, self.batches = network, holds, says, []

    def forward(self, *inputs):
        self.batches.append(len(inputs[0]))
        if len(inputs[0]) > self.holds:
            if self.says:
                raise RuntimeError(self.says)
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self.network(*inputs)


@pytest.fixture
def tight(monkeypatch) -> Callable[..., list[Tight]]:
    """From now on networks of the torch engine run in batches of 8, and in little memory."""

    def install(holds: int, says: str = "") -> list[Tight]:
        made: list[Tight] = []

        def load_network(bundle):
            made.append(Tight(load(bundle), holds, says))
            return made[-1]

        load = engines.load_network
        monkeypatch.setattr(engines, "load_network", load_network)
        monkeypatch.setitem(engines.BATCH, "cpu", 8)
        return made

    return install


@pytest.mark.parametrize("says", ["", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"])
def test_a_batch_that_does_not_fit_is_halved_and_the_maps_stay_in_order(bundle, tight, says):
    expected = make_engine(bundle, name="torch", threads=1, device="cpu")[0]
    slices = [(image,) for image in images_of(11)]
    order = [3, None, 1, 4, None, None, 0, 2, 10, 9, 8, None, 7, 6, 5]
    shown = [None if index is None else slices[index] for index in order]
    made = tight(holds=2, says=says)
    run, _ = make_engine(bundle, name="torch", threads=1, device="cpu")
    (network,) = made
    for answer, alone in zip(run(shown), expected(shown), strict=True):
        if alone is None:
            assert answer is None
        else:
            np.testing.assert_allclose(answer, alone, atol=1e-5)
    assert network.batches[:3] == [5, 2, 2]
    assert max(network.batches[1:]) == 2


def test_a_slice_that_does_not_fit_alone_is_an_error_with_a_code(bundle, tight):
    tight(holds=0)
    run, _ = make_engine(bundle, name="torch", threads=1, device="cpu")
    with pytest.raises(ResourceError) as caught:
        list(run([(image,) for image in images_of(3)]))
    assert caught.value.code == "device-memory"


def test_an_error_that_is_not_of_memory_stays_the_models(bundle, tight):
    tight(holds=0, says="expected scalar type Float")
    run, _ = make_engine(bundle, name="torch", threads=1, device="cpu")
    with pytest.raises(ResourceError) as caught:
        list(run([(image,) for image in images_of(3)]))
    assert caught.value.code == "model-damaged"


@pytest.fixture
def full(bundle, tight, monkeypatch) -> Segmenter:
    """Networks on a card that holds nothing; those that are loaded later have room."""
    tight(holds=0)
    segmenter = Segmenter(bundle, engine="torch", threads=1, device="cpu")
    monkeypatch.undo()
    return segmenter


@pytest.mark.slow
def test_a_scan_that_does_not_fit_is_read_by_the_processor_with_a_notice(bundle, full, phantom):
    expected = analyze(phantom.scan, segmenter=Segmenter(bundle, engine="torch", device="cpu"))
    analysis = analyze(phantom.scan, segmenter=full)
    np.testing.assert_array_equal(analysis.lesions.labels, expected.lesions.labels)
    assert "device-replaced" in {notice.code for notice in analysis.notices}
    result = to_result(analysis)
    assert "device-replaced" in {warning.code for warning in result.warnings}
    assert result.engine.device == "cpu"
    assert "device-replaced" not in {notice.code for notice in expected.notices}


def test_a_lone_slice_that_does_not_fit_is_read_by_the_processor_with_a_notice(full, bundle):
    picture = scan_of((255 * images_of(1)[0]).astype(np.uint8)[None], sides_known=False)
    prediction = predict_slice(picture, full)
    expected = predict_slice(picture, Segmenter(bundle, engine="torch", device="cpu"))
    np.testing.assert_array_equal(prediction.infection, expected.infection)
    assert [notice.code for notice in prediction.notices] == ["device-replaced"]
    assert expected.notices == ()


# The same masks


@pytest.mark.slow
def test_batches_made_in_torch_keep_the_rule_of_parity(phantom, monkeypatch):
    """With the shipped networks: Dice 0.999 and 0.1 points at least."""
    monkeypatch.setitem(engines.BATCH, "cpu", 8)
    scan = phantom.scan
    usual = analyze(scan, segmenter=Segmenter(device="cpu"))
    torch_made = analyze(scan, segmenter=Segmenter(engine="torch", device="cpu"))
    assert usual.lesions.labels.any()
    for mask in ("lesions", "lungs"):
        ours, theirs = (getattr(result, mask).labels > 0 for result in (torch_made, usual))
        assert dice(ours, theirs) >= 0.999
    percents = [to_result(result).burden.infection_percent for result in (torch_made, usual)]
    assert abs(percents[0] - percents[1]) < 0.1


# What says so


def test_a_result_names_the_kind_of_device_and_the_record_which(segmenter, phantom, monkeypatch):
    analysis = analyze(phantom.scan, segmenter=segmenter, ranges=False)
    assert json.loads(to_result(analysis).to_json())["engine"]["device"] == "cpu"
    assert record_module.run_record(analysis)["device"] == "cpu"
    engine = replace(analysis.lesions.engine, name="torch", device="cuda:1")
    on_card = replace(analysis, lesions=replace(analysis.lesions, engine=engine))
    assert to_result(on_card).engine.text == "torch f32 on cuda"
    monkeypatch.setattr(record_module, "cuda_devices", lambda: ["Small", "Large"])
    assert record_module.run_record(on_card)["device"] == "cuda:1: Large"
