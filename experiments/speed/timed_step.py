"""Where the time of a step of experiments/timed_stages.py goes.

    python experiments/speed/timed_step.py PACK/slices.zip --batch 8 \\
        -o benchmarks/results/timed-step.json

Each part is done ``--times`` times after a first one that does not count; seconds are medians, of
the processor where there is no GPU and of the clock where there is one. ``slices`` draws and moves
a batch and changes its look, ``disease`` is what synthetic lesions add to that; ``network`` and
``loss`` go forward, ``backward`` back.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lungscore.learning.timed.loss import two_answers_loss
from lungscore.learning.timed.pack import read_pack
from lungscore.learning.timed.slices import SliceStore
from lungscore.learning.timed.work import ALONE
from lungscore.networks.probabilities import normalise
from lungscore.networks.slim_inf_net import SlimInfNet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slices", type=Path, help="slices.zip of experiments/pack_slices.py")
    parser.add_argument("--encoder", default="efficientnet-lite0")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    result = {
        "command": "python experiments/speed/timed_step.py",
        "device": arguments.device.partition(":")[0],
        "batch": arguments.batch,
        "times": arguments.times,
        "encoder": arguments.encoder,
        "seconds": parts(arguments),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


def parts(arguments: argparse.Namespace) -> dict[str, float]:
    """Seconds of each part of a step."""
    device = torch.device(arguments.device)
    store = SliceStore(read_pack(arguments.slices, unlabelled=20), device)
    store.set_shares(ALONE)
    network = SlimInfNet(arguments.encoder).train()
    network = network.to(device, memory_format=torch.channels_last)

    def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
        result, spent = work(), []
        for _ in range(arguments.times):
            _wait(device)
            began = _now(device)
            result = work()
            _wait(device)
            spent.append(_now(device) - began)
        return statistics.median(spent), result

    def forward() -> Any:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            return network(image)

    def loss() -> torch.Tensor:
        return two_answers_loss(output, batch.infection, batch.consolidation)

    def step() -> None:
        two_answers_loss(forward(), batch.infection, batch.consolidation).backward()

    drawn, _ = seconds(lambda: store.batch(arguments.batch, synthesis=False))
    with_disease, batch = seconds(lambda: store.batch(arguments.batch, synthesis=True))
    image = normalise(batch.image).contiguous(memory_format=torch.channels_last)
    through, output = seconds(forward)
    judged, _ = seconds(loss)
    whole, _ = seconds(step)
    told = {
        "slices": drawn,
        "disease": with_disease - drawn,
        "network": through,
        "loss": judged,
        "backward": whole - through - judged,
        "step": with_disease + whole,
    }
    return {name: round(value, 4) for name, value in told.items()}


def _now(device: torch.device) -> float:
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
