"""Others' networks: figures of their released maps of the test slices, from their result files."""

import json
from pathlib import Path
from typing import Any

from lungscore.benchmark.sections import section_of
from lungscore.datasets.covid_semiseg import NEAR_COPY

#: Beginning of a result file's name -> the part that it tells of.
_KINDS = {
    "peer-ggo-": "ggo",
    "peer-consolidation-": "consolidation",
    "peer-": "infection",
}


def peers(results: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """finding -> name -> figures over the slices that hold the class, by name."""
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(results.glob("peer-*.json")):
        start, finding = next(kind for kind in _KINDS.items() if path.stem.startswith(kind[0]))
        slices = json.loads(path.read_text(encoding="utf-8"))["figures"]["slices"]
        present = [row for row in slices if row["true_fraction"] > 0]
        if finding != "infection":  # the loss of one class alone is none of ours
            present = [{k: v for k, v in row.items() if k != "test_loss"} for row in present]
        name = path.stem.removeprefix(start)
        figures.setdefault(finding, {})[name] = section_of({name: present}, NEAR_COPY)
    return figures
