"""How well lobes are found from the shape of the lungs alone, on manual lobe masks.

    python experiments/evaluate_lobes.py FOLDER -o experiments/results/lobes.json

FOLDER: as for fit_lobe_atlas.py. Only the right and left lung mask built from each case is shown.
Scores are leave-one-out: the atlas is fitted without the case that it is scored on. Beside it
stands a plain atlas, also leave-one-out: the share of each lobe at every place of the lung's box,
averaged over the other masks. What fissures in the CT add is measured on phantoms, whose lobes
are known; no CT with manual lobes was at hand.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from fit_lobe_atlas import fit_atlas, lung_cases, lungs_of, read_lobes
from lungscore.anatomy import find_lungs, include_infection
from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.lobes import find_lobes
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, LOBE_ORDER, LOBES, RIGHT_LUNG
from lungscore.scan.phantom import make_phantom
from lungscore.statistics.bootstrap import SEED
from lungscore.statistics.intervals import mean_with_interval

SIDES = RIGHT_LUNG, LEFT_LUNG
#: Phantoms with both lungs; points of percent that an infected share may be off.
PHANTOMS, PHANTOM_SEEDS, POINTS = ("mild", "moderate", "severe", "dense"), 4, 3.0
#: The plain atlas has this many places along z, y and x.
PLAIN = 64, 64, 64


def dice(a: np.ndarray, b: np.ndarray) -> float:
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else float("nan")


def by_lobe(found: np.ndarray, truth: np.ndarray) -> list[float]:
    """Dice of each lobe in LOBE_ORDER."""
    return [dice(found == LOBES[name], truth == LOBES[name]) for name in LOBE_ORDER]


def shares(lobes: np.ndarray, side: int) -> np.ndarray:
    """(lobes, *PLAIN): which lobe lies at each place of the lung's box."""
    box = lung_box(lungs_of(lobes) == side)
    values = [LOBES[name] for name in LUNG_LOBES[side]]
    parts = [(lobes[box] == value).astype(np.float32) for value in values]
    return np.stack([resized(part, PLAIN) for part in parts])


def resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """``values`` at voxel centres of another grid over the same box."""
    places = (
        (np.arange(new) + 0.5) * old / new - 0.5
        for old, new in zip(values.shape, shape, strict=True)
    )
    grid = np.stack(np.meshgrid(*places, indexing="ij"))
    return ndimage.map_coordinates(values, grid, order=1, mode="nearest")


def plain_lobes(lungs: np.ndarray, atlas: dict[int, np.ndarray]) -> np.ndarray:
    """The most frequent lobe at each place of each lung's box."""
    lobes = np.zeros(lungs.shape, np.uint8)
    for side, names in LUNG_LOBES.items():
        mask = lungs == side
        box = lung_box(mask)
        size = mask[box].shape
        best = np.stack([resized(part, size) for part in atlas[side]]).argmax(axis=0)
        values = np.array([LOBES[name] for name in names], np.uint8)
        lobes[box][mask[box]] = values[best][mask[box]]
    return lobes


def summary(values: np.ndarray) -> dict[str, Any]:
    """Mean over cases with its 95 % bootstrap interval, and the lowest case."""
    figures = mean_with_interval(values)
    mean, low, high = (round(float(figures[name]), 4) for name in ("mean", "low", "high"))
    return {"mean": mean, "interval": [low, high], "lowest": round(float(values.min()), 4)}


def table(scores: np.ndarray) -> dict[str, Any]:
    """Of (cases, lobes) scores."""
    lobes = {name: summary(column) for name, column in zip(LOBE_ORDER, scores.T, strict=True)}
    return {"mean of five": summary(scores.mean(axis=1)), **lobes}


def gains(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Paired differences, ours minus theirs."""
    return table(ours - theirs)


def leave_one_out(masks: Sequence[tuple[np.ndarray, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """(cases, lobes) Dice of the fitted and of the plain atlas."""
    both = [lung_cases(*mask, number) for number, mask in enumerate(masks)]
    cases = {side: [lungs[side] for lungs in both] for side in SIDES}
    parts = {side: np.stack([shares(lobes, side) for lobes, _ in masks]) for side in SIDES}
    totals = {side: share.sum(axis=0) for side, share in parts.items()}
    fitted, plain = [], []
    for index, (truth, spacing_mm) in enumerate(masks):
        atlas = {side: fit_atlas(lung[:index] + lung[index + 1 :]) for side, lung in cases.items()}
        lungs = lungs_of(truth)
        fitted.append(by_lobe(find_lobes(lungs, spacing_mm, atlas=atlas), truth))
        others = {side: totals[side] - parts[side][index] for side in SIDES}
        plain.append(by_lobe(plain_lobes(lungs, others), truth))
        print(index, np.round(fitted[-1], 3), np.round(plain[-1], 3), flush=True)
    return np.array(fitted), np.array(plain)


def on_phantoms() -> dict[str, Any]:
    """Dice by the shape of the lungs alone and with the fissures of the CT, and how far the
    infected percent of each lobe is from the truth, with true infection but our own anatomy.
    """
    shape_alone, with_fissures, errors = [], [], {}
    for preset in PHANTOMS:
        for seed in range(PHANTOM_SEEDS):
            case = make_phantom(preset, seed=seed)
            scan, infected = case.scan, case.lesions > 0
            lungs = include_infection(find_lungs(scan), infected, scan).labels
            lobes = find_lobes(lungs, scan.spacing_mm, hounsfield=scan.values)
            shape_alone.append(by_lobe(find_lobes(lungs, scan.spacing_mm), case.lobes))
            with_fissures.append(by_lobe(lobes, case.lobes))
            errors[f"{preset}-{seed}"] = {
                name: round(percent(infected, lobes, name) - percent(infected, case.lobes, name), 2)
                for name in LOBE_ORDER
            }
    within = [max(map(abs, lobes.values())) <= POINTS for lobes in errors.values()]
    return {
        "n": len(errors),
        "shape_alone": table(np.array(shape_alone)),
        "with_fissures": table(np.array(with_fissures)),
        "gain": gains(np.array(with_fissures), np.array(shape_alone)),
        "percent_errors": errors,
        "all_lobes_within_3_points": sum(within),
    }


def percent(infected: np.ndarray, lobes: np.ndarray, name: str) -> float:
    """Infected percent of a lobe."""
    return 100 * float(infected[lobes == LOBES[name]].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    masks = [read_lobes(path) for path in sorted(arguments.folder.glob("*.nrrd"))]
    fitted, plain = leave_one_out(masks)
    results = {
        "what": "Dice of lobes found from the lung mask's shape, leave-one-out",
        "data": "26 manual lobe masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": f"python experiments/evaluate_lobes.py FOLDER -o {arguments.out.as_posix()}",
        "n": len(masks),
        "seed": SEED,
        "interval": "95 % percentile bootstrap over cases",
        "dice": table(fitted),
        "plain_atlas": table(plain),
        "gain": gains(fitted, plain),
        "phantoms": on_phantoms(),
        "cases": [[round(value, 4) for value in case] for case in fitted.tolist()],
    }
    atomic_write(arguments.out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for name in ("dice", "plain_atlas", "gain"):
        print(name, json.dumps(results[name]))
    print("phantoms", json.dumps(results["phantoms"]))


if __name__ == "__main__":
    main()
