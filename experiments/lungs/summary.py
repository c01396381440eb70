"""The table of all scans and methods for docs/anatomy.md.

    python experiments/lungs/summary.py DATA --masks MASKS --methods before folds shipped \\
        -o experiments/results/lungs-scans.json

Counts come from MASKS/NAME.METHOD.npz, volumes and notices from MASKS/METHOD.json (masks.py).
``before`` are the masks of earlier_masks.py with the source of 7837595; they were looked at
and found right for P002, whose air they count.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from cohort import SCANS
from masks import counted

from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG
from lungscore.scan import read_scan

METHODS = ("before", "folds", "shipped")


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The table of docs/anatomy.md."""
    lines = [
        "| scan | right and left, ml: before | held out | shipped | air held: held out | shipped | "
        "foreign air, ml: before | held out | shipped | notices (shipped) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, by_method in rows.items():
        cells = [_volumes(by_method.get(method, {})) for method in METHODS]
        cells += [_held(by_method.get(method, {})) for method in METHODS[1:]]
        for method in METHODS:
            cells.append(str(by_method.get(method, {}).get("wrong_air_ml", "–")))
        notices = by_method.get(METHODS[-1], {}).get("notices", [])
        cells.append(", ".join(f"`{notice.split(':')[0]}`" for notice in notices) or "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _volumes(row: dict[str, Any]) -> str:
    if row.get("right_ml") is None:
        return "–"
    return f"{row['right_ml']}, {row['left_ml']}"


def _held(row: dict[str, Any]) -> str:
    held = [row[f"{side}_air_held"] for side in ("right", "left") if f"{side}_air_held" in row]
    return ", ".join(f"{part:.3f}" for part in held) or "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", required=True)
    parser.add_argument("--pack", type=Path, default=Path("pack"))
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    facts: dict[str, Any] = {}
    for method in arguments.methods:
        path = arguments.masks / f"{method}.json"
        facts[method] = json.loads(path.read_text())["scans"] if path.exists() else {}
    rows: dict[str, dict[str, Any]] = {}
    for name in SCANS:
        scan = read_scan(arguments.data / SCANS[name][1])
        judged = arguments.masks / f"{name}.before.npz"
        for method in arguments.methods:
            path = arguments.masks / f"{name}.{method}.npz"
            row = dict(facts[method].get(name, {}))
            if path.exists():
                labels = np.load(path)["labels"]
                if scan.voxel_ml is not None:
                    row["right_ml"] = round(float((labels == RIGHT_LUNG).sum()) * scan.voxel_ml)
                    row["left_ml"] = round(float((labels == LEFT_LUNG).sum()) * scan.voxel_ml)
                row |= counted(
                    scan,
                    labels,
                    arguments.pack / f"{name}.npz",
                    np.load(judged)["labels"] if judged.exists() else None,
                )
            rows.setdefault(name, {})[method] = row
            print(name, method, row, flush=True)
    command = (
        f"python experiments/lungs/summary.py DATA --masks MASKS --methods "
        f"{' '.join(arguments.methods)} -o {arguments.out.as_posix()}"
    )
    atomic_write(arguments.out, json.dumps({"command": command, "scans": rows}, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
