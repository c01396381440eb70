"""Run the plan of the comparison: stage by stage, seed by seed, row by row.

    python experiments/run_plan.py                        # all of it, or what is left
    python experiments/run_plan.py --stage 1 --hours 8    # the two questions, for eight hours
    python experiments/run_plan.py --commit               # a commit for every new result

One thread a training, at the lowest priority; --at-once 2 runs two side by side. Every training
resumes where it was stopped, every finished seed is measured at once, and a row is run again only
where its result is missing, is not whole, or does not say which commit measured it. All rows of a
stage have their first seed before any has its second: stopped early, they can be compared, and
no later seed needs the weights of an earlier one. Rows that build on the same run follow each
other, so that few weights have to be kept between two of its calls. No seed is begun that the
measured step times (lungscore benchmark plan) do not fit into the hours left.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from lungscore.benchmark.plan import before, runs_of
from lungscore.benchmark.plan_page import read_hours
from lungscore.benchmark.results import read_result, results_folder
from lungscore.benchmark.rows import Row, load_rows
from lungscore.benchmark.tables import unfinished

FOLDER = Path("experiments/benchmark")


def left_of(row: Row, results: Path) -> list[int]:
    """The seeds that are still to be trained and measured; the last one brings the test slices."""
    result = read_result(results, row.name)
    if result is None or not result.get("commit"):
        return list(row.seeds)
    missing = [seed for seed in row.seeds if seed not in result["seeds"]]
    if missing or unfinished(row, result) is None:
        return missing
    return [row.seeds[-1]]


def in_turn(rows: list[Row], folder: Path) -> list[tuple[Row, int]]:
    """What is left, stage by stage, seed by seed, what builds on the same run together."""
    origins = {row.name: origin(row, folder) for row in rows}
    order = list(origins.values())
    results = results_folder(folder)
    turns = [(row, seed) for row in rows for seed in left_of(row, results)]
    return sorted(
        turns, key=lambda turn: (turn[0].stage, turn[1], order.index(origins[turn[0].name]))
    )


def origin(row: Row, folder: Path) -> str:
    """The experiment that everything ``row`` builds on begins with; its own where there is none."""
    runs = before(runs_of(row, folder)[0])
    return runs[0].file.stem if runs else row.name


def fits(row: Row, seeds: list[int], hours: dict, left: float) -> bool:
    """Whether a seed of ``row`` takes less than ``left`` hours; rows of unknown cost always do."""
    planned = hours.get("rows", {}).get(row.name, {}).get("hours")
    return planned is None or planned / len(row.seeds) <= left


def run(words: list[str]) -> int:
    """A command of lungscore in a process of its own."""
    return subprocess.run([sys.executable, "-m", "lungscore", *words], check=False).returncode


def keep(folder: Path, row: Row) -> None:
    """Commit the row's result and the pages that were written from it."""
    results = results_folder(folder) / f"{row.name}.json"
    files = [str(path) for path in (results, Path("docs/benchmarks.md"), Path("README.md"))]
    subprocess.run(["git", "add", "--", *files], check=True)
    if subprocess.run(["git", "diff", "--cached", "--quiet", "--", *files], check=False).returncode:
        message = f"Result of the row {row.name}"
        subprocess.run(["git", "commit", "--quiet", "-m", message, "--", *files], check=True)


def main(arguments: list[str]) -> int:
    """Run what fits; returns how many rows failed or were left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--stage", type=int)
    parser.add_argument("--hours", type=float, default=float("inf"))
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--commit", action="store_true")
    asked = parser.parse_args(arguments)
    os.nice(19)
    benchmark, results = load_rows(asked.folder), results_folder(asked.folder)
    hours = read_hours(results) or {}
    began, left = time.monotonic(), []
    rows = [r for r in benchmark.rows if r.not_run is None and asked.stage in (None, r.stage)]
    for row, seed in in_turn(rows, asked.folder):
        remaining = asked.hours - (time.monotonic() - began) / 3600
        if not fits(row, [seed], hours, remaining * asked.at_once):
            left.append(f"{row.name} (seed {seed}: no time)")
            continue
        words = ["benchmark", "run", str(asked.folder), "--only", row.name, "--seed", str(seed)]
        words += ["--threads", "1", "--at-once", str(asked.at_once)]
        if code := run(words):
            left.append(f"{row.name} (seed {seed}: exit code {code})")
        elif asked.commit:
            keep(asked.folder, row)
    for line in left:
        print(f"left: {line}", file=sys.stderr)
    return min(len(left), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
