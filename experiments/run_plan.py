"""Run the plan of the comparison: stage by stage, seed by seed, row by row.

    python experiments/run_plan.py                        # all of it, or what is left
    python experiments/run_plan.py --stage 1 --hours 8    # the two questions, for eight hours
    python experiments/run_plan.py --commit               # a commit for every new result

One thread a training, at the lowest priority; --at-once 2 runs two side by side, and two rows
together, so that five folds leave no processor idle. Every training resumes where it was stopped,
the finished rows are measured then, and a row is run again only where its result is missing, is not
whole, or does not say which commit measured it. All rows of a stage have their first seed before
any has its second: stopped early, they can be compared, and no later seed needs the weights of an
earlier one. Rows that build on the same run follow each other, so that few weights have to be kept
between two of its calls. No seed is begun that the measured step times (lungscore benchmark plan)
do not fit into the hours left.
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


def together(turns: list[tuple[Row, int]], count: int) -> list[tuple[int, list[Row]]]:
    """Rows that follow each other, so many at once, with the seed that they share."""
    groups: list[tuple[int, list[Row]]] = []
    for row, seed in turns:
        if groups and groups[-1][0] == seed and len(groups[-1][1]) < count:
            groups[-1][1].append(row)
        else:
            groups.append((seed, [row]))
    return groups


def that_fit(rows: list[Row], hours: dict, left: float) -> list[Row]:
    """Those whose next seed takes less than what is ``left`` of the hours, one after the other.

    Rows of unknown cost always do.
    """
    chosen = []
    for row in rows:
        planned = hours.get("rows", {}).get(row.name, {}).get("hours")
        needed = None if planned is None else planned / len(row.seeds)
        if needed is None or needed <= left:
            chosen.append(row)
            left -= needed or 0.0
    return chosen


def run(words: list[str]) -> int:
    """A command of lungscore in a process of its own."""
    return subprocess.run([sys.executable, "-m", "lungscore", *words], check=False).returncode


def keep(folder: Path, row: Row) -> None:
    """Commit the row's result, if it has one, and the pages that were written from it."""
    result = results_folder(folder) / f"{row.name}.json"
    if not result.is_file():
        return
    files = [str(path) for path in (result, Path("docs/benchmarks.md"), Path("README.md"))]
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
    for seed, group in together(in_turn(rows, asked.folder), asked.at_once):
        remaining = asked.hours - (time.monotonic() - began) / 3600
        chosen = that_fit(group, hours, remaining * asked.at_once)
        left += [f"{row.name} (seed {seed}: no time)" for row in group if row not in chosen]
        if not chosen:
            continue
        words = ["benchmark", "run", str(asked.folder), "--seed", str(seed), "--threads", "1"]
        words += ["--at-once", str(asked.at_once)]
        words += [word for row in chosen for word in ("--only", row.name)]
        if code := run(words):
            names = ", ".join(row.name for row in chosen)
            left.append(f"{names} (seed {seed}: exit code {code})")
        if asked.commit:
            for row in chosen:
                keep(asked.folder, row)
    for line in left:
        print(f"left: {line}", file=sys.stderr)
    return min(len(left), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
