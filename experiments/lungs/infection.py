"""What analyses say with the lungs by rules and by the shipped network.

    python experiments/lungs/infection.py DATA -o experiments/results/lungs-infection.json

``seconds``: of the stage that finds lungs, by the clock, the better of ``--runs`` runs.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from lungscore import analyze
from lungscore.files import atomic_write
from lungscore.inference import Segmenter

SCANS = {
    "P002": "covid-ct-md/P002",
    "normal002": "covid-ct-md/normal002",
    "dxa1b": "wild-ct/dxa1b.nii.gz",
    "dxa1l": "wild-ct/dxa1l.nii.gz",
}


def measured(path: Path, segmenter: Segmenter, runs: int) -> dict[str, Any]:
    """The numbers of one analysis."""
    seconds = []
    for _ in range(runs):
        analysis = analyze(path, segmenter=segmenter, ranges=True)
        seconds.append(analysis.times["lungs"])
    severity = analysis.severity
    spans = severity.ranges.burden if severity.ranges else {}
    return {
        "infection_percent": round(severity.lungs.infection_percent or 0.0, 3),
        "range": spans.get("infection_percent"),
        "lungs_ml": round(severity.lungs.volume_ml or 0.0),
        "category": severity.category,
        "withheld": list(severity.withheld),
        "notices": [f"{notice.code}: {notice.message}" for notice in analysis.notices],
        "slices": analysis.scan.shape[0],
        "seconds": round(min(seconds), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", nargs="+", default=["rules", "network"])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    segmenter = Segmenter()
    finder = segmenter.lung_finder
    rows: dict[str, dict[str, Any]] = {}
    for name, path in SCANS.items():
        for method in arguments.methods:
            segmenter.lung_finder = finder if method == "network" else None
            row = measured(arguments.data / path, segmenter, arguments.runs)
            rows.setdefault(name, {})[method] = row
            print(name, method, row, flush=True)
    command = (
        f"python experiments/lungs/infection.py DATA --runs {arguments.runs} --methods "
        f"{' '.join(arguments.methods)} -o {arguments.out.as_posix()}"
    )
    atomic_write(arguments.out, json.dumps({"command": command, "scans": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
