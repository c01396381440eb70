"""experiments/speed/training.py: what it measures, never how fast it is."""

import json
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

import training
from lungscore.learning import inpainting, train
from lungscore.learning.config import TrainingConfig
from tests.speed.made_lines import HOST, training_line, training_row

SIZE = (32, 32)
#: As training runs now, but for what makes it slow to test.
NOW = training.Setting(threads=1, augmented_on="cpu", batch=2)
SLICES = training.made_slices(2, side=40)


@pytest.fixture(autouse=True)
def same_threads():
    """Leaves torch's threads as they were."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trainer(kind: str = "supervised", **choices) -> training.Trainer:
    return training.Trainer(kind, replace(NOW, **choices), SLICES, size=SIZE, batches=1)


def differences(setting: training.Setting, now: training.Setting) -> dict:
    was = asdict(now)
    return {key: value for key, value in asdict(setting).items() if value != was[key]}


@pytest.mark.parametrize("kind", training.KINDS)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_now_and_before_come_first_and_then_one_change_each(monkeypatch, kind, device):
    monkeypatch.setattr(training, "available_threads", lambda: 2)
    now, before, *tried = training.settings(kind, device, quick=False, compiled=True)
    assert (now.batch, now.precision) == (TrainingConfig().batch_size, TrainingConfig().precision)
    assert (now.threads, now.augmented_on) == (2, device)
    assert asdict(before) == asdict(now) | training.BEFORE
    changes = [differences(each, now) for each in tried]
    assert all(len(change) == 1 for change in changes)
    for change in ({"precision": "32-true"}, {"channels_last": False}, {"fused": False}):
        assert changes.count(change) == 1
    assert changes.count({"threads": 1}) == (device == "cpu")
    assert changes.count({"augmented_on": "cpu"}) == (device == "cuda")
    assert changes[-1] == {"compiled": True}
    quick = training.settings(kind, device, quick=True, compiled=False)
    assert quick[:2] == [now, before]
    assert not any(each.compiled for each in quick)


@pytest.mark.parametrize(
    "choices", [{}, training.BEFORE, {"channels_last": False}, {"fused": False}], ids=str
)
def test_a_setting_trains_the_way_it_says(choices):
    trains = trainer(**choices)
    setting, weight = trains.setting, trains.task.result().encoder.layer1[0].conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == setting.channels_last
    (group,) = trains.task.optimizers["segmentation"].param_groups
    assert group["fused"] is setting.fused
    assert trains.task.config.training.precision == setting.precision
    before = weight.detach().clone()
    assert trains.epoch() > 0
    assert not torch.equal(before, weight)


def test_slices_are_augmented_where_a_setting_says():
    rng, nowhere = np.random.default_rng(0), "no device"
    on_cpu = trainer(augmented_on="cpu")
    on_cpu.store.batch(np.arange(2), on_cpu.task.config, rng, nowhere)
    on_gpu = trainer(augmented_on="cuda")
    with pytest.raises(RuntimeError, match=nowhere):
        on_gpu.store.batch(np.arange(2), on_gpu.task.config, rng, nowhere)


@pytest.mark.parametrize(("kind", "guided"), [("inpainting", False), ("coach", True)])
def test_pre_training_is_by_inpainting_under_these_masks(kind, guided):
    trains = trainer(kind)
    assert isinstance(trains.task, inpainting.Inpainting)
    assert ("coach" in trains.task.networks) == guided
    assert training.batches_of("coach", "cpu") % 4 == 0  # the coach learns from a quarter


def test_parts_make_up_an_epoch_and_nothing_stays_patched():
    trains = trainer("coach")

    def patched():
        return train.optimise, inpainting.optimise, trains.fabric.backward, trains.store.batch

    before = patched()
    parts = training.parts_of(trains, 1)
    assert parts.keys() == {"coach", "drawing", "forward", "backward", "optimiser"}
    assert all(took > 0 for took in parts.values())
    assert patched() == before


@pytest.mark.slow
def test_a_line_a_kind_with_all_that_the_page_needs(monkeypatch, tmp_path, capsys):
    out = tmp_path / "lines.jsonl"
    monkeypatch.setattr(sys, "argv", ["experiments/speed/training.py", "-o", str(out), "--quick"])
    monkeypatch.setattr(training, "SIZE", SIZE)
    monkeypatch.setattr(training, "made_slices", lambda count: SLICES)
    monkeypatch.setattr(training, "batches_of", lambda kind, device: 1)
    chosen = [NOW, replace(NOW, **training.BEFORE)]
    monkeypatch.setattr(training, "settings", lambda *_, **__: chosen)
    monkeypatch.setattr(training, "commit", lambda: "0123456789-dirty")
    training.main()
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == list(training.KINDS)
    for line in lines:
        assert line.keys() == training_line().keys()
        assert line["host"].keys() == HOST.keys()
        assert line["versions"].keys() >= {"torch", "cuda", "lightning-fabric"}
        assert line["command"] == "python experiments/speed/training.py -o lines.jsonl --quick"
        for row in line["settings"]:
            assert row.keys() == training_row(1, 2, 3).keys()
            speed = row["slices_per_second"]
            assert speed["n"] == len(speed["values"]) == 3
            assert min(speed["values"]) > 0
    assert "the code differs from its commit" in capsys.readouterr().err
