"""How many slices a second the training loop gets through, and what a step is made of.

    python benchmarks/training.py -o benchmarks/results/training.jsonl
    python benchmarks/training.py --quick -o FILE
    python benchmarks/training.py --docs benchmarks/results/training.jsonl

Epochs of the real loop on made slices in memory: supervised training of two networks and
pre-training with a coach. A setting differs from the first of its kind in one thing; settings take
turns (A B C A B C …), so that a busy machine is busy for all of them. Lightning Fabric picks the
device; ``--cpu`` hides a GPU from it. One line of JSON a run is appended to the file, and --docs
prints the page docs/performance-training.md of all its lines. Needs what ``pip install
"lungscore[train]"`` installs, and no data.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
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
from step_parts import timed_parts
from training_page import page

from lungscore.datasets.sample import Sample
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.loop import Task, make_fabric, set_up
from lungscore.learning.pretrain import Inpainting
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import Supervised, build_network
from lungscore.machine import available_threads

SCHEMA = "lungscore.training/1"

#: Rows and columns that the networks see, as in experiments/benchmark.
SIZE = (192, 256)

#: What is trained -> its network, and whether a coach pre-trains it.
KINDS = {
    "Inf-Net": ("inf-net", False),
    "Inf-Net, finer stage": ("finer-inf-net", False),
    "Inf-Net, pre-training with a coach": ("inf-net", True),
}


@dataclass(frozen=True)
class Setting:
    """One way to train.

    layout: of the weights in memory, "channels_last", "contiguous", or "coach too": channels_last
    of the coach as well. augment: where slices are
    augmented, "device" (moved there batch by batch), "resident" (all of them moved there once) or
    "cpu". read: when the CPU reads the loss, "epoch" or "step". autotune: whether cuDNN tries its
    algorithms. compiled: whether torch compiles the network.
    """

    kind: str
    batch: int
    threads: int
    precision: str = "bf16-mixed"
    layout: str = "channels_last"
    augment: str = "device"
    read: str = "epoch"
    autotune: bool = False
    compiled: bool = False


def settings(kind: str, device: str, *, quick: bool, compiled: bool) -> list[Setting]:
    """The setting that is usual on ``device`` ("cpu" or "cuda"), and others beside it."""
    threads = available_threads()
    with_coach = KINDS[kind][1]
    coach = [{"layout": "coach too"}] if with_coach else []
    if device == "cpu":
        usual = Setting(kind, batch=4 if quick else 8, threads=1)
        changes: list[dict[str, Any]] = [{"precision": "32-true"}, *coach]
        if not quick and not with_coach:
            changes += [{"layout": "contiguous"}, {"batch": 4}, {"batch": 16}]
            changes += [{"threads": threads}] if threads > 1 else []
    else:
        usual = Setting(kind, batch=16, threads=threads)
        changes = [
            {"augment": "cpu", "read": "step"},
            {"augment": "cpu"},
            {"augment": "resident"},
            {"read": "step"},
            {"precision": "32-true"},
            {"layout": "contiguous"},
            *coach,
            {"autotune": True},
            {"batch": 64},
        ]
    changes += [{"compiled": True}] if compiled else []
    return [usual, *(replace(usual, **change) for change in changes)]


def made_slices(count: int, side: int = 300, *, seed: int = 0) -> list[Sample]:
    """Noise with a bright disc of infection: as much work as a patient's slices, and nobody's."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    samples = []
    for index in range(count):
        top, left = rng.uniform(0.3, 0.7, 2) * side
        infected = (rows - top) ** 2 + (columns - left) ** 2 < (side / 8) ** 2
        image = rng.integers(0, 100, (side, side)) + 100 * infected
        samples.append(Sample(image.astype(np.uint8), infected, f"slice-{index}", "made"))
    return samples


def config_of(setting: Setting, size: tuple[int, int], steps: int) -> ExperimentConfig:
    """The experiment: everything that the setting does not name as experiments have it."""
    network, coach = KINDS[setting.kind]
    values: dict[str, Any] = {
        "name": "benchmark",
        "network": {"name": network},
        "input": {"height": size[0], "width": size[1]},
        "training": {
            "epochs": 1000,
            "slices_per_epoch": setting.batch * steps,
            "batch_size": setting.batch,
            "precision": setting.precision,
        },
    }
    if coach:
        values["pretraining"] = {"masks": "coach", "random_epochs": 0}
    return ExperimentConfig.model_validate(values)


class Trainer:
    """A task as ``fit`` sets it up, of which single epochs are run."""

    def __init__(
        self, setting: Setting, samples: list[Sample], size: tuple[int, int], steps: int
    ) -> None:
        self.setting, self.slices, self.number = setting, setting.batch * steps, 0
        config = config_of(setting, size, steps)
        self.fabric = make_fabric(config)
        self.store = SliceStore(samples, config)
        network = build_network(config, self.store.images, imagenet=None)
        if setting.layout == "contiguous":
            network.to(memory_format=torch.contiguous_format)
        self.task: Task
        if config.pretraining is None:
            self.task = Supervised(config, network, self.store, infected=len(samples), healthy=0)
        else:
            self.task = Inpainting(config, network, self.store)
            if setting.layout == "coach too":
                self.task.networks["coach"].to(memory_format=torch.channels_last)
        if setting.compiled:
            network.compile()
        set_up(self.task, self.fabric)
        self._change()

    def _change(self) -> None:
        """What a setting does otherwise than the training code."""
        if self.setting.augment == "resident":
            for name in ("images", "masks", "soft"):
                setattr(self.store, name, getattr(self.store, name).to(self.fabric.device))
        if self.setting.augment == "cpu":
            draw = self.store.batch
            self.store.batch = lambda *args: draw(*args[:3])
        if self.setting.read == "step":
            backward = self.fabric.backward

            def read_then_go_back(loss: torch.Tensor) -> None:
                backward(loss)
                loss.item()

            self.fabric.backward = read_then_go_back

    def epoch(self) -> tuple[float, float]:
        """Train one epoch; its seconds, by the clock and of the processors."""
        torch.set_num_threads(self.setting.threads)
        torch.backends.cudnn.benchmark = self.setting.autotune
        wait()
        wall, work = time.perf_counter(), time.process_time()
        self.task.epoch(self.fabric, self.number)
        wait()
        self.number += 1
        return time.perf_counter() - wall, time.process_time() - work


def wait() -> None:
    """Until a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(
    kind_settings: Sequence[Setting],
    samples: list[Sample],
    size: tuple[int, int],
    *,
    steps: int,
    repeats: int,
    parts_repeats: int,
) -> Iterator[dict[str, Any]]:
    """Train every setting in turns; what each took."""
    trainers = [Trainer(setting, samples, size, steps) for setting in kind_settings]
    first = [trainer.epoch()[0] for trainer in trainers]  # not counted: buffers, algorithms
    times = [[trainer.epoch() for trainer in trainers] for _ in range(repeats)]
    for index, trainer in enumerate(trainers):
        walls, works = zip(*(turn[index] for turn in times), strict=True)
        yield {
            **asdict(trainer.setting),
            "slices_per_epoch": trainer.slices,
            "first_epoch_seconds": round(first[index], 3),
            "slices_per_second": spread([trainer.slices / seconds for seconds in walls]),
            "slices_per_core_second": spread([trainer.slices / seconds for seconds in works]),
            # Waiting at every border of a part costs time: parts come from epochs of their own.
            "parts": parts_of(trainer, parts_repeats),
        }


def parts_of(trainer: Trainer, repeats: int) -> dict[str, float]:
    """Milliseconds a slice of every part of a step, the median over ``repeats`` epochs."""
    epochs = []
    for _ in range(repeats):
        with timed_parts(trainer.task, trainer.fabric, trainer.store, wait) as seconds:
            began = time.perf_counter()
            trainer.epoch()
            seconds["forward"] = time.perf_counter() - began - sum(seconds.values())
        epochs.append(seconds)
    names = sorted({name for seconds in epochs for name in seconds})
    return {
        name: round(median(each.get(name, 0.0) for each in epochs) / trainer.slices * 1e3, 3)
        for name in names
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, every value and how many."""
    return {"p50": median(values), "values": list(values), "n": len(values)}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything; one line."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    repeats = arguments.repeats or (3 if arguments.quick else 5)
    before, revision = host(), commit()
    samples = made_slices(64)
    rows: list[dict[str, Any]] = []
    for kind in arguments.kinds:
        options = {"quick": arguments.quick, "compiled": arguments.compile}
        kind_settings = settings(kind, device, **options)
        rows += measure(
            kind_settings,
            samples,
            SIZE,
            steps=arguments.steps or steps_of(kind, device, quick=arguments.quick),
            repeats=repeats,
            parts_repeats=1 if arguments.quick else min(repeats, 3),
        )
        gc.collect()
        print(f"{kind}: {len(kind_settings)} settings measured", file=sys.stderr)
    return {
        "schema": SCHEMA,
        "commit": revision,
        "command": command(),
        "date": datetime.now(UTC).date().isoformat(),
        "host": before,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "versions": {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "lightning-fabric": fabric_version(),
        },
        "input": list(SIZE),
        "settings": rows,
    }


def steps_of(kind: str, device: str, *, quick: bool) -> int:
    """Batches of an epoch.

    An epoch on a GPU must be longer than what starts and ends it; of the coach's, a fixed number of
    slices measures its hardness.
    """
    if device == "cuda":
        return 8
    return 8 if KINDS[kind][1] and not quick else 2


def fabric_version() -> str:
    """Of lightning_fabric, which comes in packages of several names."""
    import lightning_fabric

    return str(lightning_fabric.__version__)


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--out", type=Path, help="file of JSON lines")
    what.add_argument("--docs", type=Path, help="print the page of this file instead")
    parser.add_argument("--quick", action="store_true", help="few settings and repeats")
    parser.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--repeats", type=int, help="epochs that are timed")
    parser.add_argument("--steps", type=int, help="batches of an epoch")
    parser.add_argument("--compile", action="store_true", help="torch.compile too: minutes")
    return parser.parse_args(words)


if __name__ == "__main__":
    asked = parsed()
    if asked.docs:
        print(page(asked.docs), end="")
    else:
        append(asked.out, run(asked))
