"""How well lobes are found from the shape of the lungs alone, and whether their doubts are true.

    python experiments/evaluate_lobes.py FOLDER -o experiments/results/lobes.json

FOLDER: as for fit_lobe_atlas.py. Only the right and left lung mask built from each case is shown.
Scores are leave-one-out: the atlas, and all it knows of its errors, is fitted without the case
that it is scored on; "unlike" is fitted to the ten lungs least like the case alone, on either side.
Beside them stand a plain atlas, the share of each lobe at every place of the lung's box averaged
over the other masks, and the fitted one without hila. "ranges" are those of the infected percent
of each lobe and of TSS over moved borders, for BALLS balls of infection at random places, against
the percent of the manual lobe. What fissures in the CT add is measured on phantoms, whose lobes
are known; no CT with manual lobes was at hand.
"""

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from fit_lobe_atlas import (
    HILUM_SHARES,
    LungCase,
    fit_atlas,
    fit_borders,
    lung_cases,
    lungs_of,
    read_lobes,
)
from lungscore.anatomy import divide_lungs, find_lobes, find_lungs, include_infection, move_lobes
from lungscore.anatomy.atlas import LUNG_LOBES, LungAtlas
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.moved_lobes import TAIL, UNCERTAIN_DICE, MovedLobes
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, LOBE_ORDER, LOBES, RIGHT_LUNG
from lungscore.scan.phantom import make_phantom
from lungscore.severity import tss
from lungscore.statistics.bootstrap import SEED
from lungscore.statistics.intervals import mean_with_interval

SIDES = RIGHT_LUNG, LEFT_LUNG
#: Phantoms with both lungs; points of percent that an infected share may be off.
PHANTOMS, PHANTOM_SEEDS, POINTS = ("mild", "moderate", "severe", "dense"), 4, 3.0
WHICH = [(preset, seed) for preset in PHANTOMS for seed in range(PHANTOM_SEEDS)]
#: How many of the lungs least like a case an atlas is fitted to.
UNLIKE = 10
#: Infection at random: balls in the lungs, and the bounds of their radii.
BALLS, RADII_MM = 6, (15.0, 45.0)
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


@dataclass(frozen=True)
class Masks:
    """All manual masks: lobes and spacing, and by side what is fitted to of each."""

    masks: Sequence[tuple[np.ndarray, Any]]
    cases: dict[int, list[LungCase]]
    parts: dict[int, np.ndarray]

    @classmethod
    def read(cls, folder: Path) -> "Masks":
        masks = [read_lobes(path) for path in sorted(folder.glob("*.nrrd"))]
        both = [lung_cases(*mask, number) for number, mask in enumerate(masks)]
        cases = {side: [lungs[side] for lungs in both] for side in SIDES}
        return cls(
            masks, cases, {s: np.stack([shares(lobes, s) for lobes, _ in masks]) for s in SIDES}
        )

    def case(self, index: int) -> dict[str, Any]:
        """Every figure of one case, with atlases that do not know it."""
        truth, spacing_mm = self.masks[index]
        lungs = lungs_of(truth)
        others = {side: part.sum(axis=0) - part[index] for side, part in self.parts.items()}
        dices = {"plain": by_lobe(plain_lobes(lungs, others), truth)}
        rest = {side: lung[:index] + lung[index + 1 :] for side, lung in self.cases.items()}
        for name, hila in (("shape", (1e-6, 1e-6)), ("hilum", (HILUM_SHARES[0], 1e-6))):
            simpler = {side: with_errors(fit_borders(rest[side], hila)) for side in SIDES}
            dices[name] = by_lobe(find_lobes(lungs, spacing_mm, atlas=simpler), truth)
        usual = {side: fit_atlas(rest[side]) for side in SIDES}
        divided = divide_lungs(lungs, spacing_mm, atlas=usual)
        dices["fitted"] = by_lobe(divided.lobes, truth)
        moved = move_lobes(lungs, spacing_mm, divided)
        unlike = {side: fit_atlas(least_like(self.cases[side], index)) for side in SIDES}
        divided_unlike = divide_lungs(lungs, spacing_mm, atlas=unlike)
        dice_unlike = by_lobe(divided_unlike.lobes, truth)
        print(index, np.round(dices["fitted"], 3), flush=True)
        return {
            "dices": dices,
            "usual": doubted(moved, dices["fitted"]),
            "unlike": doubted(move_lobes(lungs, spacing_mm, divided_unlike), dice_unlike),
            "ranges": percent_ranges(moved, divided.lobes, truth, index),
        }


#: Read before the workers begin, which so share it.
READ: list[Masks] = []


def case_of(index: int) -> dict[str, Any]:
    return READ[0].case(index)


def summarised(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all cases."""
    dice = {name: np.array([row["dices"][name] for row in rows]) for name in rows[0]["dices"]}
    return {
        "dice": table(dice["fitted"]),
        "plain_atlas": table(dice["plain"]),
        "gain": gains(dice["fitted"], dice["plain"]),
        "steps": {
            "shape without hila, over the plain atlas": gains(dice["shape"], dice["plain"]),
            "the lung's own hilum": gains(dice["hilum"], dice["shape"]),
            "the other lung's hilum": gains(dice["fitted"], dice["hilum"]),
        },
        "doubts": {
            name: doubts_summary([row[name] for row in rows]) for name in ("usual", "unlike")
        },
        "ranges": ranges_summary([row["ranges"] for row in rows]),
        "cases": [[round(value, 4) for value in case] for case in dice["fitted"].tolist()],
        "doubts_of_cases": [row["usual"] for row in rows],
    }


def with_errors(atlas: LungAtlas) -> LungAtlas:
    """An atlas that takes itself to be faultless."""
    return replace(atlas, distances=np.ones(1), errors=np.zeros((1, *atlas.borders.shape[:2])))


def least_like(cases: Sequence[LungCase], index: int) -> list[LungCase]:
    """The UNLIKE lungs whose shape is farthest from that of the ``index``-th."""
    shapes = np.stack([case.shape for case in cases]).astype(float)
    distances = ((shapes - shapes[index]) ** 2).sum(axis=1)
    return [cases[n] for n in np.sort(np.argsort(distances)[-UNLIKE:])]


def doubted(moved: MovedLobes, dice_of_lobes: Sequence[float]) -> dict[str, Any]:
    """What is expected of every lobe beside what came, in LOBE_ORDER."""
    confidence = [moved.confidence[name] for name in LOBE_ORDER]
    return {
        "dice": [round(value, 3) for value in dice_of_lobes],
        "expected": [round(lobe.expected, 3) for lobe in confidence],
        "low": [round(lobe.low, 3) for lobe in confidence],
        "uncertain": [lobe.uncertain for lobe in confidence],
    }


def doubts_summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often doubts are true."""
    names = ("dice", "expected", "low", "uncertain")
    dices, expected, low, uncertain = (np.array([row[name] for row in rows]) for name in names)
    bad = dices < UNCERTAIN_DICE
    return {
        "lobes": dices.size,
        "mean_dice": round(float(dices.mean()), 4),
        "expected_dice": round(float(expected.mean()), 4),
        "below_low": round(float((dices < low).mean()), 4),
        f"below_{UNCERTAIN_DICE:g}": int(bad.sum()),
        "of_these_with_notice": int((bad & uncertain).sum()),
        "others_with_notice": int((~bad & uncertain).sum()),
        "scans_with_notice": int(uncertain.any(axis=1).sum()),
        "notices_by_lobe": dict(zip(LOBE_ORDER, uncertain.sum(axis=0).tolist(), strict=True)),
    }


def percent_ranges(
    moved: MovedLobes, lobes: np.ndarray, truth: np.ndarray, seed: int
) -> dict[str, Any]:
    """Infected percents of the lobes: true, ours, lowest and highest; and the same of TSS."""
    grid = moved.grid
    rng = np.random.default_rng((SEED, seed))
    true, ours = grid.centres(truth), grid.centres(lobes)
    inside = np.argwhere(true > 0)
    infected = np.zeros(true.shape, bool)
    at_mm = np.stack(np.indices(true.shape), axis=-1) * grid.spacing_mm
    for middle in inside[rng.choice(len(inside), BALLS)] * grid.spacing_mm:
        infected |= ((at_mm - middle) ** 2).sum(axis=-1) < rng.uniform(*RADII_MM) ** 2
    lungs = true > 0

    def percents(labels: np.ndarray) -> list[float]:
        return [100 * float(infected[lungs & (labels == LOBES[n])].mean()) for n in LOBE_ORDER]

    others = np.array([percents(labels) for labels in moved.lobes])
    cut = int(TAIL * len(others))
    spans = np.sort(others, axis=0)[[cut, -1 - cut]]
    totals = np.sort([tss(dict(zip(LOBE_ORDER, row, strict=True))).total for row in others])
    own = percents(ours)
    true_percents = percents(true)
    total = [tss(dict(zip(LOBE_ORDER, row, strict=True))).total for row in (true_percents, own)]
    return {
        "true": true_percents,
        "ours": own,
        "low": np.minimum(spans[0], own).tolist(),
        "high": np.maximum(spans[1], own).tolist(),
        "tss": [*total, min(int(totals[cut]), total[1]), max(int(totals[-1 - cut]), total[1])],
    }


def ranges_summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often ranges hold the true number, and how wide they are."""
    names = ("true", "ours", "low", "high")
    true, ours, low, high = (np.array([row[name] for row in rows]) for name in names)
    held = (low <= true) & (true <= high)
    scores = np.array([row["tss"] for row in rows])
    return {
        "balls": BALLS,
        "radii_mm": list(RADII_MM),
        "percent_held": round(float(held.mean()), 3),
        "percent_held_by_lobe": dict(
            zip(LOBE_ORDER, held.mean(axis=0).round(3).tolist(), strict=True)
        ),
        "error_points": round(float(np.abs(ours - true).mean()), 2),
        "width_points": round(float((high - low).mean()), 2),
        "tss_held": int(((scores[:, 2] <= scores[:, 0]) & (scores[:, 0] <= scores[:, 3])).sum()),
        "tss_equal": int((scores[:, 0] == scores[:, 1]).sum()),
        "tss_width": round(float((scores[:, 3] - scores[:, 2]).mean()), 2),
    }


def on_phantom(which: tuple[str, int]) -> dict[str, Any]:
    """Dice by the shape of the lungs alone and with the fissures of the CT, and how far the
    infected percent of each lobe is from the truth, with true infection but our own anatomy.
    """
    preset, seed = which
    case = make_phantom(preset, seed=seed)
    scan, infected = case.scan, case.lesions > 0
    lungs = include_infection(find_lungs(scan), infected, scan).labels
    lobes = find_lobes(lungs, scan.spacing_mm, hounsfield=scan.values)
    print(preset, seed, flush=True)
    return {
        "shape_alone": by_lobe(find_lobes(lungs, scan.spacing_mm), case.lobes),
        "with_fissures": by_lobe(lobes, case.lobes),
        "errors": {
            name: round(percent(infected, lobes, name) - percent(infected, case.lobes, name), 2)
            for name in LOBE_ORDER
        },
    }


def on_phantoms(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all phantoms."""
    alone, fissures = (np.array([row[n] for row in rows]) for n in ("shape_alone", "with_fissures"))
    errors = {f"{w[0]}-{w[1]}": row["errors"] for w, row in zip(WHICH, rows, strict=True)}
    within = [max(map(abs, lobes.values())) <= POINTS for lobes in errors.values()]
    return {
        "n": len(errors),
        "shape_alone": table(alone),
        "with_fissures": table(fissures),
        "gain": gains(fissures, alone),
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
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    READ.append(Masks.read(arguments.folder))
    with ProcessPoolExecutor(arguments.workers, get_context("fork")) as pool:
        phantoms = pool.map(on_phantom, WHICH)
        cases = list(pool.map(case_of, range(len(READ[0].masks))))
    results = {
        "what": "Dice of lobes found from the lung mask's shape, leave-one-out",
        "data": "26 manual lobe masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": f"python experiments/evaluate_lobes.py FOLDER -o {arguments.out.as_posix()}",
        "n": len(cases),
        "seed": SEED,
        "interval": "95 % percentile bootstrap over cases",
        **summarised(cases),
        "phantoms": on_phantoms(list(phantoms)),
    }
    atomic_write(arguments.out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for name in ("dice", "plain_atlas", "gain", "doubts", "ranges"):
        print(name, json.dumps(results[name]))
    print("phantoms", json.dumps(results["phantoms"]))


if __name__ == "__main__":
    main()
