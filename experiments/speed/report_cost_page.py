"""What the report costs, as a section of docs/performance.md, from the lines of report_cost.py."""

from collections.abc import Sequence

from aims import Line
from estimates import ratio
from lungscore.statistics.estimate import Estimate

KIND = "lungscore.report-cost/1"

#: By how much a scan's time may grow through the report, as a ratio.
LIMIT = 1.05

TEXT = """## What the report costs

Each kind of run takes its turn in every repeat, in a process of its own, so that other load on \
the computer falls on all of them; ratios are medians over repeats, with 95 % bootstrap intervals. \
The aim: a scan's time grows by at most 5 %. CPU time is that of the process and its helpers, and \
says more than wall time where other programs run; wall times that differ several-fold between \
repeats say only that the computer was busy. The code before wrote a report of twelve slices, and \
differs in more than the report: it has no lung network, for one. So full / twelve slices is the \
growth through the report, and the stage “write” is where it is made. “Not decided”: the interval \
holds 5 %."""

NAMES = {
    "full": "report of every slice (default)",
    "small": "report of twelve slices",
    "none": "no report",
    "before": "the code before the report of every slice",
}
#: Ratios that are given: of the first to the second.
RATIOS = (
    ("full", "small"),
    ("full", "none"),
    ("small", "none"),
    ("full", "before"),
    ("none", "before"),
)
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
        _ratio(line, figure, of, to)
        for of, to in RATIOS
        if {of, to} <= runs.keys()
        for figure in FIGURES
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


def _ratio(line: Line, figure: str, of: str, to: str) -> list[str]:
    """A row: what is compared, the ratio repeat by repeat, and whether it is within the limit."""
    runs = line["runs"]
    content = ratio(runs[of][figure]["values"], runs[to][figure]["values"])
    word = "not decided"
    if content["high"] <= LIMIT:
        word = "within 5 %"
    elif content["low"] > LIMIT:
        word = "**above 5 %**"
    text = Estimate.read(content, "p50").text(3)
    return [FIGURES[figure], f"{NAMES[of]} / {NAMES[to]}", text, word]


def _text(values: Sequence[float]) -> str:
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = (ordered[middle] + ordered[-middle - 1]) / 2
    return Estimate(median, ordered[0], ordered[-1], len(ordered)).text(2)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in lines)
