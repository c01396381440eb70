"""Real scans with disease painted into them, by networks that never saw their patients or by the
shipped one, which learned from all of them but P002.

    python experiments/lungs/stressed.py DATA --weights RUN \\
        -o experiments/results/lungs-stressed.json
    python experiments/lungs/stressed.py DATA -o experiments/results/lungs-stressed-shipped.json

The lungs are known: they are the labels of cohort.py, at the scan's own resolution. Painted are
emphysema, a bulla, severe pneumonia, a white lower half of one lung, and gas in the stomach right
under the left lung; for the shipped network also emphysema with pneumonia, a mass and a
pneumothorax.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cohort import HELD_OUT, UNSURE, labelled_scan
from masks import finder_of, fold_of
from scipy import ndimage

from lungscore.anatomy import find_lungs, lung_field
from lungscore.anatomy.hidden import dense_outside
from lungscore.errors import LungscoreError
from lungscore.files import atomic_write
from lungscore.inference.lung_finder import LungFinder
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import Scan

#: Whole chests with known Hounsfield units.
NAMES = ("lidc767", "fnndsc", "dxa1b", "stecolon", "normal002", "lung-pet-ct-dx")
#: Painted for the shipped network: one held out from it, and two that it learned from.
FEWER_NAMES = ("lung-pet-ct-dx", "lidc767", *HELD_OUT)
AERATED_HU = -400

Painter = Callable[[np.ndarray, np.ndarray, tuple[float, float, float], np.random.Generator], None]


def waves(shape: tuple[int, ...], mm: float, spacing_mm: tuple[float, ...], random) -> np.ndarray:
    """Smooth noise of unit variance on ``shape``, made on coarse blocks."""
    blocks = [max(2, round(n * step / mm)) for n, step in zip(shape, spacing_mm, strict=True)]
    coarse = random.normal(size=blocks)
    factors = [n / count for n, count in zip(shape, blocks, strict=True)]
    fine = ndimage.zoom(coarse, factors, order=1)[tuple(slice(0, n) for n in shape)]
    return (fine / fine.std()).astype(np.float32)


def ball(shape: tuple[int, ...], centre: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Distance of every voxel from ``centre``, mm."""
    axes = [
        (np.arange(n, dtype=np.float32) - middle) * step
        for n, middle, step in zip(shape, centre, spacing_mm, strict=True)
    ]
    return np.sqrt(
        axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2
    )


def emphysema(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """Four fifths of both lungs are nearly air."""
    share = 0.9 * (waves(hu.shape, 30, spacing_mm, random) > -0.8) * (lungs > 0)
    hu += share * (-990 - hu)


def bulla(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """A bubble of up to 10 cm in the upper half of the right lung, with a wall."""
    right = lungs == RIGHT_LUNG
    levels = np.flatnonzero(right.any(axis=(1, 2)))
    z = levels[len(levels) // 3]
    centre = np.array([z, *(axis.mean() for axis in np.nonzero(right[z]))])
    distance = ball(hu.shape, centre, spacing_mm)
    hu[right & (distance < 52)] = -500
    hu[right & (distance < 50)] = -1000


def pneumonia(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """Ground glass in most of both lungs, consolidation at the ribs behind."""
    ill = (lungs > 0) & (waves(hu.shape, 50, spacing_mm, random) > -0.6)
    hu[ill] = np.maximum(hu[ill], -550 + 60 * random.normal(size=int(ill.sum())))
    depth = ndimage.distance_transform_edt(lungs > 0, sampling=spacing_mm)
    rows = np.arange(hu.shape[1])[None, :, None]
    behind = rows > np.nonzero(lungs.any(axis=(0, 2)))[0].mean()
    dense = ill & (depth < 18) & behind & (waves(hu.shape, 40, spacing_mm, random) > -0.2)
    hu[dense] = 30 + 20 * random.normal(size=int(dense.sum()))


def white_base(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """The lower two fifths of the left lung are dense, with air in a few bronchi."""
    left = lungs == LEFT_LUNG
    levels = np.flatnonzero(left.any(axis=(1, 2)))
    base = left.copy()
    base[: levels[round(0.6 * len(levels))]] = False
    hu[base] = 45 + 15 * random.normal(size=int(base.sum()))
    hu[base & (waves(hu.shape, 9, spacing_mm, random) > 2.4)] = -800


def stomach(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """A bubble of 7 cm under the left lung, 2 mm away from it."""
    left = lungs == LEFT_LUNG
    levels = np.flatnonzero(left.any(axis=(1, 2)))
    z = levels[round(0.8 * len(levels))]
    rows, columns = np.nonzero(left[z:].any(axis=0))
    bottom = levels[-1] + round(10 / spacing_mm[0])
    distance = ball(hu.shape, np.array([bottom, rows.mean(), columns.mean()]), spacing_mm)
    away = ndimage.distance_transform_edt(lungs == 0, sampling=spacing_mm) > 2
    hu[(distance < 35) & away] = -1000


def emphysema_and_pneumonia(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """Emphysema in both lungs, and dense opacity in half of their lower halves."""
    emphysema(hu, lungs, spacing_mm, random)
    levels = np.flatnonzero((lungs > 0).any(axis=(1, 2)))
    ill = (lungs > 0) & (waves(hu.shape, 50, spacing_mm, random) > 0)
    ill[: levels[len(levels) // 2]] = False
    hu[ill] = np.maximum(hu[ill], -300 + 150 * random.normal(size=int(ill.sum())))


def mass(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """A ball of 9 cm in the left lung, at the ribs."""
    left = lungs == LEFT_LUNG
    levels = np.flatnonzero(left.any(axis=(1, 2)))
    z = levels[len(levels) // 2]
    rows, columns = np.nonzero(left[z])
    centre = np.array([z, rows.mean(), np.quantile(columns, 0.8)])
    inside = left & (ball(hu.shape, centre, spacing_mm) < 45)
    hu[inside] = 40 + 15 * random.normal(size=int(inside.sum()))


def pneumothorax(hu: np.ndarray, lungs: np.ndarray, spacing_mm, random) -> None:
    """Air in the foremost quarter of the right lung's room, which is no lung, behind a line."""
    right = lungs == RIGHT_LUNG
    z, y, _ = np.nonzero(right)
    height = y * spacing_mm[1] - 0.3 * z * spacing_mm[0]
    level = np.quantile(height, 0.25)
    air, line = np.zeros_like(right), np.zeros_like(right)
    air[right], line[right] = height < level, (height >= level) & (height < level + 3)
    hu[line], hu[air] = -200, -1005
    lungs[air] = 0


PAINTERS: dict[str, Painter] = {
    painter.__name__: painter for painter in (emphysema, bulla, pneumonia, white_base, stomach)
}
#: Painted for the shipped network alone, since those held out are older than these.
MORE_PAINTERS: dict[str, Painter] = {
    painter.__name__: painter for painter in (emphysema_and_pneumonia, mass, pneumothorax)
}


def measured(scan: Scan, lungs: np.ndarray, unsure: np.ndarray, finder: Any) -> dict[str, Any]:
    """Air held and Dice of each lung, and what is wrongly inside, ml."""
    try:
        answer = find_lungs(scan, None if finder is None else lambda: finder.maps(scan))
    except LungscoreError as error:
        return {"rejected": error.code}
    air, ml = scan.values < AERATED_HU, scan.voxel_ml or float("nan")
    row: dict[str, Any] = {}
    for name, side in (("right", RIGHT_LUNG), ("left", LEFT_LUNG)):
        lung, drawn = (lungs == side) & ~unsure, (answer.labels == side) & ~unsure
        row[f"{name}_air_held"] = round(float(drawn[lung & air].mean()), 4)
        row[f"{name}_dice"] = round(
            2 * float((drawn & lung).sum()) / float(drawn.sum() + lung.sum()), 4
        )
    near = ndimage.binary_dilation((lungs > 0) | unsure, np.ones((1, 3, 3)), iterations=4)
    wrong = (answer.labels > 0) & ~near
    row["wrong_air_ml"] = round(float((wrong & air).sum()) * ml, 1)
    row["wrong_dense_ml"] = round(float((wrong & ~air).sum()) * ml, 1)
    _, dense = dense_outside(answer, lung_field(answer, scan.spacing_mm), scan)
    row["notices"] = [notice.code for notice in (*answer.notices, *dense)]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, help="folder of train.py (default: shipped ones)")
    parser.add_argument("--scans", nargs="*")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    shipped = LungFinder() if arguments.weights is None else None
    names = arguments.scans or (NAMES if shipped is None else FEWER_NAMES)
    painters = PAINTERS if shipped is None else PAINTERS | MORE_PAINTERS
    for name in names:
        case = labelled_scan(name, arguments.data)
        lungs = np.array([0, 2, 2, 1, 1, 1, 0, 0, 0], np.uint8)[case.labels]
        unsure = case.labels == UNSURE
        finder = shipped or finder_of(arguments.weights / f"{fold_of(case.patient)}.safetensors")
        for number, (disease, painter) in enumerate(painters.items()):
            hu, left = case.scan.values.astype(np.float32), lungs.copy()
            painter(hu, left, case.scan.spacing_mm, np.random.default_rng(number))
            scan = replace(case.scan, values=np.clip(np.rint(hu), -1024, 3071).astype(np.int16))
            row = {
                "network": measured(scan, left, unsure, finder),
                "rules": measured(scan, left, unsure, None),
            }
            rows.setdefault(disease, {})[name] = row
            print(disease, name, row, flush=True)
    weights = "" if arguments.weights is None else " --weights RUN"
    command = f"python experiments/lungs/stressed.py DATA{weights} -o {arguments.out.as_posix()}"
    atomic_write(arguments.out, json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
