"""benchmarks/training.py: what it measures and how its page tells it; never how fast it is."""

import importlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from lungscore.learning import pretrain, train


@pytest.fixture
def training(monkeypatch):
    """The script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return importlib.import_module("training")


@pytest.fixture(autouse=True)
def same_threads():
    """Leaves torch's threads as they were."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


SIZE = (32, 32)
USUAL = {
    "batch": 2,
    "threads": 1,
    "precision": "32-true",
    "layout": "channels_last",
    "augment": "device",
    "read": "epoch",
    "autotune": False,
    "compiled": False,
}


def made_row(speeds: list[float], kind: str = "Inf-Net", **changes) -> dict:
    """A setting as a line holds it, with made figures."""
    return {
        "kind": kind,
        **USUAL,
        **changes,
        "slices_per_epoch": 4,
        "first_epoch_seconds": 61.2,
        "slices_per_second": {"p50": speeds[1], "values": speeds, "n": 3},
        "slices_per_core_second": {"p50": 2 * speeds[1], "values": speeds, "n": 3},
        "parts": {"drawing": 1.25, "forward": 2.5, "backward": 5.0, "optimiser": 0.5},
    }


def made_line(*rows: dict, device: str = "cpu") -> dict:
    """A line of a file with ``rows``."""
    return {
        "schema": "lungscore.training/1",
        "commit": "0123456789",
        "command": "python benchmarks/training.py -o FILE",
        "date": "2026-01-02",
        "host": {
            "cpu": "Some CPU",
            "flags": ["avx2", "avx512_bf16"],
            "threads_available": 2,
            "load": 0.5,
            "python": "3.12.0",
        },
        "device": device,
        "versions": {"torch": "2.11.0", "cuda": "13.0", "lightning-fabric": "2.6"},
        "input": [192, 256],
        "settings": list(rows),
    }


def page_of(tmp_path: Path, *lines: dict) -> str:
    """The page of a file with ``lines``."""
    page = importlib.import_module("training_page").page
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return page(tmp_path / "lines.jsonl")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_setting_differs_from_the_first_in_one_thing(training, device):
    both = {"augment", "read"}  # what the code did before, as a whole
    for kind in training.KINDS:
        usual, *others = training.settings(kind, device, quick=False, compiled=True)
        changes = []
        for other in others:
            values = asdict(other)
            changes.append({key for key, value in asdict(usual).items() if values[key] != value})
        assert all(len(change) == 1 for change in changes if change != both)
        assert changes.count(both) == (device == "cuda")
        assert len({usual, *others}) == 1 + len(others)
        assert others[-1].compiled


def test_the_page_knows_every_setting_that_is_measured(training, monkeypatch):
    monkeypatch.setattr(training, "available_threads", lambda: 2)
    page = importlib.import_module("training_page")
    names = {key for key in asdict(training.Setting("Inf-Net", batch=1, threads=1))} - {"kind"}
    assert set(page.SETTING) == names
    tried = [change for change, _, _ in page.TRIED]
    tried = [{key: value or 2 for key, value in change.items()} for change in tried]
    for device in ("cpu", "cuda"):
        for kind in training.KINDS:
            usual, *others = training.settings(kind, device, quick=False, compiled=True)
            for other in others:
                was, now = asdict(usual), asdict(other)
                change = {key: now[key] for key in names if now[key] != was[key]}
                assert page.changed(now | {"first_epoch_seconds": 0}, was)
                assert change in tried


def test_a_line_holds_what_the_page_needs_and_figures_for_every_setting(training, tmp_path):
    arguments = ["--quick", "--steps", "1", "--repeats", "2", "--kinds", "Inf-Net"]
    small = [training.Setting("Inf-Net", batch=2, threads=1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SIZE", SIZE)
        patch.setattr(training, "settings", lambda *_, **__: small)
        line = training.run(training.parsed(["-o", "x", *arguments]))
    line = json.loads(json.dumps(line))
    assert line.keys() == made_line().keys()
    assert line["host"].keys() >= made_line()["host"].keys()
    (row,) = line["settings"]
    assert row.keys() == made_row([1, 1, 1]).keys()
    assert row["slices_per_epoch"] == 2
    for figure in ("slices_per_second", "slices_per_core_second"):
        assert row[figure]["n"] == len(row[figure]["values"]) == 2
        assert all(value > 0 for value in row[figure]["values"])
    assert row["parts"].keys() == {"drawing", "forward", "backward", "optimiser"}
    assert all(value > 0 for value in row["parts"].values())
    assert "### Inf-Net, epochs of 2 slices" in page_of(tmp_path, line)


def test_the_coach_is_a_part_of_its_own_and_nothing_stays_patched(training):
    kind = "Inf-Net, pre-training with a coach"
    setting = training.Setting(kind, batch=2, threads=1, precision="32-true")
    trainer = training.Trainer(setting, training.made_slices(2, 40), SIZE, 1)
    before = [train.optimise, pretrain.optimise, trainer.fabric.backward, trainer.store.batch]
    parts = training.parts_of(trainer, 1)
    assert parts.keys() == {"coach", "drawing", "forward", "backward", "optimiser"}
    after = [train.optimise, pretrain.optimise, trainer.fabric.backward, trainer.store.batch]
    assert after == before


@pytest.mark.parametrize(
    "change",
    [{}, {"augment": "cpu", "read": "step"}, {"augment": "resident"}, {"layout": "contiguous"}],
    ids=str,
)
def test_a_setting_trains_the_network_it_describes(training, change):
    usual = training.Setting("Inf-Net", batch=2, threads=1, precision="32-true")
    setting = replace(usual, **change)
    trainer = training.Trainer(setting, training.made_slices(2, 40), SIZE, 1)
    weight = trainer.task.result().encoder.layer1[0].conv1.weight
    last = torch.channels_last if setting.layout == "channels_last" else torch.contiguous_format
    assert weight.is_contiguous(memory_format=last)
    before = weight.detach().clone()
    trainer.epoch()
    assert not torch.equal(before, weight)


def test_the_page_tells_speeds_ratios_and_parts(training, tmp_path):
    line = made_line(
        made_row([10.0, 20.0, 40.0]),
        made_row([5.0, 30.0, 80.0], precision="bf16-mixed"),
        made_row([20.0, 40.0, 80.0], compiled=True),
    )
    text = page_of(tmp_path, line)
    assert "## Some CPU" in text
    assert "0123456789, 2026-01-02" in text
    usual, other, compiled = (row for row in text.splitlines() if row.endswith("| 0.50 |"))
    assert usual.startswith("| 32-true, channels_last, batch 2, 1 thread | 3 | 20.0 [10.0, 40.0] ")
    assert "| 40.0 | 1.00 | 1.25 | 2.50 | 5.00 | 0.50 |" in usual
    # Turn by turn: 0.5, 1.5 and 2.
    assert other.startswith("| bf16-mixed | 3 | 30.0 [5.0, 80.0] | 60.0 | 1.50 |")
    assert compiled.startswith("| compiled (first epoch 61 s) |")
    assert "torch.compile** (" in text
    assert "2.00 × (Inf-Net, Some CPU, n = 3)." in text


def test_a_gpu_has_a_section_of_its_own_and_no_figures_per_core(training, tmp_path):
    before = made_row([1.0, 1.0, 1.0], augment="cpu", read="step")
    gpu = made_line(made_row([400.0, 500.0, 600.0]), before, device="Some GPU")
    text = page_of(tmp_path, made_line(made_row([1.0, 2.0, 3.0])), gpu)
    on_cpu, on_gpu = text.split("## Some GPU")
    assert "per core |" in on_cpu
    assert "per core |" not in on_gpu
    assert "| 500 [400, 600] |" in on_gpu
    assert "| augmented on the CPU, loss read every step | 3 |" in on_gpu
    undone = next(each for each in on_gpu.splitlines() if "next two undone" in each)
    assert undone.endswith("0.00 × (Inf-Net, Some GPU, n = 3).")
    alone = next(each for each in on_gpu.splitlines() if "**The loss read" in each)
    assert alone.endswith("not measured.")
