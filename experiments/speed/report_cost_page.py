"""What the report costs, as a section of docs/performance.md, from the lines of report_cost.py."""

from collections.abc import Sequence

from aims import Line
from lungscore.statistics.estimate import Estimate

KIND = "lungscore.report-cost/1"

#: By how much a scan's time may grow through the report, as a ratio.
LIMIT = 1.05

TEXT = """## What the report costs

Each kind of run takes its turn in every repeat, in a process of its own, so that other load on \
the computer falls on all of them; ratios are medians over repeats, with 95 % bootstrap intervals. \
The aim: a scan's time grows by at most 5 %. CPU time is that of the process and its helpers, and \
says more than wall time where other programs run. The code before differs in more than the \
report: it has no lung network, for one. The stage “write” is where the report is made."""

NAMES = {
    "full": "report of every slice (default)",
    "small": "report of twelve slices",
    "none": "no report",
    "before": "the code before the report of every slice",
}
FIGURES = {"cpu_seconds": "CPU time", "wall_seconds": "wall time"}


def report_cost(lines: Sequence[Line]) -> str:
    """The section; empty without lines."""
    if not lines:
        return ""
    return "\n\n".join([TEXT, *map(_scan, lines)])


def _scan(line: Line) -> str:
    runs = line["runs"]
    rows = [
        [
            NAMES[name],
            *(_text(run[key]["values"]) for key in FIGURES),
            _text(run["stages"]["write"]["values"]),
            f"{run['report_bytes'] / 1e6:.1f}",
            run["commit"],
        ]
        for name, run in runs.items()
    ]
    ratios = [
        [
            FIGURES[row["figure"]],
            f"{NAMES[row['of']]} / {NAMES[row['to']]}",
            Estimate(row["p50"], row["low"], row["high"], row["n"]).text(3),
            "within 5 %" if row["p50"] <= LIMIT else "**above 5 %**",
        ]
        for row in line["ratios"]
    ]
    given = f"{line['input']['name']}, {line['input']['slices']} slices"
    on = line["host"]
    return (
        f"### {given}\n\nCommand: `{line['command']}`; {on['cpu']}, {line['threads']} threads, "
        f"load before the runs {on['load']}, n = {line['repeats']} repeats.\n\n"
        + _table(["run", "CPU, s", "wall, s", "stage “write”, s", "report, MB", "commit"], rows)
        + "\n\n"
        + _table(["", "ratio", "median", ""], ratios)
    )


def _text(values: Sequence[float]) -> str:
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = (ordered[middle] + ordered[-middle - 1]) / 2
    return Estimate(median, ordered[0], ordered[-1], len(ordered)).text(2)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in lines)
