"""Small copies of the judged sheets, of scans whose terms allow it, from the shoulders down.

    python experiments/lungs/published_sheets.py DATA --masks MASKS \\
        --key experiments/lungs/verdicts/key.json -o experiments/lungs/verdicts/sheets
"""

import argparse
import json
from pathlib import Path

import numpy as np
from cohort import SCANS
from sheets import LEVELS, sheet

from figures import SHOWN
from lungscore.files import atomic_path
from lungscore.scan import read_scan

WIDTH, QUALITY = 170, 55


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    levels, key = json.loads(LEVELS.read_text()), json.loads(arguments.key.read_text())
    for name in SHOWN:
        scan = read_scan(arguments.data / SCANS[name][1])
        with np.load(arguments.masks / f"{name}.shipped.npz") as file:
            top = int(np.flatnonzero(file["labels"].any(axis=(1, 2)))[0])
        axial = [z for z in levels["axial_slices"][name] if z >= top]
        for letter, method in key[name].items():
            with np.load(arguments.masks / f"{name}.{method}.npz") as file:
                labels = file["labels"]
            planes = levels["coronal_planes"]
            picture = sheet(scan, labels, axial, planes, width=WIDTH, above_mm=0.0)
            with atomic_path(arguments.out / f"{name}-{letter}.jpg") as temporary:
                picture.save(temporary, "JPEG", quality=QUALITY)


if __name__ == "__main__":
    main()
