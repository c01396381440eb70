"""Others' networks: figures of their released maps of the test slices, from their result files."""

import json
from pathlib import Path
from typing import Any

from lungscore.benchmark.parts import part_of
from lungscore.datasets.covid_semiseg import NEAR_COPY

#: Beginning of a result file's name -> the part that it tells of.
_KINDS = {
    "peer-ggo-": "ggo",
    "peer-consolidation-": "consolidation",
    "peer-": "infection",
}


def peers(results: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """part -> name -> figures over the slices that hold the class, by name."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(results.glob("peer-*.json")):
        start, part = next(kind for kind in _KINDS.items() if path.stem.startswith(kind[0]))
        slices = json.loads(path.read_text(encoding="utf-8"))["figures"]["slices"]
        present = [each for each in slices if each["true_fraction"] > 0]
        if part != "infection":  # the loss of one class alone is none of ours
            present = [{k: v for k, v in each.items() if k != "test_loss"} for each in present]
        name = path.stem.removeprefix(start)
        found.setdefault(part, {})[name] = part_of({name: present}, NEAR_COPY)
    return found
