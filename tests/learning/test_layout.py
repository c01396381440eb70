"""How weights lie in memory while training: measured once, kept, and no matter to the result."""

import json

import pytest
import torch

from lungscore.learning import layout
from lungscore.learning.layout import LAYOUT, lay_out, step_seconds
from lungscore.learning.loop import make_fabric
from lungscore.learning.train import build_network
from tests.learning.test_loop import run, stopped
from tests.learning.tiny_training import U_NET, experiment, lesion_experiment

pytestmark = pytest.mark.usefixtures("one_thread")

WAYS = [(way, p) for way in ("channels-last", "contiguous") for p in ("bf16-mixed", "32-true")]


@pytest.fixture
def faster(monkeypatch):
    """From now on a layout is measured to be the faster one; gives how often it was measured."""
    measured = []

    def install(name: str) -> list:
        def step_seconds(network, config, device):
            measured.append(name)
            return {(way, p): 1.0 + (way != name) for way, p in WAYS}

        monkeypatch.setattr(layout, "step_seconds", step_seconds)
        return measured

    return install


def is_channels_last(network: torch.nn.Module) -> bool:
    weights = [p for p in network.parameters() if p.ndim == 4 and min(p.shape[1:]) > 1]
    return all(p.is_contiguous(memory_format=torch.channels_last) for p in weights)


@pytest.mark.parametrize("name", ["channels-last", "contiguous"])
def test_the_faster_layout_is_taken_and_kept_with_what_was_measured(tmp_path, faster, name):
    faster(name)
    config = experiment(network=U_NET, precision="bf16-mixed")
    fabric, network = (
        make_fabric(config),
        build_network(config, torch.rand(2, 1, 70, 90), imagenet=None),
    )
    before = dict(network.named_parameters())
    lay_out(network, config, fabric, tmp_path)
    assert is_channels_last(network) == (name == "channels-last")
    assert all(before[key] is value for key, value in network.named_parameters())
    told = json.loads((tmp_path / LAYOUT).read_text())
    assert (told["layout"], told["precision"]) == (name, "bf16-mixed")
    assert set(told["seconds_per_step"]) == {" ".join(way) for way in WAYS}


def test_a_resumed_run_keeps_its_layout_whatever_is_faster_now(tmp_path, faster):
    config = experiment(network=U_NET, epochs=2, precision="bf16-mixed")
    measured = faster("contiguous")
    whole = run(tmp_path / "whole", config).state_dict()
    stopped(tmp_path / "parts", 1, config)
    faster("channels-last")
    parts = run(tmp_path / "parts", config, resume=True)
    assert not is_channels_last(parts)
    assert all(torch.equal(whole[name], value) for name, value in parts.state_dict().items())
    assert measured == ["contiguous", "contiguous"]


@pytest.mark.parametrize(
    ("changes", "channels_last"),
    [
        ({"precision": "32-true"}, True),
        ({"precision": "bf16-mixed", "layout": "contiguous"}, False),
        ({"precision": "bf16-mixed", "layout": "channels-last"}, True),
    ],
    ids=str,
)
def test_nothing_is_measured_where_results_repeat_or_the_layout_is_stated(
    tmp_path, faster, changes, channels_last
):
    measured = faster("contiguous")
    config = experiment(network=U_NET, **changes)
    network = build_network(config, torch.rand(2, 1, 70, 90), imagenet=None)
    lay_out(network, config, make_fabric(config), tmp_path)
    assert is_channels_last(network) == channels_last
    assert not measured
    assert not (tmp_path / LAYOUT).exists()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("make", [experiment, lesion_experiment])
def test_measuring_leaves_the_network_and_the_random_numbers_as_they_were(make):
    config = make(precision="bf16-mixed")
    network = build_network(config, torch.rand(2, 1, 70, 90), imagenet=None)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.get_rng_state()
    seconds = step_seconds(network, config, torch.device("cpu"))
    assert set(seconds) == set(WAYS)
    assert all(value > 0 for value in seconds.values())
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.usefixtures("tiny")
def test_the_result_does_not_depend_on_the_layout_but_for_rounding(tmp_path):
    results = [
        run(tmp_path / name, experiment(epochs=1, layout=name)).state_dict()
        for name in ("channels-last", "contiguous")
    ]
    for key, value in results[0].items():
        torch.testing.assert_close(value, results[1][key], atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(("enough_s", "turns"), [(-1.0, 2), (1e9, 3)])
def test_a_slow_computer_measures_every_way_once_and_no_more(monkeypatch, enough_s, turns):
    steps = []
    monkeypatch.setattr(layout, "ENOUGH_S", enough_s)
    monkeypatch.setattr(layout, "_step", lambda network, images, half: steps.append(half) or 1.0)
    config = experiment(network=U_NET, precision="bf16-mixed")
    network = build_network(config, torch.rand(2, 1, 70, 90), imagenet=None)
    assert set(step_seconds(network, config, torch.device("cpu"))) == set(WAYS)
    assert len(steps) == turns * len(WAYS)
