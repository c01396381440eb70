"""Join what a reader said of lettered sheets with the key of the letters.

    python experiments/lungs/verdicts.py experiments/lungs/verdicts \\
        -o experiments/results/lungs-verdicts.json

The folder holds ``reader.json`` (scan -> letter -> verdict and where, written before the key was
opened), ``key.json`` (sheets.py) and ``noticed.json`` (scan -> method -> the notice that names the
fault; a minor or wrong mask that is not in it is silent).
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from lungscore.files import atomic_write

VERDICTS = ("right", "minor", "wrong")


def joined(reader: dict[str, Any], key: dict[str, Any], noticed: dict[str, Any]) -> dict[str, Any]:
    """Scan -> method -> verdict, where, and for a fault the notice that names it (or None)."""
    rows: dict[str, dict[str, Any]] = {}
    for scan, letters in key.items():
        for letter, method in letters.items():
            verdict = reader[scan][letter]
            if verdict["verdict"] not in VERDICTS:
                raise SystemExit(f"{scan} {letter}: {verdict['verdict']} is none of {VERDICTS}")
            row = {"verdict": verdict["verdict"], "where": verdict["where"]}
            if row["verdict"] != "right":
                row["noticed"] = noticed.get(scan, {}).get(method)
            rows.setdefault(scan, {})[method] = row
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    reader, key, noticed = (
        json.loads((arguments.folder / f"{name}.json").read_text())
        for name in ("reader", "key", "noticed")
    )
    rows = joined(reader, key, noticed)
    methods = sorted({method for row in rows.values() for method in row})
    counts = {
        method: Counter(row[method]["verdict"] for row in rows.values()) for method in methods
    }
    silent = {
        method: [
            scan
            for scan, row in rows.items()
            if row[method]["verdict"] != "right" and not row[method]["noticed"]
        ]
        for method in methods
    }
    results = {
        "command": f"python experiments/lungs/verdicts.py {arguments.folder.as_posix()} "
        f"-o {arguments.out.as_posix()}",
        "methods": methods,
        "counts": {
            method: {name: count[name] for name in VERDICTS} for method, count in counts.items()
        },
        "silent": silent,
        "verdicts": rows,
    }
    atomic_write(arguments.out, json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["counts"]), json.dumps(silent))


if __name__ == "__main__":
    main()
