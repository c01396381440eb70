"""What lungs cost by rules and with the shipped network, and lobes in them, in turn, on a phantom.

    python experiments/lungs/seconds.py --slices 300 -o experiments/results/lungs-seconds.json

Processor seconds of one process, and by the clock; other work on the computer lengthens both, but
one method as the other: the ratio of runs in turn is what counts.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from lungscore.anatomy import find_lobes, find_lungs
from lungscore.files import atomic_write
from lungscore.inference.lung_finder import LungFinder
from lungscore.machine import available_threads
from lungscore.scan.phantom import make_phantom
from lungscore.scan.phantom.make import FIELD_MM

SIZE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    pixel = FIELD_MM[1] / SIZE
    scan = make_phantom(
        "several-patches",
        seed=1,
        shape=(arguments.slices, SIZE, SIZE),
        spacing_mm=(FIELD_MM[0] / arguments.slices, pixel, pixel),
    ).scan
    finder = LungFinder()
    lungs = find_lungs(scan, lambda: finder.maps(scan)).labels
    methods: dict[str, Callable[[], Any]] = {
        "rules": lambda: find_lungs(scan),
        "network": lambda: find_lungs(scan, lambda: finder.maps(scan)),
        "lobes": lambda: find_lobes(lungs, scan.geometry.spacing_mm, hounsfield=scan.values),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for _ in range(arguments.runs):
        for name, method in methods.items():
            began = time.process_time(), time.perf_counter()
            method()
            seconds = {
                "processor_seconds": round(time.process_time() - began[0], 2),
                "clock_seconds": round(time.perf_counter() - began[1], 2),
            }
            runs[name].append(seconds)
            print(name, seconds, flush=True)
    middle = {
        name: {kind: median(row[kind] for row in rows) for kind in rows[0]}
        for name, rows in runs.items()
    }
    results = {
        "command": f"python experiments/lungs/seconds.py --slices {arguments.slices} "
        f"--runs {arguments.runs} -o {arguments.out.as_posix()}",
        "slices": arguments.slices,
        "seed": 1,
        "n": arguments.runs,
        "threads": available_threads(),
        "median": middle,
        "ratio": {
            kind: round(middle["network"][kind] / middle["rules"][kind], 2)
            for kind in middle["rules"]
        },
        "runs": runs,
    }
    atomic_write(arguments.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
