"""Lung masks by the rules of an earlier commit, whose source is on the path.

    PYTHONPATH=CHECKOUT/src python experiments/lungs/earlier_masks.py DATA -o MASKS

Writes MASKS/NAME.before.npz and MASKS/before.json as masks.py does. Needs of lungscore what every
commit has: ``read_scan`` and ``find_lungs``.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from scans import PATHS

import lungscore
from lungscore.anatomy import find_lungs
from lungscore.errors import LungscoreError
from lungscore.scan import read_scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    source = Path(lungscore.__file__).parent
    commit = subprocess.run(
        ["git", "-C", source, "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    rows: dict[str, dict[str, Any]] = {}
    for name, path in PATHS.items():
        scan = read_scan(arguments.data / path)
        try:
            lungs = find_lungs(scan)
        except LungscoreError as error:
            rows[name] = {"rejected": error.code}
            continue
        rows[name] = {"notices": [f"{notice.code}: {notice.message}" for notice in lungs.notices]}
        np.savez_compressed(arguments.out / f"{name}.before.npz", labels=lungs.labels)
        print(name, rows[name], flush=True)
    facts = {"commit": commit, "scans": rows}
    (arguments.out / "before.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
