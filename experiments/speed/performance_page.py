"""docs/performance.md, written from the lines of the benchmarks and from nothing else."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from aims import (
    Line,
    Verdict,
    fitted,
    form,
    is_phantom,
    network_seconds,
    spread_text,
    verdicts,
)
from estimates import ratio
from lungscore.statistics.estimate import Estimate, text_of
from parts import BESIDE
from ratios_page import KIND as RATIOS
from ratios_page import ratios_section
from report_cost_page import KIND as REPORT_COST
from report_cost_page import report_cost

TITLE = """# Performance

Written by `python experiments/speed/fit.py` from the lines in `benchmarks/results/` \
alone. Every figure is given with the command that measured it, n and its spread."""

HEAD = """## How the details were measured

- `experiments/speed/latency.py` runs `lungscore analyze` in fresh processes: wall time from the \
command to its end (cold start included), CPU time, the most memory that it and its helpers held \
together, the stages of `run.json`, and the checksums of what was written.
- `experiments/speed/stages.py` times the functions inside one analysis.
- `experiments/speed/networks.py` times networks in turn on the same slices, within one run.
- `experiments/speed/report_cost.py` compares sizes of report, and an earlier tree, in turns.
- `experiments/speed/training.py` measures training: \
[performance-training.md](performance-training.md).

The phantom shows the same whole chest in any number of slices of 512 × 512; the more slices, the \
thinner they are. Commands stand as they were run: scripts that lay in `benchmarks/` then are in \
`experiments/speed/` now. p50 is the median and p95 the 95th percentile of n runs; square brackets \
give the smallest and the largest value, or the 95 % bootstrap interval where stated."""

TO_MEASURE = """    python experiments/speed/ratios.py -o benchmarks/results/ratios.jsonl \\
        --scan covid-ct-md/P002 --before ../lungscore-before
    python experiments/speed/latency.py -o benchmarks/results/latency.jsonl \\
        --scan covid-ct-md/P002
    python experiments/speed/stages.py -o benchmarks/results/stages.jsonl --slices 300
    python experiments/speed/networks.py -o benchmarks/results/networks.jsonl --threads 1 2
    git worktree add ../lungscore-before 605d2fc
    python experiments/speed/report_cost.py -o benchmarks/results/report-cost.jsonl \\
        --before ../lungscore-before --scan covid-ct-md/P002
    python experiments/speed/fit.py"""

CHANGED = """Largest stage first: density is computed only around infection, in whole \
numbers; the lung field is found once instead of twice; counting and filling holes take fewer \
passes; the model and the libraries for writing load while the scan is read; the readings for \
ranges run in parallel with the anatomy; masks take memory only where the lungs are, and are freed \
when no longer needed. “Files alike” counts the result files with the same bytes before and \
after; masks of a DICOM series used to be stored in another order of axes. Most of what remains \
is the network. It computes in float32 by default, so that masks are the same on every computer; \
`--precision bf16` is faster on processors that support it \
([measurements.md](measurements.md#the-same-masks-from-every-engine))."""

AIMED = "The aims are for two cores with AMX."


def page(lines: Sequence[Line], quality: Path, before: Sequence[Line] = ()) -> str:
    """The whole page.

    lines: of latency.py, stages.py and networks.py, one for each setup and input. quality: the
    folder of result files that say how good the networks are. before: lines of latency.py of the
    code before it was tuned.
    """
    scans, parts, networks = (
        [line for line in lines if line["schema"] == f"lungscore.{kind}/1"]
        for kind in ("latency", "stages", "networks")
    )
    ratios = [line for line in lines if line["schema"] == RATIOS]
    sections = [TITLE, ratios_section(ratios), HEAD]
    if not scans:
        text = "## Whole scans\n\nNot measured yet."
        sections += [text, _aims(verdicts([], [], networks, quality))]
    for setup in dict.fromkeys(map(_setup, scans)):
        own = [line for line in scans if _setup(line) == setup]
        timed = [line for line in parts if _setup(line) == setup]
        beside = [line for line in networks if _processor(line) == _processor(own[0])]
        sections += [f"## {setup}", _host(own), _aims(verdicts(own, timed, beside, quality))]
        sections += [_scans(own), _stages(own), _costs(own), *map(_parts, timed)]
    sections.append(_changed(before, scans))
    sections += map(_networks, networks)
    sections.append(report_cost([line for line in lines if line["schema"] == REPORT_COST]))
    sections.append(f"## To repeat the measurements\n\n{TO_MEASURE}")
    return "\n\n".join(section for section in sections if section) + "\n"


def _setup(line: Line) -> str:
    """What must be alike for figures to be compared."""
    ranges = "without ranges" if "--no-ranges" in line["options"] else "with ranges"
    engine = f"{line['engine']} {line['precision']}, {ranges}"
    return f"{_processor(line)}, {line['threads']} threads, {engine}"


def _processor(line: Line) -> str:
    flags = line["host"]["flags"]
    known = "flags not known" if flags is None else " ".join(flags) or "none of the flags"
    return f"{line['host']['cpu']} ({known})"


def _host(lines: Sequence[Line]) -> str:
    first = lines[0]
    flags = first["host"]["flags"]
    amx = "does not tell whether it has AMX"
    if flags is not None:
        amx = "has AMX" if "amx_bf16" in flags else "has no AMX"
    loads = [line["host"]["load"] for line in lines if line["host"]["load"] is not None]
    busy = f" Load of the machine before the runs: {min(loads)} to {max(loads)}." if loads else ""
    versions = ", ".join(
        f"{name} {first['versions'][name]}"
        for name in ("lungscore", "numpy", "openvino", "torch")
        if name in first["versions"]
    )
    threads = {str(line.get("omp_num_threads")) for line in lines}
    return (
        f"{AIMED} This processor {amx}. {first['host']['threads_available']} threads, "
        f"{first['host']['system']}, Python {first['host']['python']}, {versions}; "
        f"OMP_NUM_THREADS {', '.join(sorted(threads))}.{busy}"
    )


def _aims(found: Sequence[Verdict]) -> str:
    rows = [[each.aim, each.measured, each.word] for each in found]
    missed = [each for each in found if each.met is False]
    unknown = [each for each in found if each.met is None]
    words = f"Of {len(found)} aims, {len(missed)} missed and {len(unknown)} not measured."
    return f"### Aims\n\n{words}\n\n" + table(["aim", "measured", ""], rows)


def _scans(lines: Sequence[Line]) -> str:
    rows = []
    for line in _in_order(lines):
        wall, cpu, memory = (
            line[key] for key in ("wall_seconds", "cpu_seconds", "peak_memory_mib")
        )
        rows.append(
            [
                line["input"]["name"],
                line["input"]["slices"],
                form(line),
                f"{wall['p50']:.2f} {spread_text(wall['values'])}",
                f"{wall['p95']:.2f}",
                f"{cpu['p50']:.2f}",
                f"{memory['p50']:.0f} {spread_text(memory['values'], 0)}",
                line["commit"],
            ]
        )
    columns = ["input", "slices", "format", "wall, s (p50)", "p95", "CPU, s", "peak MiB", "commit"]
    return f"### Whole scans\n\n{_commands(lines)}\n\n" + table(columns, rows)


def _stages(lines: Sequence[Line]) -> str:
    names = list(dict.fromkeys(name for line in lines for name in line["stages"]))
    rows = [
        [f"{line['input']['name']}, {form(line)}", line["input"]["slices"], line["repeats"]]
        + [
            f"{each['p50']:.2f} ({each['p95']:.2f})" if each else "–"
            for each in (line["stages"].get(name) for name in names)
        ]
        for line in _in_order(lines)
    ]
    text = "### Stages\n\nSeconds, p50 (p95), of the same runs. “start and end” is the time "
    text += "outside all stages: Python, imports, shutdown.\n\n"
    return text + table(["input", "slices", "n", *names], rows)


def _costs(lines: Sequence[Line]) -> str:
    rows = []
    names = dict.fromkeys(name for line in lines if is_phantom(line) for name in line["stages"])
    everywhere = [n for n in names if all(n in each["stages"] for each in lines)]
    for title, figure, times, unit in (
        ("wall time", "wall_seconds", 1000, "s, ms"),
        ("CPU time", "cpu_seconds", 1000, "s, ms"),
        ("peak memory", "peak_memory_mib", 1, "MiB, MiB"),
        *((f"stage “{name}”", name, 1000, "s, ms") for name in everywhere),
    ):
        for name, fit, sizes in fitted(lines, figure):
            scan, each = fit["per_scan"], fit["per_slice"]
            rows.append(
                [
                    f"{title} ({unit})",
                    name,
                    text_of(scan, "value", 2),
                    f"{each['value'] * times:.3g} "
                    f"[{each['low'] * times:.3g}, {each['high'] * times:.3g}]",
                    f"{fit['r2']:.4f}",
                    f"{fit['n']} runs, {sizes[0]}–{sizes[-1]} slices",
                ]
            )
    if not rows:
        return ""
    text = "### What a scan and a slice cost\n\nt = a + b · slices by least squares over the runs "
    text += "above; 95 % percentile bootstrap intervals over runs.\n\n"
    return text + table(["", "format", "a, per scan", "b, per slice", "R²", "n"], rows)


def _changed(before: Sequence[Line], after: Sequence[Line]) -> str:
    """What tuning changed, for the inputs and setups that were measured before and after."""
    rows = []
    for old in _in_order(before):
        for new in after:
            if (new["input"], _setup(new)) == (old["input"], _setup(old)):
                rows.append(
                    [
                        f"{old['input']['name']}, {old['input']['slices']} slices, {form(old)}",
                        f"{old['engine']} {old['precision']}",
                        *(_from_to(old[key], new[key], digits) for key, digits in _FIGURES),
                        _alike(old["sha256"], new["sha256"]),
                        f"{old['commit']} → {new['commit']}",
                    ]
                )
    if not rows:
        return ""
    columns = ["input", "engine", "wall, s", "CPU, s", "peak MiB", "files alike", "commits"]
    return f"## What tuning changed\n\n{CHANGED}\n\n" + table(columns, rows)


_FIGURES = (("wall_seconds", 1), ("cpu_seconds", 1), ("peak_memory_mib", 0))


def _alike(old: dict[str, str], new: dict[str, str]) -> str:
    return f"{sum(new.get(name) == digest for name, digest in old.items())} of {len(old)}"


def _from_to(old: Line, new: Line, digits: int) -> str:
    """Medians before and after, and how many times less."""
    times = old["p50"] / new["p50"]
    return f"{old['p50']:.{digits}f} → {new['p50']:.{digits}f} (÷ {times:.2f})"


def _parts(line: Line) -> str:
    """The tree of parts of one analysis, and its largest leaf."""
    rows = []
    for row in line["parts"]:
        name = "&nbsp;&nbsp;" * (len(row["path"]) - 1) + row["path"][-1]
        name += " (another thread)" if row["path"][0] == BESIDE else ""
        rows.append([name, f"{row['seconds']:.2f}", f"{row['own_seconds']:.2f}", row["calls"]])
    own: dict[str, float] = {}
    for row in line["parts"]:
        if row["path"][0] != BESIDE:
            own[row["path"][-1]] = own.get(row["path"][-1], 0.0) + row["own_seconds"]
    largest = sorted(own, key=lambda name: -own[name])[:3]
    total = line["total_seconds"]
    shares = ", ".join(
        f"{name} {own[name]:.2f} s ({100 * own[name] / total:.0f} %)" for name in largest
    )
    return (
        f"### Where the time goes: {line['input']['name']}, {line['input']['slices']} slices, "
        f"{form(line)}\n\nCommand: `{line['command']}`, commit {line['commit']}, n = 1. "
        f"{total:.2f} s in all, {network_seconds(line):.2f} s of them waiting for the networks. "
        f"Largest: {shares}. “Own” is the time outside the parts below it.\n\n"
        + table(["part", "seconds", "own", "calls"], rows)
    )


def _networks(line: Line) -> str:
    base = line["networks"][0]
    rows = []
    for row in line["networks"]:
        milliseconds = [1000 * value for value in row["seconds_per_slice"]]
        times = ratio(row["seconds_per_slice"], base["seconds_per_slice"])
        rows.append(
            [
                row["network"],
                f"{row['engine']} {row['precision']}",
                f"{row['height']} × {row['width']}",
                f"{row['parameters'] / 1e6:.2f} M",
                Estimate(
                    median(milliseconds), min(milliseconds), max(milliseconds), len(milliseconds)
                ).text(1),
                text_of(times, "p50", 2),
            ]
        )
    versions = ", ".join(f"{name} {found}" for name, found in line["versions"].items())
    columns = ["network", "run by", "input", "parameters", "ms per slice", "times the first (95 %)"]
    return (
        f"## Networks compared: {_processor(line)}, {line['threads']} threads\n\n"
        f"Command: `{line['command']}`, commit {line['commit']}; {versions}. n = {line['repeats']} "
        f"repeats of {line['slices']} slices, taking turns. The network alone: no reading, no "
        "resizing. The last two have random weights, which cost the same time.\n\n"
        + table(columns, rows)
    )


def _commands(lines: Sequence[Line]) -> str:
    return "\n\n".join(f"Command: `{each}`" for each in dict.fromkeys(x["command"] for x in lines))


def _in_order(lines: Sequence[Line]) -> list[Line]:
    """Phantoms first, by format and size."""
    return sorted(lines, key=lambda x: (not is_phantom(x), form(x), x["input"]["slices"]))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""

    def cells() -> Iterator[Sequence[object]]:
        yield columns
        yield ["---"] * len(columns)
        yield from rows

    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in cells())
