"""The table with which docs/performance.md opens: aims, before, now, peers and the limit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from estimates import straight_line

KIND = "lungscore.ratios/1"

Line = dict[str, Any]
#: The figures of one tree in a line: a value for every repeat, or one.
Values = Callable[[Line, str], list[float]]

NOT_MEASURED = "not measured"
#: Patients of the cohort (ratios.py).
COHORT = 4
#: The column of a computer: whether a graphics card ran the networks, else its processor's flags.
GPU = "GPU"
COLUMNS = ("without AMX", "with AMX", GPU)

INTRODUCTION = """One run measures every row in turns (`experiments/speed/ratios.py`). **R** is \
the time in which pydicom with gdcm decodes the same series on one thread: computers differ \
twofold and more, ratios to R hardly. Medians, with the smallest and the largest of n in square \
brackets; “before” is the tree at the commit given. “Everything but the networks” is the time from \
the command to its end in which nothing waits for a network. The first slice comes to a network \
after the scan was read: that time is left out."""

PRECISION = """`--precision auto` is the fastest that gives the masks of f32 within the rule of \
parity. bf16 and int8 miss it \
([measurements.md](measurements.md#the-same-weights-at-other-precisions)), so auto is f32, and \
`result.json` says which ran. Compiled networks are kept in the user's own cache folder \
(`LUNGSCORE_CACHE`, “off” keeps none); the first run on a computer compiles them and is not \
counted."""

PEERS = """| peer | figure | source |
| --- | --- | --- |
| Siemens prototype (lungs, lobes, lesions, scores) | 10 s a case, hardware not given | Chaganti, \
Radiology: AI 2020 |
| TotalSegmentator, its fastest setting | about 70 s on a CPU | its README |
| FLARE 2025, task for laptops | 19.3 s a volume | OpenReview iujolcwrID |
| COBRA, a compiled small 3-D network | 1.6 s a CT on a CPU | arXiv 2207.10446 |"""


@dataclass(frozen=True)
class Row:
    """One aim. unit: "R", "s", "GB", "×" or "". at_least: the figure must not be below. on_card: it
    is for graphics cards alone."""

    what: str
    aim: float
    unit: str
    values: Values
    at_least: bool = False
    on_card: bool = False

    def cell(self, line: Line, tree: str) -> str:
        """What was measured, and whether it meets the aim; said where nothing was."""
        if self.on_card and not line.get("card"):
            return "–"
        if tree == "before":
            line = line.get("earlier", line)
        if tree not in line:
            return NOT_MEASURED
        try:
            values = self.values(line, tree)
        except KeyError:
            return NOT_MEASURED
        middle = median(values)
        met = middle >= self.aim if self.at_least else middle <= self.aim
        digits = 4 if self.unit == "" else 2
        spread = f" [{min(values):.{digits}f}, {max(values):.{digits}f}], n = {len(values)}"
        text = f"{middle:.{digits}f} {self.unit}".strip() + (spread if len(values) > 1 else "")
        return f"{text}: {'met' if met else '**missed**'}" if tree == "now" else text


def _in_r(figure: str) -> Values:
    """A figure of every analysis, in times of R of the same repeat."""

    def values(line: Line, tree: str) -> list[float]:
        seconds = [scan[figure] for scan in line[tree]["scans"]]
        return [value / r["seconds"] for value, r in zip(seconds, line["R"], strict=True)]

    return values


def _second(line: Line, tree: str) -> list[float]:
    r = median(run["seconds"] for run in line["R"])
    return [run["rest"] / r for run in line[tree]["second"]]


def _memory(slices: str) -> Values:
    return lambda line, tree: [line[tree]["memory_mib"][slices] * 2**20 / 1e9]


def _cohort(line: Line, tree: str) -> list[float]:
    alone, together = (line[tree]["cohort"][workers] for workers in ("1", "2"))
    return [two / one for one, two in zip(alone, together, strict=True)]


def _on_card(kind: str) -> Values:
    return lambda line, tree: line[tree]["card"][kind]


def _linear(line: Line, tree: str) -> list[float]:
    runs = line[tree]["line"]
    walls = [run["wall"] for run in runs.values()]
    return [straight_line([int(slices) for slices in runs], walls)["r2"]]


ROWS = (
    Row("{scan} to report, best precision within parity (f32)", 4, "R", _in_r("wall")),
    Row("{scan} to report, f32", 6, "R", _in_r("wall")),
    Row("read", 0.8, "R", _in_r("read")),
    Row("lungs and lobes", 1.2, "R", _in_r("lungs_and_lobes")),
    Row("everything but the networks", 3, "R", _in_r("rest")),
    Row("second scan of a cohort, no report, beside the networks", 2, "R", _second),
    Row("`lungscore --help`", 0.25, "s", lambda line, tree: line[tree]["help"]),
    Row(
        "start to first slice in a network",
        1.2,
        "s",
        lambda line, tree: [scan["first_slice"] for scan in line[tree]["scans"]],
    ),
    Row("peak memory, 300 slices", 0.6, "GB", _memory("300")),
    Row("peak memory, 800 slices", 1.0, "GB", _memory("800")),
    Row("cohort: two workers against one by one", 1.6, "×", _cohort, at_least=True),
    Row("linear in slices to 1600: R²", 0.99, "", _linear, at_least=True),
    Row("one GPU: 300 slices, cold", 4, "s", _on_card("cold"), on_card=True),
    Row(
        "one GPU: each scan after the first, no report or ranges",
        1,
        "s",
        _on_card("warm"),
        on_card=True,
    ),
)


def ratios_section(lines: Sequence[Line]) -> str:
    """The section; lines: of ratios.py, the last of a kind of processor counts, and what was
    measured alone after it."""
    own: dict[str, Line] = {}
    for line in lines:
        column = _column(line)
        own[column] = line if "line" in line["now"] else _renewed(own[column], line)
    head = ["what", "aim"]
    head += [f"{name}, {tree}" for name in own for tree in ("before", "now")]
    head += [name for name in COLUMNS if name not in own]
    rows = [head, ["---"] * len(head)]
    scans = " and ".join(dict.fromkeys(line["scan"] for line in lines)) or "P002"
    for row in ROWS:
        bound = f"{'≥' if row.at_least else '≤'} {row.aim:g} {row.unit}".strip()
        cells = [row.what.format(scan=scans), bound]
        for line in own.values():
            cells += [row.cell(line, tree) for tree in ("before", "now")]
        missing = [name for name in COLUMNS if name not in own]
        rows.append(
            cells + ["–" if row.on_card and name != GPU else NOT_MEASURED for name in missing]
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    texts = ["## Aims", INTRODUCTION, table, PRECISION]
    texts += [text for line in own.values() for text in _limits(line)]
    return "\n\n".join([*texts, "### Peers", PEERS])


def _renewed(line: Line, part: Line) -> Line:
    """``line`` with what a later one says of cohorts, or of the scan alone.

    "earlier" is the line that the scan was measured in before, for the tree of then.
    """
    anew = {key for tree in ("now", "before") for key in part.get(tree, ())}
    measured = {
        tree: {key: value for key, value in line[tree].items() if key not in anew}
        | part.get(tree, {})
        for tree in ("now", "before")
        if tree in line
    }
    if "R" not in part:
        return {**line, **measured, "cohorts": part}
    own = {key: part[key] for key in ("R", "work", "host", "command", "commit")}
    return {**line, **own, "now": measured["now"], "earlier": line}


def _column(line: Line) -> str:
    return GPU if line.get("card") else COLUMNS["amx_bf16" in (line["host"]["flags"] or ())]


def _called(line: Line) -> str:
    """How the text about a line begins."""
    column = _column(line)
    return f"{GPU} ({line['card']})" if line.get("card") else column[0].upper() + column[1:]


def _source(line: Line) -> str:
    has_before = line["commit_before"] and "earlier" not in line
    earlier = f", before {line['commit_before']}" if has_before else ""
    return f"Command: `{line['command']}`, commit {line['commit']}{earlier}"


def _limits(line: Line) -> Iterator[str]:
    """Where the figures are from, in seconds, and what no code could be faster than."""
    host, work = line["host"], line["work"]
    side = work.get("peak_side", 2048)
    r = median(run["seconds"] for run in line["R"])
    now = line["now"]["scans"]
    gflop = (work["infection_gflop"] + work["lungs_gflop"]) * work["slices"]
    flops_s = gflop / work["peak_gflops"]
    yield (
        f"{_called(line)}: {host['cpu']} ({' '.join(host['flags'] or ())}), "
        f"{host['threads_available']} threads, load before the run {host['load']}. "
        f"R = {r:.2f} s; {line['scan']} ({work['slices']} slices) in "
        f"{median(scan['wall'] for scan in now):.2f} s with {now[0]['engine']['name']} "
        f"{now[0]['engine']['precision']}, {median(scan['waited'] for scan in now):.2f} s of them "
        f"waiting for networks; {median(scan['cpu'] for scan in now):.2f} s of processor time. "
        f"{_source(line)}."
    )
    if "earlier" in line:
        yield f"“Before” and the straight line were measured earlier. {_source(line['earlier'])}."
    if "cohorts" in line:
        yield (
            f"The cohort is {COHORT} patients with the scan of one, each a series of its own; "
            f"measured apart, load before it {line['cohorts']['host']['load']}. "
            f"{_source(line['cohorts'])}."
        )
    megabytes = line["R"][0]["bytes"] / 1e6
    disk = median(run["disk_seconds"] for run in line["R"])
    yield (
        f"The limit: one reading of every slice is {gflop:.0f} GFLOP (2 a multiplication and "
        f"addition), {flops_s:.2f} s at the {work['peak_gflops']:.0f} GFLOP/s that a product of "
        f"matrices of {side} × {side} in f32 reaches here; the pages of {megabytes:.0f} MB of "
        f"files take {disk:.2f} s from memory, and decoding them "
        f"{r / host['threads_available']:.2f} s on all threads."
    )
    if "shown" in now[0]:
        shown = now[0]["shown"]
        gflop = sum(work[f"{name}_gflop"] * count for name, count in shown.items())
        flops_s = gflop / work["peak_gflops"]
        yield (
            f"With ranges the networks see {shown['infection']} pictures for infection (other "
            f"views of every slice that may be infected, too) and {shown['lungs']} for the lungs: "
            f"{gflop:.0f} GFLOP, {flops_s:.2f} s or {flops_s / r:.1f} R at that rate."
        )
