"""How weights and maps lie in memory while training: the faster way on this computer, measured.

Pixel by pixel (channels_last) is faster on most processors and cards, and up to five times slower
where bf16 goes to matrix registers (AMX) in the backward pass. The order of sums changes with it,
and nothing else.
"""

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from lungscore.files import atomic_write
from lungscore.learning.config import ExperimentConfig
from lungscore.machine import cpu_model
from lungscore.networks import lesion_input, normalise

LAYOUT = "layout.json"

Layout = Literal["channels-last", "contiguous"]
FORMATS: dict[Layout, torch.memory_format] = {
    "channels-last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}

#: Measured in turns, and one turn before that does not count; the shortest counts. On a slow or
#: busy computer no other turn begins after so many seconds.
TURNS, ENOUGH_S = 2, 20.0
#: Of so many slices at most.
SLICES = 8


def lay_out(network: nn.Module, config: ExperimentConfig, fabric: Fabric, out: Path) -> nn.Module:
    """``network`` as ``config.training.layout`` says, its parameters the same objects.

    "auto" measures at the start of a run and leaves what it found in ``out``/layout.json, of which
    a resumed run takes it, so that it ends with the same weights. In float32, where results repeat
    bit by bit, it is channels-last.
    """
    layout = config.training.layout
    if layout == "auto":
        layout = "channels-last"
        path = out / LAYOUT
        if config.training.precision != "32-true":
            if not any(out.glob("*.safetensors")):  # neither begun nor ended
                _write(path, network, config, fabric)
            layout = _read(path, layout)
    network.to(memory_format=FORMATS[layout])  # type: ignore[call-overload]
    return network


def step_seconds(
    network: nn.Module, config: ExperimentConfig, device: torch.device
) -> dict[tuple[Layout, str], float]:
    """(layout, precision) -> seconds of a step, forward and backward, of a batch of noise."""
    training, size = config.training, (config.input.height, config.input.width)
    with torch.random.fork_rng(devices=[]):  # nothing after this draws otherwise
        greys = torch.rand(min(training.batch_size, SLICES), 1, *size)
    images = lesion_input(greys, greys) if config.target == "lesions" else normalise(greys)
    seconds: dict[tuple[Layout, str], float] = {}
    ways = list(product(FORMATS, ("bf16-mixed", "32-true")))
    began = time.perf_counter()
    for turn in range(1 + TURNS):
        if seconds and time.perf_counter() - began > ENOUGH_S:
            break
        for layout, precision in ways:
            copy = deepcopy(network).to(device).train()
            copy.to(memory_format=FORMATS[layout])  # type: ignore[call-overload]
            taken = _step(copy, images.to(device), half=precision == "bf16-mixed")
            if turn:
                way = (layout, precision)
                seconds[way] = min(taken, seconds.get(way, taken))
    return seconds


def _step(network: nn.Module, images: Tensor, *, half: bool) -> float:
    """Seconds of one forward and one backward pass."""
    with torch.random.fork_rng():
        _wait_for(images.device)
        began = time.perf_counter()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            outputs = network(images)
        torch.stack([maps.float().square().mean() for maps in _tensors(outputs)]).sum().backward()
        _wait_for(images.device)
        return time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    """Until a card has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    """All tensors of a network's outputs."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, tuple | list):
        for output in outputs:
            yield from _tensors(output)


def _write(path: Path, network: nn.Module, config: ExperimentConfig, fabric: Fabric) -> None:
    """Measure, in one process of several, and keep what was found at ``path``."""
    if fabric.is_global_zero:
        seconds = step_seconds(network, config, fabric.device)
        own = {k[0]: s for k, s in seconds.items() if k[1] == config.training.precision}
        cuda = fabric.device.type == "cuda"
        content = {
            "layout": min(own, key=own.__getitem__),
            "precision": config.training.precision,
            "seconds_per_step": {" ".join(way): round(s, 4) for way, s in seconds.items()},
            "device": torch.cuda.get_device_name(fabric.device) if cuda else cpu_model(),
            "threads": torch.get_num_threads(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(content, indent=1) + "\n")
    fabric.barrier()


def _read(path: Path, default: Layout) -> Layout:
    """The layout of a run that has begun; ``default`` of one that never measured it."""
    try:
        layout = json.loads(path.read_text(encoding="utf-8"))["layout"]
    except (OSError, ValueError, KeyError, TypeError):
        return default
    return layout if layout in FORMATS else default
