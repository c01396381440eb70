"""Numbers that may not move unless CHANGELOG.md says so.

    python experiments/frozen_numbers.py          # or: make numbers

writes tests/frozen/numbers.json: every number of the result of four phantoms and, where
LUNGSCORE_DATA names the folder of real scans, a hash of every number of patient P002.
tests/test_frozen_numbers.py compares. To refresh: put an entry that contains **numbers:** into
CHANGELOG.md, run this, and commit both; it refuses where numbers moved without a new entry.
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import lungscore
from lungscore.files import atomic_write
from lungscore.result.numbers import NUMBERS, value_at
from lungscore.scan.phantom import make_phantom

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "tests" / "frozen" / "numbers.json"

#: The phantoms: name -> preset and seed. Coarse, so that the test is quick.
PHANTOMS = {
    "healthy": ("healthy", 0),
    "several patches": ("several-patches", 1),
    "many patches": ("many-patches", 2),
    "dense": ("dense", 3),
}
SHAPE = (28, 128, 128)

#: Patient of COVID-CT-MD, below the folder of real scans.
PATIENT = "covid-ct-md/P002"


def main() -> None:
    """Write the file; what cannot be measured here stays as it was."""
    before = json.loads(FROZEN.read_text(encoding="utf-8")) if FROZEN.is_file() else {}
    content: dict[str, Any] = {
        "command": "python experiments/frozen_numbers.py",
        "version": lungscore.__version__,
        "entries": entries_hash(),
        "phantoms": {name: phantom_numbers(name) for name in PHANTOMS},
    }
    folder = os.environ.get("LUNGSCORE_DATA")
    if folder and (Path(folder) / PATIENT).is_dir():
        content["patient"] = patient_hash(Path(folder))
    elif "patient" in before:
        content["patient"] = before["patient"]
        print("LUNGSCORE_DATA is not set: the numbers of the patient stay as they were")
    if before and before["entries"] == content["entries"] and measured(before) != measured(content):
        sys.exit("Numbers moved, but CHANGELOG.md has no new entry with **numbers:**; add one.")
    FROZEN.parent.mkdir(exist_ok=True)
    atomic_write(FROZEN, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(FROZEN.relative_to(ROOT))


def measured(content: dict[str, Any]) -> tuple[Any, Any]:
    """What was measured, of what the file holds."""
    return content["phantoms"], content.get("patient")


def entries_hash() -> str:
    """A hash of all entries of CHANGELOG.md that say that numbers moved."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *entries = re.split(r"\n(?=- |## )", text)  # first the page's head, which says the rule
    moving = [entry for entry in entries if "**numbers" in entry]
    return hashlib.sha256("\n".join(moving).encode()).hexdigest()


def numbers_of(result: dict[str, Any]) -> dict[str, Any]:
    """Every number of a result by its path, as ``result.numbers`` lists them."""
    return {number.path: value_at(result, number.path) for number in NUMBERS.values()}


def phantom_numbers(name: str) -> dict[str, Any]:
    """Every number of one phantom."""
    preset, seed = PHANTOMS[name]
    scan = make_phantom(preset, seed=seed, shape=SHAPE).scan
    return numbers_of(lungscore.analyze(scan, ranges=False).to_dict())


def patient_hash(data: Path) -> str:
    """A hash of every number of the patient: the numbers themselves are not ours to publish."""
    numbers = numbers_of(lungscore.analyze(data / PATIENT, ranges=False).to_dict())
    text = json.dumps(numbers, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
