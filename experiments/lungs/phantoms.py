"""Lungs of phantoms with dense lobes and effusions, by rules and with the shipped lung network.

    python experiments/lungs/phantoms.py -o experiments/results/lungs-phantoms.json

Seeds 3 to 5, which no network was trained on. Dice is that of the lung that holds the disease, as
found, before any infection joins it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1]))
from lungs_under_stress import (
    AT_DIAPHRAGM,
    AT_RIBS,
    FEWER_SEEDS,
    FLUID_PARTS,
    SIDES,
    dice,
    effused,
)
from lungscore.anatomy import Lungs, find_lungs
from lungscore.files import atomic_write
from lungscore.inference.bundle import LUNGS_MODEL, load_bundle
from lungscore.inference.lung_finder import LungFinder
from lungscore.labels import LEFT_LUNG, LOBE_ORDER, RIGHT_LUNG
from lungscore.scan import Scan
from lungscore.scan.phantom import Phantom, PhantomLesion, make_phantom

Method = Callable[[Scan], Lungs]
#: Phantom, method and figures.
Row = tuple[str, str, dict[str, Any]]


def phantoms(
    seeds: Iterable[int] = FEWER_SEEDS,
) -> Iterable[tuple[str, Phantom, int, np.ndarray | None]]:
    """Name, phantom, the lung that is measured and the fluid, if any."""
    for seed in seeds:
        for lobe in LOBE_ORDER:
            side = RIGHT_LUNG if lobe.startswith("R") else LEFT_LUNG
            for name, fraction, centre in (
                ("a third at the ribs", 1 / 3, AT_RIBS[lobe[0]]),
                ("a third at the diaphragm", 1 / 3, AT_DIAPHRAGM),
                ("whole", 1.0, AT_RIBS[lobe[0]]),
            ):
                lesion = PhantomLesion(
                    "consolidation", lobe, centre, (60, 40, 50), lobe_fraction=fraction
                )
                case = make_phantom("healthy", seed=seed, lesions=(lesion,))
                yield f"{lobe}, {name}", case, side, None
        for name, side in SIDES.items():
            for fraction in FLUID_PARTS:
                case, fluid = effused(make_phantom("healthy", seed=seed), side, fraction)
                yield f"effusion, {name}, {fraction:.0%} of the lung's room", case, side, fluid
        yield "healthy, right", make_phantom("healthy", seed=seed), RIGHT_LUNG, None
        yield "healthy, left", make_phantom("healthy", seed=seed), LEFT_LUNG, None


def of_seed(
    seed: int, names: list[str], model: str | None
) -> list[tuple[str, str, dict[str, Any]]]:
    """What is measured of every phantom of one seed."""
    finder = LungFinder(load_bundle(model) if model else None)
    methods: dict[str, Method] = {
        "network": lambda scan: find_lungs(scan, lambda: finder.maps(scan)),
        "rules": find_lungs,
    }
    rows: list[Row] = []
    for name, case, side, fluid in phantoms([seed]):
        for method in names:
            lungs = methods[method](case.scan)
            voxel_ml = case.scan.voxel_ml or float("nan")
            row: dict[str, Any] = {
                "dice": dice(lungs.labels == side, case.lungs == side),
                "wrong_ml": round(float(((lungs.labels > 0) & (case.lungs == 0)).sum()) * voxel_ml),
                "notices": [notice.code for notice in lungs.notices],
            }
            if fluid is not None:
                row["fluid_ml"] = round(float(fluid.sum()) * voxel_ml, 1)
                in_lungs = np.count_nonzero(lungs.labels[fluid])
                row["fluid_in_lungs_ml"] = round(in_lungs * voxel_ml, 1)
            rows.append((name, method, row))
            print(seed, name, method, row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder of the lung network (default: the shipped one)")
    parser.add_argument("--methods", nargs="+", default=["network", "rules"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(FEWER_SEEDS))
    parser.add_argument("--workers", type=int, default=1, help="seeds that run beside each other")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    measure = partial(of_seed, names=arguments.methods, model=arguments.model)
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        for seed_rows in pool.map(measure, arguments.seeds):
            for name, method, row in seed_rows:
                rows.setdefault(name, {}).setdefault(method, []).append(row)
    seeds = " ".join(map(str, arguments.seeds))
    results = {
        "what": "Dice of the lung with the disease, what is not lung though found, fluid in lungs",
        "command": f"python experiments/lungs/phantoms.py --methods "
        f"{' '.join(arguments.methods)} --seeds {seeds} --workers {arguments.workers} "
        f"-o {arguments.out.as_posix()}",
        "model": load_bundle(arguments.model or LUNGS_MODEL).used.sha256,
        "seeds": arguments.seeds,
        "lowest_dice": {
            name: {
                method: min(row["dice"] for row in method_rows)
                for method, method_rows in by_method.items()
            }
            for name, by_method in rows.items()
        },
        "rows": rows,
    }
    atomic_write(arguments.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
