"""What one slice costs in our network and in others, as ratios inside one run.

    python experiments/speed/networks.py -o benchmarks/results/networks.jsonl --threads 1 2

All networks see the same slices of the phantom, each at its own input size, and take turns (A B C
A B C …), so that a busy machine is busy for all of them. One line of JSON for each number of
threads is appended to the file. Random weights serve where the time alone is asked for. Needs what
``pip install "lungscore[train,test]"`` installs.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Busy waiting between operations makes two busy threads ten times slower than one.
os.environ["OMP_WAIT_POLICY"] = "passive"

import numpy as np
import torch

from estimates import ratio
from host import commit, host
from latency import append, command
from lungscore.inference.bundle import Bundle, load_bundle
from lungscore.inference.engines import load_network, make_engine
from lungscore.networks import make_network
from lungscore.scan.phantom import make_phantom
from lungscore.scan.window import resize, window
from lungscore.statistics.estimate import text_of

SCHEMA = "lungscore.networks/1"
#: Runs all slices once and returns nothing.
Pass = Callable[[], None]


def made_slices(count: int, side: int = 512) -> np.ndarray:
    """(count, side, side) float32 grey levels 0…1: the middle of the phantom's chest."""
    shape = (2 * count, side, side)
    values = make_phantom("moderate", seed=0, shape=shape).scan.values
    return window(values[count // 2 : count // 2 + count], -1350.0, 150.0)


def contenders(
    slices: np.ndarray, threads: int, flags: Sequence[str]
) -> Iterator[tuple[dict[str, Any], Pass]]:
    """The networks that take turns, each described; the first is the one that others are a
    multiple of.
    """
    bundle = load_bundle()
    size = (bundle.card.input.height, bundle.card.input.width)
    ours = f"{bundle.card.network}, {bundle.card.encoder}"
    own = load_network(bundle)
    for precision in ("f32", "bf16"):
        if precision == "bf16" and not {"amx_bf16", "avx512_bf16"} & {*flags}:
            continue
        yield (
            described("shipped", ours, "openvino", precision, size, own),
            through_engine(bundle, precision, threads, at_size(slices, size)),
        )
    yield (
        described("shipped", ours, "torch eager", "f32", size, own),
        eager(own, at_size(slices, size)),
    )
    features = (64, 128, 256, 512, 1024, 64)
    from monai.networks.nets import BasicUNet  # seconds to import

    u_net = BasicUNet(2, 1, 3, features, act="relu", norm="batch", upsample="deconv")
    inf_net = make_network("inf-net", encoder="res2net50-v1b")
    for key, name, network, size in (
        ("u-net", "U-Net of lungmask's size (64 to 1024 channels)", u_net, (256, 256)),
        ("res2net-50", "Inf-Net, Res2Net-50", inf_net, (352, 352)),
    ):
        yield (
            described(key, name, "torch eager", "f32", size, network),
            eager(network, at_size(slices, size)),
        )


def described(
    key: str,
    name: str,
    engine: str,
    precision: str,
    size: tuple[int, int],
    network: torch.nn.Module,
) -> dict[str, Any]:
    """What stands for a network in the line."""
    parameters = sum(each.numel() for each in network.parameters())
    return {
        "key": key,
        "network": name,
        "engine": engine,
        "precision": precision,
        "height": size[0],
        "width": size[1],
        "parameters": parameters,
    }


def at_size(slices: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The slices at a network's input size; making them is no part of what is measured."""
    return [np.array(resize(each, *size)) for each in slices]


def through_engine(bundle: Bundle, precision: str, threads: int, slices: list[np.ndarray]) -> Pass:
    """Our engine as ``analyze`` uses it."""
    run, _ = make_engine(bundle, name="openvino", precision=precision, threads=threads)

    def go() -> None:
        for _ in run((each,) for each in slices):
            pass

    return go


def eager(network: torch.nn.Module, slices: list[np.ndarray]) -> Pass:
    """torch as it is, one slice at a time."""
    network.eval()
    tensors = [torch.from_numpy(each)[None, None] for each in slices]

    def go() -> None:
        with torch.inference_mode():
            for tensor in tensors:
                network(tensor)

    return go


def taking_turns(passes: Sequence[Pass], slices: int, repeats: int) -> np.ndarray:
    """(passes, repeats) seconds a slice, after one pass of each that does not count."""
    for go in passes:
        go()
    seconds = np.empty((len(passes), repeats))
    for repeat in range(repeats):
        for place, go in enumerate(passes):
            began = time.perf_counter()
            go()
            seconds[place, repeat] = (time.perf_counter() - began) / slices
    return seconds


def measure(threads: int, count: int, repeats: int, side: int = 512) -> dict[str, Any]:
    """One line: every network's seconds a slice with ``threads`` threads, repeat by repeat."""
    before = host()
    torch.set_num_threads(threads)
    rows, passes = zip(
        *contenders(made_slices(count, side), threads, before["flags"] or ()), strict=True
    )
    seconds = taking_turns(passes, count, repeats)
    for row, own in zip(rows, seconds, strict=True):
        row["seconds_per_slice"] = [round(float(value), 6) for value in own]
    return {
        "schema": SCHEMA,
        "commit": commit(),
        "host": before,
        "versions": {name: version(name) for name in ("torch", "openvino", "monai", "numpy")},
        "threads": threads,
        "slices": count,
        "repeats": repeats,
        "networks": list(rows),
    }


def main() -> None:
    """A line for every number of threads."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--slices", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    for threads in asked.threads:
        line = measure(threads, asked.slices, asked.repeats)
        append(asked.out, {"command": command(), **line})
        print(f"{threads} threads, {asked.slices} slices, {asked.repeats} repeats")
        for row in line["networks"]:
            own, first = row["seconds_per_slice"], line["networks"][0]["seconds_per_slice"]
            times = ratio(own, first)
            print(
                f"  {row['network']:<48} {row['engine']:<12} {row['precision']:<5}"
                f"{1000 * np.median(own):8.1f} ms  {text_of(times, 'p50', 2)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
