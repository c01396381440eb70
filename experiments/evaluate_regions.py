"""Whether the 20 regions lie where anatomy puts them, on manual lobe masks and on our own lobes.

    python experiments/evaluate_regions.py DATA -o experiments/results/regions.json

DATA holds luna16-lobes, the lobe masks of Tang et al. 2019 on LUNA16. Each is divided on voxels of
about 1.5 mm and again on every second of them; sizes, pieces and places are those of the coarser
masks. "own lobes" are found from the lungs that each mask makes up. What a region should touch is
the table of region_properties.py. Time is processor seconds of one core, best of three.
"""

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evaluate_lobes import read_lobes
from lungscore.anatomy import divide_regions, find_lobes
from lungscore.anatomy.regions import SEGMENTS
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.scan.phantom import PRESETS, make_phantom
from region_properties import HOLDS, NUMBERS, TOUCHES, largest_parts, percents, properties

#: What every region should measure, percent of both lungs, and hold in its largest piece.
SMALLEST, LARGEST, WHOLE = 2.0, 10.0, 0.95
Spacing = tuple[float, float, float]


def halved(lobes: np.ndarray, spacing_mm: Spacing) -> tuple[np.ndarray, Spacing]:
    """Every second voxel along every axis."""
    z, y, x = spacing_mm
    return lobes[::2, ::2, ::2].copy(), (2 * z, 2 * y, 2 * x)


def own_lobes(lobes: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """The lobes that we would find, shown only the two lungs."""
    right = np.isin(lobes, [value for name, value in LOBES.items() if name[0] == "R"])
    lungs = np.where(right, RIGHT_LUNG, LEFT_LUNG) * (lobes > 0)
    return find_lobes(lungs.astype(np.uint8), spacing_mm)


def dices(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    scores = {}
    for name, number in NUMBERS.items():
        a, b = first == number, second == number
        scores[name] = 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
    return scores


def measure(lobes: np.ndarray, spacing_mm: Spacing) -> dict[str, Any]:
    regions = divide_regions(lobes, spacing_mm)
    if ((regions > 0) != (lobes > 0)).any():
        raise SystemExit("some voxels of a lobe have no region")
    return {
        "percent": percents(regions),
        "largest_part": largest_parts(regions),
        "properties": properties(regions, lobes),
    }


def summary(cases: list[dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for case in cases for name in case["properties"])
    held = {name: sum(case["properties"].get(name, False) for case in cases) for name in names}
    percent = {name: np.array([case["percent"][name] for case in cases]) for name in NUMBERS}
    return {
        "n": len(cases),
        "regions": {
            name: {
                "percent": stated(percent[name], 2),
                "smallest_largest_part": round(min(c["largest_part"][name] for c in cases), 4),
            }
            for name in NUMBERS
        },
        f"outside_{SMALLEST:g}_to_{LARGEST:g}_percent": [
            outlier
            for index, case in enumerate(cases)
            for outlier in outside(index, case["percent"])
        ],
        f"regions_below_{WHOLE:g}_in_one_piece": sum(
            share < WHOLE for case in cases for share in case["largest_part"].values()
        ),
        "properties": len(held),
        "properties_held_by_every_case": sum(count == len(cases) for count in held.values()),
        "cases_that_hold": held,
    }


def outside(index: int, percent: dict[str, float]) -> Iterator[dict[str, Any]]:
    """The lobes of a case with a region outside the limits, with the lobe's own percent."""
    for lobe in SEGMENTS:
        parts = {name: share for name, share in percent.items() if name.startswith(lobe)}
        if not all(SMALLEST <= share <= LARGEST for share in parts.values()):
            rounded = {name: round(share, 2) for name, share in parts.items()}
            total = round(sum(parts.values()), 2)
            yield {"case": index, "lobe": lobe, "lobe_percent": total, "percent": rounded}


def stated(values: Iterable[float], digits: int) -> dict[str, float]:
    values = np.array(list(values))
    numbers = {"mean": values.mean(), "min": values.min(), "max": values.max()}
    return {name: round(float(number), digits) for name, number in numbers.items()}


def seconds(lobes: np.ndarray, spacing_mm: Spacing) -> dict[str, Any]:
    """Time on a whole scan at full size: ``lobes`` with every voxel cut in eight."""
    large = lobes.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
    taken = []
    for _ in range(3):
        start = time.process_time()
        divide_regions(large, tuple(size / 2 for size in spacing_mm))  # type: ignore[arg-type]
        taken.append(time.process_time() - start)
    return {"shape": list(large.shape), "seconds": round(min(taken), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    manual, own, agreement, timed = [], [], [], None
    paths = sorted((arguments.data / "luna16-lobes").glob("*.nrrd"))
    for path in paths:
        fine, fine_mm = read_lobes(path)
        lobes, spacing_mm = halved(fine, fine_mm)
        manual.append(measure(lobes, spacing_mm))
        own.append(measure(own_lobes(lobes, spacing_mm), spacing_mm))
        again = divide_regions(fine, fine_mm)[::2, ::2, ::2]
        agreement.append(dices(again, divide_regions(lobes, spacing_mm)))
        if timed is None and fine.shape[0] < 160 and fine.shape[1] == 256:
            timed = seconds(fine, fine_mm)
    phantoms = []
    for preset in PRESETS:
        case = make_phantom(preset, shape=(64, 112, 112))
        if set(np.unique(case.lobes)) >= set(LOBES.values()):
            phantoms.append(measure(case.lobes, case.scan.spacing_mm))  # type: ignore[arg-type]
    results: dict[str, Any] = {
        "what": "the 20 regions: percent of the lungs, connectedness, anatomical properties",
        "data": "26 manual lobe masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": f"python experiments/evaluate_regions.py DATA -o {arguments.out.as_posix()}",
        "n": len(paths),
        "touches": f"at least {TOUCHES:g} of the lobe's part of that surface",
        "holds_the_top": f"at least {HOLDS:g} of it",
        "manual_lobes": summary(manual),
        "own_lobes": summary(own),
        "phantoms": summary(phantoms),
        "dice_between_1.5_and_3_mm": {
            name: stated((case[name] for case in agreement), 4) for name in NUMBERS
        },
        "speed": {"processors": os.cpu_count(), **(timed or {})},
    }
    atomic_write(arguments.out, json.dumps(results, indent=2) + "\n")
    for kind in ("manual_lobes", "own_lobes", "phantoms"):
        shown = {name: value for name, value in results[kind].items() if name != "regions"}
        print(kind, json.dumps(shown, indent=1))


if __name__ == "__main__":
    main()
