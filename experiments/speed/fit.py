"""What a slice and a scan cost, from the lines that the other scripts wrote: docs/performance.md.

    python experiments/speed/fit.py
    python experiments/speed/fit.py RESULTS PAGE

RESULTS: a folder of JSON lines, benchmarks/results/ by default. Where one setup measured the same
input more than once, the last line counts. Its folder before/ holds lines of an older commit, which
show what tuning changed.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lungscore.files import atomic_write
from performance_page import page
from ratios_page import KIND as RATIOS
from report_cost_page import KIND as REPORT_COST

ROOT = Path(__file__).parents[2]
RESULTS, PAGE = ROOT / "benchmarks/results", ROOT / "docs/performance.md"
#: The lines that this page is made of; training has a page of its own.
KINDS = ("lungscore.latency/1", "lungscore.stages/1", "lungscore.networks/1", REPORT_COST, RATIOS)
QUALITY = ROOT / "experiments/results"


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Every line of a kind of KINDS in ``folder``, in the order of the files' names."""
    lines = [
        json.loads(line)
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    return [line for line in lines if line["schema"] in KINDS]


def last_of_each(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last line of every kind, setup and input."""
    found: dict[str, dict[str, Any]] = {}
    for line in lines:
        host = line["host"]
        processor = [host["cpu"], host["flags"], line.get("threads", host["threads_available"])]
        processor.append(line.get("card"))
        setup = [line.get(key) for key in ("engine", "precision", "input")]
        setup.append("--no-ranges" in line.get("options", ()))
        if line["schema"] == RATIOS:  # of all figures, of cohorts or of the scan alone
            setup += sorted(line["now"])
        found[json.dumps([line["schema"], processor, setup])] = line
    return list(found.values())


def main() -> None:
    """Write the page."""
    results, out = map(Path, sys.argv[1:3]) if len(sys.argv) == 3 else (RESULTS, PAGE)
    lines, before = (last_of_each(read_lines(each)) for each in (results, results / "before"))
    atomic_write(out, page(lines, QUALITY, before))


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3):
        sys.exit("usage: python experiments/speed/fit.py [RESULTS PAGE]")
    main()
