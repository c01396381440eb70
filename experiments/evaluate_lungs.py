"""How well and how fast lungs are found: phantoms, real lung shapes, a labelled CT, whole scans.

    python experiments/evaluate_lungs.py DATA -o experiments/results/lungs.json

DATA holds chest-imaging-platform/{ct-64,lm-64}.nrrd, covid-ct-md/{P002,normal002}, lung-pet-ct-dx,
luna16-lobes and COVID-SemiSeg (covid-semiseg). Times are processor seconds of one core, best of
three.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from PIL import Image

from lungs_under_stress import SIDES, dice, measure_stress
from lungscore.anatomy import find_lungs, include_infection, lung_field
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan, read_scan
from lungscore.scan.phantom import PRESETS, make_phantom
from real_lung_shapes import measure_shapes


def by_side(labels: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    return {
        name: dice(labels == value, truth == value) if (truth == value).any() else None
        for name, value in SIDES.items()
    }


def measure_phantom(preset: str) -> dict[str, Any]:
    """Dice before and after infection joins, given the true infection, and the field's cover."""
    case = make_phantom(preset)
    lungs = find_lungs(case.scan)
    joined = include_infection(lungs, case.lesions > 0, case.scan)
    aerated = lungs.labels if lungs.aerated is None else lungs.aerated
    hidden = (case.lungs > 0) & (aerated == 0)
    field = lung_field(lungs, case.scan.spacing_mm)
    return {
        "dice": by_side(lungs.labels, case.lungs),
        "dice_with_infection": by_side(joined.labels, case.lungs),
        "hidden_ml": round(float(hidden.sum()) * (case.scan.voxel_ml or 0.0), 1),
        "hidden_in_field": round(float(field[hidden].mean()), 3),
    }


def measure_scan(scan: Scan) -> dict[str, Any]:
    seconds = []
    for _ in range(3):
        start = time.process_time()
        lungs = find_lungs(scan)
        seconds.append(time.process_time() - start)
    voxel_ml = scan.voxel_ml or float("nan")
    return {
        "shape": list(scan.shape),
        "right_ml": round(float((lungs.labels == RIGHT_LUNG).sum()) * voxel_ml),
        "left_ml": round(float((lungs.labels == LEFT_LUNG).sum()) * voxel_ml),
        "seconds": round(min(seconds), 2),
        "notices": [notice.code for notice in lungs.notices],
    }


def measure_crops(folder: Path) -> dict[str, Any]:
    """How much of the doctors' infection masks the lungs and the field hold, in single crops."""
    lungs_hold, field_holds = [], []
    for path in sorted((folder / "Imgs").iterdir()):
        with Image.open(folder / "GT" / f"{path.stem}.png") as image:
            truth = np.asarray(image.convert("L"))[None] > 127
        scan = read_scan(path)
        lungs = find_lungs(scan)
        lungs_hold.append(float((lungs.labels[truth] > 0).mean()))
        field_holds.append(float(lung_field(lungs, scan.spacing_mm)[truth].mean()))
    return {
        "n": len(lungs_hold),
        "infection_in_lungs": round(float(np.mean(lungs_hold)), 3),
        "infection_in_field": round(float(np.mean(field_holds)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    data = arguments.data
    coarse = read_scan(data / "chest-imaging-platform" / "ct-64.nrrd")
    labels, _ = nrrd.read(str(data / "chest-imaging-platform" / "lm-64.nrrd"))
    thirds = coarse.geometry.to_canonical(labels) & 255
    truth = np.where(np.isin(thirds, (12, 13, 14)), RIGHT_LUNG, 0)
    truth[np.isin(thirds, (9, 10, 11))] = LEFT_LUNG
    folders = ("covid-ct-md/P002", "covid-ct-md/normal002", "lung-pet-ct-dx")
    results = {
        "what": "Dice of the lungs, what the field for hidden lung covers, processor seconds",
        "command": f"python experiments/evaluate_lungs.py DATA -o {arguments.out.as_posix()}",
        "processors": os.cpu_count(),
        "phantoms": {preset: measure_phantom(preset) for preset in PRESETS},
        "stress": measure_stress(),
        "real shapes": measure_shapes(data / "luna16-lobes"),
        "ct-64": by_side(find_lungs(coarse).labels, truth),
        "scans": {name: measure_scan(read_scan(data / name)) for name in folders},
        "crops": measure_crops(
            data / "covid-semiseg" / "TrainingSet" / "LungInfection-Train" / "Doctor-label"
        ),
    }
    atomic_write(arguments.out, json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
