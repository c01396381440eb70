"""docs/performance-training.md, written from the lines of training.py and from nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

Line = dict[str, Any]

#: The fields of a setting.
SETTING = (
    "batch",
    "threads",
    "precision",
    "layout",
    "augment",
    "read",
    "autotune",
    "compiled",
)

#: Parts of a step in the order in which they happen.
PARTS = ("coach", "drawing", "forward", "backward", "optimiser")

INTRODUCTION = """# Performance of training

Written by `python benchmarks/training.py --docs benchmarks/results/training.jsonl` from the lines
of that file. Every line is one run of the command that stands with it, on made slices in memory:
what reading and cutting images costs is not in it.

How to read it: a setting is what differs from the first row. Slices a second are those of whole
epochs of the training loop: the median of n epochs, smallest to largest in brackets, after one
epoch that is not counted. Settings take turns; the last column is the median, over turns, of a
setting's speed as a multiple of the first row's. Per core means per second of processor time, which
other work on the machine disturbs less. Parts are milliseconds a slice from further epochs, in
which every part waits for the one before: “drawing” chooses and augments the slices, “forward” is
the network and the loss, “optimiser” clips and steps, “coach” is all that the coach adds (its own
steps, its masks, and the measure of how hard they are, on 16 slices an epoch, however short it is).
"""

#: What was tried: the fields of a setting that differ from the usual one (None: in whatever way),
#: what that is, and why it is done or not.
TRIED: tuple[tuple[dict[str, Any], str, str], ...] = (
    (
        {"augment": "cpu", "read": "step"},
        "Both of the next two undone",
        "what the training code did before; the two are done now where CUDA trains",
    ),
    (
        {"augment": "cpu"},
        "Slices augmented on the CPU",
        "now they are moved to a CUDA GPU batch by batch and augmented there; what is drawn is the "
        "same, but for the noise",
    ),
    (
        {"read": "step"},
        "The loss read after every step",
        "now it is read at the end of an epoch; a loss that is no number stops the run as before",
    ),
    ({"precision": "32-true"}, "float32", "bf16 is what experiments have unless they say so"),
    (
        {"layout": "contiguous"},
        "Weights not in channels_last",
        "a network's weights are in channels_last",
    ),
    (
        {"layout": "coach too"},
        "The coach in channels_last too",
        "not done: the coach is a small part of an epoch",
    ),
    (
        {"augment": "resident"},
        "All slices on the GPU from the start",
        "not done: its memory would have to hold all data",
    ),
    ({"autotune": True}, "cuDNN tries its algorithms", "not done: two runs would choose otherwise"),
    (
        {"compiled": True},
        "torch.compile",
        "not done: the epoch in which it compiles takes longer than it saves in most experiments",
    ),
    (
        {"threads": None},
        "As many threads as the machine has",
        "the command's `--threads`; where other work takes a core meanwhile, threads wait for each "
        "other, and busily",
    ),
    ({"batch": 4}, "Batches of 4", "an experiment's choice: it is another training"),
    ({"batch": 16}, "Batches of 16", "likewise"),
    ({"batch": 64}, "Batches of 64", "likewise"),
)


def page(file: Path) -> str:
    """The whole page."""
    lines = [json.loads(each) for each in file.read_text(encoding="utf-8").splitlines()]
    return "\n".join([INTRODUCTION, *(_run(line) for line in lines), _tried(lines)])


def changed(row: Line, usual: Line) -> str:
    """How a setting differs from the usual one, in words; of the usual one, what it is."""
    if row is usual:
        words = [row["precision"], row["layout"], f"batch {row['batch']}"]
        return ", ".join([*words, _threads(row["threads"])])
    words = [row[key] for key in ("precision",) if row[key] != usual[key]]
    if row["layout"] != usual["layout"]:
        words.append({"coach too": "coach in channels_last too"}.get(row["layout"], row["layout"]))
    if row["batch"] != usual["batch"]:
        words.append(f"batch {row['batch']}")
    if row["threads"] != usual["threads"]:
        words.append(_threads(row["threads"]))
    if row["augment"] != usual["augment"]:
        words.append({"cpu": "augmented on the CPU", "resident": "slices resident"}[row["augment"]])
    if row["read"] != usual["read"]:
        words.append("loss read every step")
    if row["autotune"] != usual["autotune"]:
        words.append("cuDNN tries algorithms")
    if row["compiled"] != usual["compiled"]:
        words.append(f"compiled (first epoch {row['first_epoch_seconds']:.0f} s)")
    return ", ".join(words)


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _run(line: Line) -> str:
    """One line of the file as a section."""
    host, versions = line["host"], line["versions"]
    on_cpu = line["device"] == "cpu"
    title = host["cpu"] if on_cpu else line["device"]
    flags = [flag for flag in host["flags"] or [] if flag in ("avx512_bf16", "amx_bf16")]
    where = f"{host['cpu']}, {_threads(host['threads_available'])}"
    where += f", bf16 by {' and '.join(flags)}" if flags else ""
    cuda = f" (CUDA {versions['cuda']})" if versions["cuda"] else ""
    facts = [
        f"`{line['command']}`, commit {line['commit'] or 'not known'}, {line['date']}.",
        f"{where}; load {host['load']} at the start.",
        f"torch {versions['torch']}{cuda}, Lightning Fabric {versions['lightning-fabric']}, "
        f"Python {host['python']}. Slices of {line['input'][0]} × {line['input'][1]}.",
    ]
    kinds = dict.fromkeys(row["kind"] for row in line["settings"])
    tables = [
        _kind(kind, [row for row in line["settings"] if row["kind"] == kind], on_cpu=on_cpu)
        for kind in kinds
    ]
    return "\n".join([f"## {title}\n", *facts, "", *tables])


def _kind(kind: str, rows: list[Line], *, on_cpu: bool) -> str:
    usual = rows[0]
    parts = [part for part in PARTS if any(part in row["parts"] for row in rows)]
    per_core = ["per core"] if on_cpu else []
    head = ["setting", "n", "slices a second", *per_core, "× the first", *parts]
    table = [
        f"### {kind}, epochs of {usual['slices_per_epoch']} slices\n",
        _row(head),
        _row(["---", *["---:"] * (len(head) - 1)]),
    ]
    for row in rows:
        speed = row["slices_per_second"]
        low, high = min(speed["values"]), max(speed["values"])
        cells = [changed(row, usual), str(speed["n"])]
        cells.append(f"{_figure(speed['p50'])} [{_figure(low)}, {_figure(high)}]")
        if on_cpu:
            cells.append(_figure(row["slices_per_core_second"]["p50"]))
        cells.append(f"{times_as_fast(row, usual):.2f}")
        cells += [f"{row['parts'].get(part, 0.0):.2f}" for part in parts]
        table.append(_row(cells))
    return "\n".join([*table, ""])


def times_as_fast(row: Line, usual: Line) -> float:
    """The median, over turns, of a setting's speed as a multiple of the usual one's."""
    pairs = zip(
        row["slices_per_second"]["values"], usual["slices_per_second"]["values"], strict=True
    )
    return median(one / other for one, other in pairs)


def _tried(lines: list[Line]) -> str:
    """What was tried, with every measurement of it."""
    parts = [
        "## What was tried\n",
        "Speed as a multiple of the usual setting's in the same run: the median over turns. A gain",
        "below a tenth was not worth more code.\n",
    ]
    for change, what, why in TRIED:
        found = [text for line in lines for text in _times(line, change)]
        parts.append(f"- **{what}** ({why}): {'; '.join(found) or 'not measured'}.")
    return "\n".join([*parts, ""])


def _times(line: Line, change: dict[str, Any]) -> Iterator[str]:
    usual: dict[str, Line] = {}
    for row in line["settings"]:
        first = usual.setdefault(row["kind"], row)
        if {key for key in SETTING if row[key] != first[key]} == change.keys() and all(
            value in (None, row[key]) for key, value in change.items()
        ):
            device = line["host"]["cpu"] if line["device"] == "cpu" else line["device"]
            n = row["slices_per_second"]["n"]
            yield f"{times_as_fast(row, first):.2f} × ({row['kind']}, {device}, n = {n})"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
