"""One scan in two kernels: how much of what is between their percents is due to the lungs.

    python experiments/lungs/kernels.py DATA -o experiments/results/lungs-kernels.json

dxa1b (soft) and dxa1l (lung kernel) are one scan. The infection of either is found in its own
lungs and in those of the other, so what changes along a row is due to the lungs, and what changes
along a column is due to the infection network. ``joined_ml``: dense lung that joined the lungs
because the network called it infection (``lungs-from-lesions``).
"""

import argparse
import json
from pathlib import Path

import numpy as np

from lungscore.anatomy import complete_lungs, lung_field
from lungscore.files import atomic_write
from lungscore.inference import Segmenter
from lungscore.inference.segment import find_lesions, find_lungs_of
from lungscore.scan import read_scan

PATHS = {"soft": "wild-ct/dxa1b.nii.gz", "sharp": "wild-ct/dxa1l.nii.gz"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    segmenter = Segmenter()
    scans = {kernel: read_scan(arguments.data / path) for kernel, path in PATHS.items()}
    lungs = {kernel: find_lungs_of(scan, lambda: segmenter) for kernel, scan in scans.items()}
    fields = {kernel: lung_field(lungs[kernel], scan.spacing_mm) for kernel, scan in scans.items()}
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for kernel, scan in scans.items():
        ml = scan.voxel_ml or float("nan")
        for lungs_of in PATHS:
            own, field = lungs[lungs_of], fields[lungs_of]
            lesions, _ = find_lesions(scan, own, segmenter, field)
            whole = complete_lungs(own, lesions.labels, scan, field).labels > 0
            infected = float(np.count_nonzero(whole & (lesions.labels > 0)))
            row = {
                "infection_percent": round(100 * infected / np.count_nonzero(whole), 3),
                "infection_ml": round(infected * ml, 1),
                "lungs_ml": round(float(whole.sum()) * ml),
                "joined_ml": round(float((whole & (own.labels == 0)).sum()) * ml, 1),
            }
            rows.setdefault(kernel, {})[f"lungs of {lungs_of}"] = row
            print(kernel, lungs_of, row, flush=True)
    percents = {
        kernel: [row["infection_percent"] for row in by_lungs.values()]
        for kernel, by_lungs in rows.items()
    }
    same_lungs = [abs(a - b) for a, b in zip(percents["soft"], percents["sharp"], strict=True)]
    same_network = [abs(a - b) for a, b in percents.values()]
    results = {
        "command": f"python experiments/lungs/kernels.py DATA -o {arguments.out.as_posix()}",
        "rows": rows,
        "apart": round(abs(percents["soft"][0] - percents["sharp"][1]), 3),
        "apart_same_lungs": round(min(same_lungs), 3),
        "apart_same_scan": round(max(same_network), 3),
    }
    atomic_write(arguments.out, json.dumps(results, indent=1) + "\n")
    print({name: value for name, value in results.items() if name.startswith("apart")})


if __name__ == "__main__":
    main()
