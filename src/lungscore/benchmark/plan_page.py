"""The plan on the page: what is run in which order, and what it takes by measured step times.

plan.json    beside the result files, written by ``lungscore benchmark plan``:
times        kind of training -> seconds per batch and per epoch, of one thread
rows         row -> runs that no row before it needs, and their hours (null: a kind not measured)
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lungscore.benchmark.results import Result
from lungscore.benchmark.rows import Benchmark, Row
from lungscore.benchmark.tables import label, table, unfinished

PLAN = "plan.json"

Hours = dict[str, Any]


def read_hours(results: Path) -> Hours | None:
    """The plan in hours, or None where none was written."""
    path = results / PLAN
    if not path.is_file():
        return None
    content: Hours = json.loads(path.read_text(encoding="utf-8"))
    return content


def plan_lines(
    benchmark: Benchmark, results: Mapping[str, Result], hours: Hours | None
) -> list[str]:
    """The section of the plan."""
    if not benchmark.stages:
        return []
    rows = (hours or {}).get("rows", {})
    stages, lines = [], []
    for number, stage in sorted(benchmark.stages.items()):
        planned = [r for r in benchmark.rows if r.stage == number and r.not_run is None]
        known = [rows[row.name]["hours"] for row in planned if row.name in rows]
        whole = len(known) == len(planned) and None not in known
        total = f"{sum(known):.1f}" if whole else "not measured"
        done = [row for row in planned if _done(row, results)]
        runs = sum(rows[row.name]["runs"] for row in planned if row.name in rows)
        cells = [str(len(planned)), str(len(done)), str(runs) if rows else "–", total]
        stages.append([f"{number}. {stage.title}", *cells, f"{stage.hours:g}"])
        lines += [_line(row, rows.get(row.name), done=row in done) for row in planned]
    head = ["stage", "rows", "run", "trainings", "core hours", "at most"]
    blocks = ["## The plan", _about(hours), table(head, stages)]
    return [*blocks, table(["row", "stage", "trainings", "core hours", "state"], lines)]


def _done(row: Row, results: Mapping[str, Result]) -> bool:
    """Whether a row is measured whole, by a version that tells which."""
    result = results.get(row.name)
    return result is not None and bool(result.get("commit")) and unfinished(row, result) is None


def _line(row: Row, planned: dict[str, Any] | None, *, done: bool) -> list[str]:
    cells = ["–", "–"]
    if planned is not None:
        known = planned["hours"]
        cells = [str(planned["runs"]), "not measured" if known is None else f"{known:.2f}"]
    return [label(row), str(row.stage), *cells, "measured" if done else "to run"]


def _about(hours: Hours | None) -> str:
    text = (
        "`python experiments/run_plan.py` runs the rows in this order, those that build on the "
        "same run together, one thread each at the lowest priority, and measures a row as soon as "
        "a seed is finished; stopped at any point, it goes on where it was. A training that serves "
        "several rows counts at the first of them. "
        "Rows without a recorded commit (†) are run again."
    )
    if hours is None:
        return f"{text} Step times were not measured yet: `lungscore benchmark plan`."
    cpu, load = hours["machine"]["cpu"], hours["load"]
    return (
        f"{text} Hours of one core, from step times in processor seconds that "
        f"`{hours['command']}` measured on {cpu} at a load of {load:.0f}; beside other work a "
        "training takes longer."
    )
