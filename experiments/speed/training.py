"""How many slices a second training gets through: before and after tuning, and what was tried.

    python experiments/speed/training.py -o benchmarks/results/training.jsonl
    python experiments/speed/training.py -o … --quick
    python experiments/speed/training_page.py

Epochs of the real loop on made slices in memory: Inf-Net trained with labels, and pre-trained by
inpainting with random masks and under a coach. Settings of one kind take turns (A B C A B C …), so
that a busy machine is busy for all of them. Lightning Fabric picks the device; --cpu hides a GPU
from it. One line of JSON a kind is appended to the file, of which training_page.py makes
docs/performance-training.md. Needs what ``pip install "lungscore[train]"`` installs, and no data.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

# Busy waiting between operations makes two busy threads ten times slower than one.
os.environ["OMP_WAIT_POLICY"] = "passive"
if "--cpu" in sys.argv:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch

from host import commit, host
from latency import append, command
from lungscore.datasets.sample import Sample
from lungscore.learning.config import ExperimentConfig, TrainingConfig
from lungscore.learning.inpainting import Inpainting
from lungscore.learning.loop import Task, make_fabric, set_up
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import Supervised, build_network
from lungscore.machine import available_threads
from step_parts import timed_parts

SCHEMA = "lungscore.training/1"
SEED = 0

#: Rows and columns that the network sees, as in experiments/benchmark.
SIZE = (192, 256)

#: What is trained -> whose masks erase, where it is pre-training.
KINDS = {"supervised": None, "inpainting": "random", "coach": "coach"}

#: What tuning changed, as it would be without.
BEFORE: dict[str, Any] = {
    "precision": "32-true",
    "channels_last": False,
    "fused": False,
    "augmented_on": "cpu",
}


@dataclass(frozen=True)
class Setting:
    """One way to train; what is not given is as ``lungscore train`` does it.

    augmented_on: where slices are augmented, "cpu" or "cuda". channels_last: whether weights lie so
    in memory. fused: whether AdamW's step is one function. autotune: whether cuDNN tries its
    algorithms. compiled: whether torch compiles the network.
    """

    threads: int
    augmented_on: str
    batch: int = TrainingConfig().batch_size
    precision: str = TrainingConfig().precision
    channels_last: bool = True
    fused: bool = True
    autotune: bool = False
    compiled: bool = False


def settings(kind: str, device: str, *, quick: bool, compiled: bool) -> list[Setting]:
    """How training runs on ``device`` ("cpu" or "cuda") now, how before tuning, and then all that
    was tried, each one change from now.

    quick: of pre-training now and before alone.
    """
    now = Setting(available_threads(), device)
    before = replace(now, **BEFORE)
    if quick and kind != "supervised":
        return [now, before]
    changes = [{key: value} for key, value in BEFORE.items() if getattr(now, key) != value]
    if device == "cuda":
        changes += [{"autotune": True}, {"batch": 4 * now.batch}]
    else:
        changes += [{"threads": 1}] if now.threads > 1 else []
        if kind == "supervised":
            changes += [{"batch": now.batch // 2}, {"batch": 2 * now.batch}]
    changes += [{"compiled": True}] if compiled else []
    return [now, before, *(replace(now, **change) for change in changes)]


def batches_of(kind: str, device: str) -> int:
    """Batches of an epoch: many on a GPU, where an epoch must be long beside its start and end.

    A coach learns from one batch in four.
    """
    return 8 if device == "cuda" else 4 if kind == "coach" else 2


def made_slices(count: int, side: int = 300) -> list[Sample]:
    """Noise with a bright disc of infection: as much work as a patient's slices, and nobody's."""
    rng = np.random.default_rng(SEED)
    rows, columns = np.mgrid[:side, :side]
    samples = []
    for index in range(count):
        top, left = rng.uniform(0.3, 0.7, 2) * side
        infected = (rows - top) ** 2 + (columns - left) ** 2 < (side / 8) ** 2
        image = rng.integers(0, 100, (side, side)) + 100 * infected
        samples.append(Sample(image.astype(np.uint8), infected, f"slice-{index}", "made"))
    return samples


def config_of(kind: str, setting: Setting, size: tuple[int, int], batches: int) -> ExperimentConfig:
    """The experiment: everything that the setting does not name as experiments have it."""
    values: dict[str, Any] = {
        "name": "benchmark",
        "input": {"height": size[0], "width": size[1]},
        "training": {
            "epochs": 1000,
            "slices_per_epoch": setting.batch * batches,
            "batch_size": setting.batch,
            "precision": setting.precision,
            "seed": SEED,
        },
    }
    if masks := KINDS[kind]:
        values["pretraining"] = {"masks": masks, "random_epochs": 0}
    return ExperimentConfig.model_validate(values)


class Trainer:
    """A task as ``fit`` sets it up, of which single epochs are run."""

    def __init__(
        self,
        kind: str,
        setting: Setting,
        samples: list[Sample],
        *,
        size: tuple[int, int],
        batches: int,
    ) -> None:
        self.setting, self.slices, self.number = setting, setting.batch * batches, 0
        config = config_of(kind, setting, size, batches)
        self.fabric = make_fabric(config)
        self.store = SliceStore(samples, config)
        network = build_network(config, self.store.images, imagenet=None)
        if not setting.channels_last:
            network.to(memory_format=torch.contiguous_format)
        self.task: Task
        if KINDS[kind] is None:
            self.task = Supervised(config, network, self.store, infected=len(samples), healthy=0)
        else:
            self.task = Inpainting(config, network, self.store)
        if not setting.fused:
            for group in self.task.optimizers["segmentation"].param_groups:
                group["fused"] = False
        if setting.augmented_on == "cpu":
            draw = self.store.batch
            self.store.batch = lambda *words: draw(*words[:3])  # leaves the device out
        if setting.compiled:
            network.compile()
        set_up(self.task, self.fabric)

    def epoch(self) -> float:
        """Train one epoch; its seconds."""
        torch.set_num_threads(self.setting.threads)
        torch.backends.cudnn.benchmark = self.setting.autotune
        wait()
        began = time.perf_counter()
        self.task.epoch(self.fabric, self.number)
        wait()
        self.number += 1
        return time.perf_counter() - began


def wait() -> None:
    """Until a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(
    kind: str,
    chosen: Sequence[Setting],
    samples: list[Sample],
    *,
    size: tuple[int, int],
    batches: int,
    turns: int,
) -> dict[str, Any]:
    """Train in all of the settings by turns: what each took, and the parts of the first one's."""
    trainers = [Trainer(kind, each, samples, size=size, batches=batches) for each in chosen]
    first = [trainer.epoch() for trainer in trainers]  # not counted: buffers, algorithms
    seconds = [[trainer.epoch() for trainer in trainers] for _ in range(turns)]
    rows = [
        {
            **asdict(trainer.setting),
            "slices_per_epoch": trainer.slices,
            "first_epoch_seconds": round(first[index], 3),
            "slices_per_second": spread([trainer.slices / turn[index] for turn in seconds]),
        }
        for index, trainer in enumerate(trainers)
    ]
    return {"kind": kind, "settings": rows, "parts": parts_of(trainers[0], min(turns, 3))}


def parts_of(trainer: Trainer, epochs: int) -> dict[str, float]:
    """Milliseconds a slice of every part of a step, the median over further epochs.

    Waiting at every border of a part costs time, so that these epochs are not among those timed.
    """
    found = []
    for _ in range(epochs):
        with timed_parts(trainer.task, trainer.fabric, trainer.store, wait) as seconds:
            whole = trainer.epoch()
        seconds["forward"] = whole - sum(seconds.values())
        found.append(seconds)
    return {
        name: round(median(each[name] for each in found) / trainer.slices * 1e3, 3)
        for name in found[0]
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, every value and how many."""
    return {
        "p50": round(median(values), 3),
        "values": [round(value, 3) for value in values],
        "n": len(values),
    }


def about() -> dict[str, Any]:
    """What stands in every line: which code ran on what."""
    on_gpu = torch.cuda.is_available()
    # lightning_fabric comes in packages of several names, so that none can be asked for.
    libraries = {"lightning-fabric": "lightning_fabric", "torch": "torch", "numpy": "numpy"}
    versions = {name: str(import_module(each).__version__) for name, each in libraries.items()}
    return {
        "schema": SCHEMA,
        "commit": commit(),
        "command": command(),
        "date": datetime.now(UTC).date().isoformat(),
        "host": host(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "versions": {**versions, "cuda": torch.version.cuda if on_gpu else None},
        "seed": SEED,
        "input": list(SIZE),
    }


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument(
        "--quick", action="store_true", help="3 turns instead of 7, and fewer settings"
    )
    parser.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes more")
    return parser.parse_args(words)


def main() -> None:
    """Measure what was asked for, a line a kind."""
    asked, told, samples = parsed(), about(), made_slices(64)
    if str(told["commit"]).endswith("-dirty"):
        print("the code differs from its commit: every line will say so", file=sys.stderr)
    device = "cpu" if told["device"] == "cpu" else "cuda"
    for kind in asked.kinds:
        began = time.perf_counter()
        chosen = settings(kind, device, quick=asked.quick, compiled=asked.compile)
        batches = batches_of(kind, device)
        turns = 3 if asked.quick else 7
        line = measure(kind, chosen, samples, size=SIZE, batches=batches, turns=turns)
        append(asked.out, {**told, **line})
        now, before = (row["slices_per_second"]["p50"] for row in line["settings"][:2])
        print(
            f"{kind}: {now:.1f} slices a second, before tuning {before:.1f}; {len(chosen)} "
            f"settings, {turns} turns, {time.perf_counter() - began:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
