"""Lung masks of every scan by one method, and what can be counted of them.

    python experiments/lungs/masks.py DATA -o MASKS --method rules
    python experiments/lungs/masks.py DATA -o MASKS --method folds --weights RUN1 RUN2
    python experiments/lungs/masks.py DATA -o MASKS --method shipped

``folds``: each scan by the network that did not learn from its patient. Writes
MASKS/NAME.METHOD.npz (labels) and MASKS/METHOD.json: volumes, notices and, against the labels of
cohort.py on the network's pictures (pack), the air held and what is wrongly inside.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from cohort import SCANS
from scans import FOLDS
from scipy import ndimage

from lungscore.anatomy import Lungs, find_lungs
from lungscore.anatomy.lung_view import PIXEL_MM, LungView
from lungscore.errors import LungscoreError
from lungscore.files import atomic_path, atomic_write
from lungscore.inference.bundle import load_bundle
from lungscore.inference.lung_finder import LungFinder
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan, read_scan

SIZE, AIRWAY, UNSURE = 224, 6, 7
AERATED_HU = -400
RIM = 2


def fold_of(patient: str) -> str:
    """The network of train.py that did not learn from this patient."""
    return next((name for name, patients in FOLDS.items() if patient in patients), "all")


def finder_of(weights: Path) -> LungFinder:
    """The network of trained weights as a bundle in a temporary folder."""
    from export import write_bundle

    folder = Path(tempfile.mkdtemp(prefix="lungs-"))
    write_bundle(weights, folder)
    return LungFinder(load_bundle(folder))


def counted(
    scan: Scan, labels: np.ndarray, pack: Path, judged: np.ndarray | None = None
) -> dict[str, Any]:
    """What of the cohort's labels the mask holds, on the network's pictures.

    judged: lungs (D, H, W) that stand for labels where there are none, since they were looked at.
    """
    view = LungView.of(scan, size=SIZE)
    mask = view.labels(labels)
    if pack.exists():
        with np.load(pack) as file:
            truth = file["labels"]
    elif judged is not None:
        truth = np.array([0, 3, 1], np.uint8)[view.labels(judged)]
    else:
        return {}
    grey = view.pictures(scan).astype(np.float32)
    hounsfield = (grey - 1) * 1424 / 254 - 1024
    ml = view.layer_mm * PIXEL_MM**2 / 1000
    air = hounsfield < AERATED_HU
    out: dict[str, Any] = {}
    for name, side, lobes in (("right", RIGHT_LUNG, (3, 4, 5)), ("left", LEFT_LUNG, (1, 2))):
        lung = np.isin(truth, lobes)
        if not lung.any():
            continue
        out[f"{name}_air_held"] = round(float((mask[lung & air] == side).mean()), 4)
        mine = (mask == side) & (truth != UNSURE)
        out[f"{name}_dice"] = round(
            2 * float((mine & lung).sum()) / float(mine.sum() + lung.sum()), 4
        )
        out[f"{name}_swapped_ml"] = round(float((mask[lung] == 3 - side).sum()) * ml, 1)
        areas = lung.sum(axis=(1, 2))
        held = ((mask == side) & lung & air).sum(axis=(1, 2)) / np.maximum(
            1, (lung & air).sum(axis=(1, 2))
        )
        out[f"{name}_worst_slice"] = round(float(held[areas > 0.25 * areas.max()].min()), 3)
    lung = (truth >= 1) & (truth <= 5)
    near = ndimage.binary_dilation(lung | (truth == UNSURE), np.ones((1, 3, 3)), iterations=RIM)
    wrong = (mask > 0) & ~near
    out["airway_ml"] = round(float((wrong & (truth == AIRWAY)).sum()) * ml, 1)
    out["wrong_air_ml"] = round(float((wrong & air & (truth != AIRWAY)).sum()) * ml, 1)
    out["wrong_dense_ml"] = round(float((wrong & ~air & (truth != AIRWAY)).sum()) * ml, 1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--method", choices=("rules", "folds", "shipped"), required=True)
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--pack", type=Path, default=Path("pack"))
    parser.add_argument("--name", help="of the method in the files (default: METHOD)")
    parser.add_argument("--scans", nargs="*", default=list(SCANS))
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    method = arguments.name or arguments.method
    finders: dict[str, LungFinder] = {}

    def finder_for(patient: str) -> LungFinder:
        fold = fold_of(patient)
        key = fold if arguments.method == "folds" else "shipped"
        if key not in finders:
            paths = [folder / f"{fold}.safetensors" for folder in arguments.weights]
            path = next((path for path in paths if path.exists()), None)
            if key != "shipped" and path is None:
                raise SystemExit(f"no weights of fold {fold}")
            finders[key] = LungFinder() if path is None or key == "shipped" else finder_of(path)
        return finders[key]

    rows: dict[str, Any] = {}
    for name in arguments.scans:
        patient, path, _ = SCANS[name]
        scan = read_scan(arguments.data / path)
        began = time.process_time()
        try:
            if arguments.method == "rules":
                lungs = find_lungs(scan)
            else:
                finder = finder_for(patient)
                began = time.process_time()
                lungs = find_lungs(scan, lambda: finder.maps(scan))  # noqa: B023
        except LungscoreError as error:
            rows[name] = {"rejected": error.code}
            print(name, rows[name], flush=True)
            continue
        row = {"processor_seconds": round(time.process_time() - began, 2), **facts(scan, lungs)}
        rows[name] = row | counted(scan, lungs.labels, arguments.pack / f"{name}.npz")
        with atomic_path(arguments.out / f"{name}.{method}.npz") as temporary:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, labels=lungs.labels)
        print(name, rows[name], flush=True)
    arguments_text = f"python experiments/lungs/masks.py DATA -o MASKS --method {arguments.method}"
    out = {"command": arguments_text, "scans": rows}
    atomic_write(arguments.out / f"{method}.json", json.dumps(out, indent=1) + "\n")


def facts(scan: Scan, lungs: Lungs) -> dict[str, Any]:
    ml = scan.voxel_ml
    sides = {"right_ml": RIGHT_LUNG, "left_ml": LEFT_LUNG}
    volumes = {
        name: None if ml is None else round(float((lungs.labels == side).sum()) * ml)
        for name, side in sides.items()
    }
    return {
        **volumes,
        "perhaps_ml": round(lungs.perhaps_ml),
        "doubtful_ml": round(lungs.doubtful_ml),
        "notices": [f"{notice.code}: {notice.message}" for notice in lungs.notices],
    }


if __name__ == "__main__":
    main()
