"""How well lobes are found from the shape of the lungs alone, on manual lobe masks.

    python experiments/evaluate_lobes.py FOLDER -o experiments/results/lobes.json [--fit]

FOLDER holds the lobe masks of Tang et al. 2019 on LUNA16 (NRRD, value & 511: 4 RUL, 5 RML, 6 RLL,
7 LUL, 8 LLL). Only the right and left lung mask built from each is shown to the method. Scores are
leave-one-out: the fissures are fitted without the case that they are scored on. --fit also prints
the table of ``lungscore.anatomy.fissures``, fitted to all cases.
"""

import argparse
import json
from itertools import combinations_with_replacement
from pathlib import Path

import nrrd
import numpy as np
from scipy import optimize, special

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.lobes import LUNG_LOBES, find_lobes, lung_coordinates
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, LOBE_ORDER, LOBES, RIGHT_LUNG
from lungscore.scan import Geometry

SEED, VOXELS_PER_LUNG, RESAMPLES = 0, 3000, 10000
LUNA_VALUES = {4: "RUL", 5: "RML", 6: "RLL", 7: "LUL", 8: "LLL"}
#: Masks are read at every n-th voxel so that voxels are near this size, mm.
VOXEL_MM = 1.5


def read_lobes(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Manual lobes, uint8 (D, H, W) of labels.LOBES in canonical axes, and their spacing."""
    values, header = nrrd.read(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(header["space directions"]).T
    affine[:2] *= -1  # the files are in LPS
    geometry = Geometry(values.shape, affine)
    table = np.zeros(512, np.uint8)
    for value, name in LUNA_VALUES.items():
        table[value] = LOBES[name]
    lobes = geometry.to_canonical(table[values & 511])
    steps = [max(1, round(VOXEL_MM / size)) for size in geometry.spacing_mm]
    spacing = tuple(size * step for size, step in zip(geometry.spacing_mm, steps, strict=True))
    return lobes[:: steps[0], :: steps[1], :: steps[2]].copy(), spacing  # type: ignore[return-value]


def lungs_of(lobes: np.ndarray) -> np.ndarray:
    """The lung labels that manual ``lobes`` make up."""
    right = np.isin(lobes, [LOBES[name] for name in LUNG_LOBES[RIGHT_LUNG]])
    left = np.isin(lobes, [LOBES[name] for name in LUNG_LOBES[LEFT_LUNG]])
    return right * np.uint8(RIGHT_LUNG) + left * np.uint8(LEFT_LUNG)


def sample(lobes: np.ndarray, side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Quadratic features (n, 10) and lobe index (n,) of random voxels of one lung."""
    mask = lungs_of(lobes) == side
    box = lung_box(mask)
    mask, lobes = mask[box], lobes[box]
    axes = lung_coordinates(mask)
    chosen = rng.choice(np.flatnonzero(mask), VOXELS_PER_LUNG)
    index = np.unravel_index(chosen, mask.shape)
    columns = [np.ones(len(chosen)), *(axis[i] for axis, i in zip(axes, index, strict=True))]
    columns += [
        columns[1 + a] * columns[1 + b] for a, b in combinations_with_replacement(range(3), 2)
    ]
    values = [LOBES[name] for name in LUNG_LOBES[side]]
    return np.stack(columns, axis=1), np.argmax(lobes.ravel()[chosen, None] == values, axis=1)


def fit(features: np.ndarray, targets: np.ndarray, *, ridge: float = 1e-4) -> np.ndarray:
    """(lobes, 10) weights of a multinomial logistic model with a small ridge penalty."""
    count = targets.max() + 1
    one_hot = np.eye(count)[targets]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(count, -1)
        logits = features @ weights.T
        normaliser = special.logsumexp(logits, axis=1, keepdims=True)
        value = (normaliser[:, 0] - (logits * one_hot).sum(axis=1)).mean()
        slope = (np.exp(logits - normaliser) - one_hot).T @ features / len(features)
        return value + ridge * (weights**2).sum(), (slope + 2 * ridge * weights).ravel()

    start = np.zeros(count * features.shape[1])
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x.reshape(count, -1)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * np.count_nonzero(a & b) / total if total else float("nan")


def interval(values: np.ndarray, rng: np.random.Generator) -> list[float]:
    """95 % percentile bootstrap interval of the mean over cases."""
    means = rng.choice(values, (RESAMPLES, len(values))).mean(axis=1)
    return [round(float(q), 4) for q in np.quantile(means, (0.025, 0.975))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.glob("*.nrrd"))
    cases = [read_lobes(path) for path in paths]
    rng = np.random.default_rng(SEED)
    samples = {
        side: [sample(lobes, side, rng) for lobes, _ in cases] for side in (RIGHT_LUNG, LEFT_LUNG)
    }

    def fissures(left_out: int | None) -> dict[int, np.ndarray]:
        return {
            side: fit(
                np.concatenate([x for i, (x, _) in enumerate(rows) if i != left_out]),
                np.concatenate([y for i, (_, y) in enumerate(rows) if i != left_out]),
            )
            for side, rows in samples.items()
        }

    scores = np.empty((len(cases), len(LOBE_ORDER)))
    for index, (truth, spacing_mm) in enumerate(cases):
        found = find_lobes(lungs_of(truth), spacing_mm, fissures=fissures(index))
        scores[index] = [dice(found == LOBES[n], truth == LOBES[n]) for n in LOBE_ORDER]
    results = {
        "what": "Dice of lobes found from the lung mask's shape, leave-one-out",
        "data": "26 manual lobe masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": f"python experiments/evaluate_lobes.py FOLDER -o {arguments.out.as_posix()}",
        "n": len(cases),
        "seed": SEED,
        "interval": "95 % percentile bootstrap over cases",
        "dice": {
            "mean": round(float(scores.mean()), 4),
            "mean_interval": interval(scores.mean(axis=1), rng),
            "lowest_case": round(float(scores.mean(axis=1).min()), 4),
            "lobes": {
                name: {
                    "mean": round(float(column.mean()), 4),
                    "interval": interval(column, rng),
                    "lowest": round(float(column.min()), 4),
                }
                for name, column in zip(LOBE_ORDER, scores.T, strict=True)
            },
        },
    }
    atomic_write(arguments.out, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(results["dice"], indent=2))
    if arguments.fit:
        for side, weights in fissures(None).items():
            print(f"    {'RIGHT' if side == RIGHT_LUNG else 'LEFT'}_LUNG: (")
            for row in weights - weights[0]:
                print("        (" + ", ".join(f"{value:.3f}" for value in row) + "),")
            print("    ),")


if __name__ == "__main__":
    main()
