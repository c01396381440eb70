"""From which probability dense tissue is lung: what each choice costs and gains.

    python experiments/lungs/thresholds.py DATA --weights RUN --what painted \\
        -o experiments/results/lungs-thresholds-painted.json
    python experiments/lungs/thresholds.py DATA --weights RUN --what phantoms \\
        -o experiments/results/lungs-thresholds-phantoms.json

``painted``: real scans with disease painted into them (stressed.py) and as they are, each by the
network that never saw its patient. ``phantoms``: seed 0 of phantoms.py, which no network was
trained on and no figure comes from.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cohort import UNSURE, labelled_scan
from masks import finder_of, fold_of
from phantoms import phantoms
from stressed import NAMES, PAINTERS, measured

from lungscore.anatomy import find_lungs, network_lungs
from lungscore.anatomy.lung_maps import LungMaps
from lungscore.evaluation.metrics import dice
from lungscore.files import atomic_write
from lungscore.scan import Scan
from lungscore.scan.phantom import Phantom

CHOICES = (128, 165, 191, 217, 235, 245)
PAINTED = ("pneumonia", "white_base")
SEED = 0


class Told:
    """A finder that says again what a network said once."""

    def __init__(self, maps: LungMaps) -> None:
        self._maps = maps

    def maps(self, scan: Scan) -> LungMaps:
        return self._maps


def painted(data: Path, weights: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Name, and what measures it with the choice of the moment."""
    for name in NAMES:
        case = labelled_scan(name, data)
        lungs = np.array([0, 2, 2, 1, 1, 1, 0, 0, 0], np.uint8)[case.labels]
        unsure = case.labels == UNSURE
        finder = finder_of(weights / f"{fold_of(case.patient)}.safetensors")
        for number, disease in enumerate(("as it is", *PAINTED)):
            hu = case.scan.values.astype(np.float32)
            if disease in PAINTERS:
                random = np.random.default_rng(number)
                PAINTERS[disease](hu, lungs, case.scan.spacing_mm, random)
            values = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
            scan = replace(case.scan, values=values)
            told = Told(finder.maps(scan))
            yield f"{disease}, {name}", partial(measured, scan, lungs, unsure, told)


def of_phantoms(weights: Path) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """The same of phantoms, by the network of all scans."""
    finder = finder_of(weights / "all.safetensors")
    for name, case, side, fluid in phantoms([SEED]):
        yield name, partial(of_phantom, case, finder.maps(case.scan), side, fluid)


def of_phantom(
    case: Phantom, maps: LungMaps, side: int, fluid: np.ndarray | None
) -> dict[str, Any]:
    """Dice of the lung with the disease, and what is no lung though drawn, ml."""
    ml = case.scan.voxel_ml or float("nan")
    labels = find_lungs(case.scan, lambda: maps).labels
    row = {"dice": round(dice(labels == side, case.lungs == side), 4)}
    row["wrong_ml"] = round(float(((labels > 0) & (case.lungs == 0)).sum()) * ml, 1)
    if fluid is not None:
        row["fluid_in_lungs_ml"] = round(float((labels[fluid] > 0).sum()) * ml, 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="folder of train.py")
    parser.add_argument("--what", choices=("painted", "phantoms"), required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.what == "painted":
        cases = painted(arguments.data, arguments.weights)
    else:
        cases = of_phantoms(arguments.weights)
    rows: dict[int, dict[str, dict[str, Any]]] = {choice: {} for choice in CHOICES}
    for name, measure in cases:
        for choice in CHOICES:
            network_lungs.DENSE = choice
            rows[choice][name] = measure()
        print(name, [rows[choice][name] for choice in CHOICES], flush=True)
    command = (
        f"python experiments/lungs/thresholds.py DATA --weights RUN --what {arguments.what} "
        f"-o {arguments.out.as_posix()}"
    )
    results = {"command": command, "seed": SEED, "rows": rows}
    atomic_write(arguments.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
