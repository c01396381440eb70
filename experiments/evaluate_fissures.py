"""What the fissures that a CT shows do for the borders of the lobes.

    python experiments/evaluate_fissures.py DATA -o experiments/results/fissures.json

DATA holds covid-ct-md, wild-ct and luna16-lobes. "landmarks": how far our borders are from points
on visible fissures (fissure_landmarks.json), with the CT, in slices averaged to about THICK_MM, and
by the shape of the lungs alone. "phantoms": Dice of every lobe on chests with the lobes of real
people (real_lobe_phantoms.py), each with an atlas that does not know that person.
"""

import argparse
import csv
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from evaluate_lobes import by_lobe, gains, table
from fit_lobe_atlas import fit_atlas, lung_cases, read_lobes
from lungscore import analyze
from lungscore.anatomy import find_lobes
from lungscore.anatomy.atlas import LUNG_LOBES
from lungscore.evaluation.marked_lobes import against_marked_lobes
from lungscore.files import atomic_write
from lungscore.labels import LOBE_ORDER, LOBES
from lungscore.scan import Scan
from real_lobe_phantoms import LobePhantom, make_lobe_phantom, thick_slices

LANDMARKS = Path(__file__).with_name("fissure_landmarks.json")
#: The lobes on either side of a fissure.
FISSURES = {
    "left oblique": (("LUL",), ("LLL",)),
    "right oblique": (("RUL", "RML"), ("RLL",)),
    "right horizontal": (("RUL",), ("RML",)),
}
THICK_MM = 5.0
#: The seed of the phantom of the n-th mask is n more than this.
FIRST_SEED = 100
#: Settings of anatomy/fissures.py were chosen on phantoms of masks 0, 2 … 10; measured are these.
HELD_OUT = range(1, 26, 2)


def distances_mm(
    lobes: np.ndarray, to_patient: np.ndarray, fissure: str, points: np.ndarray
) -> np.ndarray:
    """(n,) from each of ``points`` (n, 3) to the nearest border between the lobes of a fissure.

    lobes: (D, H, W); to_patient: (4, 4) voxel to patient mm. A border runs through the middle of
    every face between two voxels, one on either side.
    """
    upper, lower = (np.isin(lobes, [LOBES[n] for n in names]) for names in FISSURES[fissure])
    faces = []
    for axis in range(3):
        before, after = ([slice(None)] * 3 for _ in range(2))
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        first, second = tuple(before), tuple(after)
        between = (upper[first] & lower[second]) | (lower[first] & upper[second])
        faces.append(np.argwhere(between) + 0.5 * (np.arange(3) == axis))
    middles = np.concatenate(faces) @ to_patient[:3, :3].T + to_patient[:3, 3]
    distances: np.ndarray = cKDTree(middles).query(points)[0]
    return distances


def averaged(scan: Scan, lungs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and lungs in slices of about THICK_MM, and where these lie: (4, 4) to patient mm."""
    factor = max(1, round(THICK_MM / scan.geometry.spacing_mm[0]))
    count = len(scan.values) // factor
    slabs = scan.values[: count * factor].reshape(count, factor, *scan.shape[1:])
    values = np.rint(slabs.mean(axis=1, dtype=np.float32)).astype(np.int16)
    affine = scan.geometry.canonical_affine
    thick = affine.copy()
    thick[:3, 0] *= factor
    thick[:3, 3] += affine[:3, 0] * (factor - 1) / 2
    return values, lungs[factor // 2 : count * factor : factor].copy(), thick


def on_scan(path: Path, fissures: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """In every way of looking at one scan: distances by fissure, and infection by lobe against
    the lobes that a radiologist marked, if any.
    """
    analysis = analyze(path, ranges=False)
    scan, lungs = analysis.scan, analysis.lungs.labels
    spacing_mm, affine = scan.geometry.spacing_mm, scan.geometry.canonical_affine
    values, few, thick = averaged(scan, lungs)
    thick_mm = (float(np.linalg.norm(thick[:3, 0])), *spacing_mm[1:])
    ways = {
        "with the CT": (find_lobes(lungs, spacing_mm, hounsfield=scan.values), affine),
        "shape alone": (find_lobes(lungs, spacing_mm), affine),
        "with the CT, thick slices": (find_lobes(few, thick_mm, hounsfield=values), thick),
        "shape alone, thick slices": (find_lobes(few, thick_mm), thick),
    }
    distances = {
        way: {
            name: distances_mm(lobes, to_patient, name, np.array(points))
            for name, points in fissures.items()
            if points
        }
        for way, (lobes, to_patient) in ways.items()
    }
    labels = path.with_name(f"{path.name}_labels.csv")
    if not labels.exists():
        return distances, {}
    with labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    marks = {name: np.array([row[name] == "1" for row in rows]) for name in LOBE_ORDER}
    infected = analysis.lesions.labels > 0
    marked = {
        way: against_marked_lobes(infected, ways[way][0], marks)
        for way in ("with the CT", "shape alone")
    }
    return distances, marked


def spread(distances: np.ndarray) -> dict[str, Any]:
    """Median, 90th percentile, and how many points."""
    median, most = np.quantile(distances, (0.5, 0.9))
    return {"median": round(float(median), 1), "p90": round(float(most), 1), "n": len(distances)}


def landmarks_summary(scans: dict[str, dict[str, dict[str, np.ndarray]]]) -> dict[str, Any]:
    """By way of looking: every scan's fissures, and all points of one kind of fissure together."""
    ways = next(iter(scans.values()))
    summary: dict[str, Any] = {}
    for way in ways:
        rows = {
            f"{scan}, {fissure}": spread(distances)
            for scan, by_way in scans.items()
            for fissure, distances in by_way[way].items()
        }
        for fissure in FISSURES:
            parts = [by_way[way][fissure] for by_way in scans.values() if fissure in by_way[way]]
            rows[f"all, {fissure}"] = spread(np.concatenate(parts))
        every = [part for by_way in scans.values() for part in by_way[way].values()]
        rows["all"] = spread(np.concatenate(every))
        summary[way] = rows
    return summary


#: Masks and lung cases, read before the workers begin, which so share them.
READ: list[tuple[list[Path], list[dict[int, Any]]]] = []


def on_phantom(index: int) -> dict[str, Any]:
    """Dice by lobe of one phantom, with an atlas that does not know it, and what the CT costs."""
    paths, cases = READ[0]
    atlas = {
        side: fit_atlas([case[side] for n, case in enumerate(cases) if n != index])
        for side in LUNG_LOBES
    }
    thin = make_lobe_phantom(paths[index], FIRST_SEED + index)
    row: dict[str, Any] = {}
    for name, phantom in (("thin", thin), ("thick", thick_slices(thin))):
        row[name], row[f"{name}_seconds"] = _with_and_without(phantom, atlas)
    print(index, {n: np.mean(row["thin"][n]).round(3) for n in row["thin"]}, flush=True)
    return row


def _with_and_without(
    phantom: LobePhantom, atlas: dict[int, Any]
) -> tuple[dict[str, list[float]], float]:
    lungs = np.zeros_like(phantom.lobes)
    for side, names in LUNG_LOBES.items():
        lungs[np.isin(phantom.lobes, [LOBES[name] for name in names])] = side
    started = time.process_time()
    alone = find_lobes(lungs, phantom.spacing_mm, atlas=atlas)
    between = time.process_time()
    seen = find_lobes(lungs, phantom.spacing_mm, hounsfield=phantom.values, atlas=atlas)
    ended = time.process_time()
    dices = {"shape": by_lobe(alone, phantom.lobes), "ct": by_lobe(seen, phantom.lobes)}
    return dices, (ended - between) - (between - started)


def phantoms_summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Dice by lobe with and without the CT, and the gain, in thin and in thick slices."""
    summary: dict[str, Any] = {"n": len(rows)}
    for slices in ("thin", "thick"):
        alone, seen = (np.array([row[slices][n] for row in rows]) for n in ("shape", "ct"))
        seconds = [row[f"{slices}_seconds"] for row in rows]
        summary[slices] = {
            "shape alone": table(alone),
            "with the CT": table(seen),
            "gain": gains(seen, alone),
            "processor seconds for the CT, mean": round(float(np.mean(seconds)), 2),
            "cases": [[round(value, 3) for value in row[slices]["ct"]] for row in rows],
        }
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    landmarks = json.loads(LANDMARKS.read_text(encoding="utf-8"))
    scans = {
        name: on_scan(arguments.data / scan["path"], scan["fissures"])
        for name, scan in landmarks["scans"].items()
    }
    paths = sorted((arguments.data / "luna16-lobes").glob("*.nrrd"))
    READ.append((paths, [lung_cases(*read_lobes(path), n) for n, path in enumerate(paths)]))
    with ProcessPoolExecutor(arguments.workers, get_context("fork")) as pool:
        rows = list(pool.map(on_phantom, HELD_OUT))
    results = {
        "what": "Borders of lobes at the fissures that a CT shows",
        "data": "landmarks on lidc767 (LIDC-IDRI), normal002 and P002 (COVID-CT-MD); manual lobe "
        "masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": f"python experiments/evaluate_fissures.py DATA -o {arguments.out.as_posix()}",
        "interval": "95 % percentile bootstrap over cases",
        "landmarks": landmarks_summary({name: scan[0] for name, scan in scans.items()}),
        "infection in marked lobes": {name: scan[1] for name, scan in scans.items() if scan[1]},
        "phantoms": phantoms_summary(rows),
    }
    atomic_write(arguments.out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    for name in ("landmarks", "infection in marked lobes", "phantoms"):
        print(json.dumps(results[name]))


if __name__ == "__main__":
    main()
