"""What the report costs: ``analyze`` with each size of report, and as it was before, in turns.

    git worktree add ../lungscore-before 605d2fc
    python experiments/speed/report_cost.py -o benchmarks/results/report-cost.jsonl \\
        --before ../lungscore-before --scan covid-ct-md/P002 --repeats 7

--now and --before: working trees of the repository, this one by default; ``src`` of each is what
runs. In every repeat each kind of run has its turn in a process of its own, and the one that began
the last repeat ends this one, so that what else the computer does weighs on all alike; ratios are
taken repeat by repeat. One line of JSON is appended for each scan.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estimates import ratio
from host import commit, host
from inputs import FORMATS
from latency import add_input_options, analyze_options, append, command, inputs, spread
from processes import python, run_measured
from report_cost_page import RATIOS

SCHEMA = "lungscore.report-cost/1"
SIZES = ("full", "small", "none")
BEFORE = "before"
ROOT = Path(__file__).parents[2]

FIGURES = ("wall_seconds", "cpu_seconds")


@dataclass(frozen=True)
class Kind:
    """One kind of run: its name, the working tree that runs, and the options of analyze."""

    name: str
    tree: Path
    options: tuple[str, ...] = ()


def kinds(now: Path, before: Path | None) -> list[Kind]:
    """Every kind of run that is compared; before: the tree without today's report, or None."""
    sizes = [Kind(size, now, ("--report-size", size)) for size in SIZES]
    return sizes if before is None else [*sizes, Kind(BEFORE, before)]


def measure(
    scan: Path,
    described: dict[str, Any],
    compared: Sequence[Kind],
    options: Sequence[str],
    repeats: int,
) -> dict[str, Any]:
    """Analyse ``scan`` ``repeats`` times with every kind of run, and say what each took.

    described: what stands for the input in the line. options: of analyze, for all kinds. Ends the
    script where a run fails. After Ctrl-C the whole repeats until then count.
    """
    on = host()
    runs: dict[str, list[dict[str, Any]]] = {kind.name: [] for kind in compared}
    try:
        for repeat in range(repeats):
            first = repeat % len(compared)
            for kind in (*compared[first:], *compared[:first]):
                runs[kind.name].append(_run(scan, kind, options))
    except KeyboardInterrupt:
        repeats = min(map(len, runs.values()))
        if not repeats:
            raise
        runs = {name: taken[:repeats] for name, taken in runs.items()}
    last = next(iter(runs.values()))[-1]
    return {
        "schema": SCHEMA,
        "host": on,
        "versions": last["versions"],
        "threads": last["threads"],
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "engine": last["engine"],
        "precision": last["precision"],
        "options": list(options),
        "input": {**described, "slices": last["slices"]},
        "repeats": repeats,
        "runs": {
            kind.name: {
                "commit": commit(kind.tree / "src"),
                "options": list(kind.options),
                **{key: spread([run[key] for run in runs[kind.name]]) for key in FIGURES},
                "stages": {
                    stage: spread([run["stages"][stage] for run in runs[kind.name]])
                    for stage in runs[kind.name][0]["stages"]
                },
                "report_bytes": runs[kind.name][-1]["report_bytes"],
            }
            for kind in compared
        },
        "ratios": [
            {"of": of, "to": to, "figure": key, **_ratio(runs[of], runs[to], key)}
            for of, to in RATIOS
            if {of, to} <= runs.keys()
            for key in FIGURES
        ],
    }


def _ratio(of: list[dict[str, Any]], to: list[dict[str, Any]], key: str) -> dict[str, Any]:
    found = ratio([run[key] for run in of], [run[key] for run in to])
    return {name: round(value, 4) for name, value in found.items()}


def _run(scan: Path, kind: Kind, options: Sequence[str]) -> dict[str, Any]:
    """One analysis in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("-m", "lungscore", "analyze", scan, "-o", folder, "--case-id", "case")
        path = str((kind.tree / "src").resolve())
        done = run_measured(
            [*python(*words), *options, *kind.options], environment={"PYTHONPATH": path}
        )
        if done.code:
            sys.exit(f"analyze ({kind.name}) ended with {done.code}: {done.stderr.strip()}")
        case = Path(folder) / "case"
        record = json.loads((case / "run.json").read_text(encoding="utf-8"))
        result = json.loads((case / "result.json").read_text(encoding="utf-8"))
        report = case / "report.html"
        return {
            "wall_seconds": done.wall_seconds,
            "cpu_seconds": done.cpu_seconds,
            "stages": record["seconds"],
            "versions": {"lungscore": record["lungscore"], **record["libraries"]},
            "threads": record["cpus_available"],
            "engine": result["engine"]["name"],
            "precision": result["engine"]["precision"],
            "slices": result["input"]["slices"],
            "report_bytes": report.stat().st_size if report.exists() else 0,
        }


def main() -> None:
    """Measure what was asked for, a line an input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_input_options(parser, ())
    parser.set_defaults(formats=FORMATS[:1])
    parser.add_argument("--now", type=Path, default=ROOT, help="working tree that is measured")
    parser.add_argument("--before", type=Path, help="working tree that it is compared with")
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    compared = kinds(asked.now, asked.before)
    for path, described in inputs(asked):
        line = measure(path, described, compared, analyze_options(asked), asked.repeats)
        append(asked.out, {"command": command(), **line})
        for row in line["ratios"]:
            print(
                f"{described['name']}: {row['figure']} of {row['of']} / {row['to']}: "
                f"{row['p50']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
                flush=True,
            )


if __name__ == "__main__":
    main()
