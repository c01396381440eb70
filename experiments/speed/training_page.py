"""docs/performance-training.md, written from the lines of training.py and from nothing else.

    python experiments/speed/training_page.py
    python experiments/speed/training_page.py LINES PAGE

LINES: the file that training.py wrote, benchmarks/results/training.jsonl by default. Where one
device was measured more than once, the last line of each kind of training counts.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from estimates import ratio
from lungscore.files import atomic_write
from lungscore.statistics.estimate import Estimate, text_of
from performance_page import table

Line = dict[str, Any]

ROOT = Path(__file__).parents[2]
LINES = ROOT / "benchmarks/results/training.jsonl"
PAGE = ROOT / "docs/performance-training.md"

#: Kinds of training, in the page's order.
TITLES = {
    "supervised": "Supervised training",
    "inpainting": "Pre-training by inpainting, random masks",
    "coach": "Pre-training by inpainting, with a coach",
}

#: What stands in a setting and is no figure.
CHOICES = (
    "precision",
    "channels_last",
    "fused",
    "augmented_on",
    "batch",
    "threads",
    "autotune",
    "compiled",
)

#: A setting is faster or slower where its whole interval differs from 1 by more than this.
MARGIN = 0.05

HEAD = f"""# Performance of training

Written by `python experiments/speed/training_page.py` from the lines in \
`benchmarks/results/training.jsonl` alone. [performance.md](performance.md) gives the cost of an \
analysis.

`experiments/speed/training.py` runs epochs of the training loop on synthetic slices in memory: \
reading and cropping images is not included. The network is Inf-Net with ResNet-18. **Now** is \
what `lungscore train` and `lungscore pretrain` do unless an experiment says otherwise. \
**Before** has all tuning undone: float32, weights in torch's own order, AdamW not fused, slices \
augmented on the CPU. bf16 and channels_last are as old as the training code, so no version of it \
was quite so untuned. All other settings are **now** with one change. Commands stand as they were \
run: the script lay in `benchmarks/` then and is in `experiments/speed/` now.

Slices per second are the median of n epochs, [smallest, largest], after an epoch that is not \
counted; per core is that divided by the number of threads. Settings take turns, and “× now” is \
the median, over turns, of a setting's speed as a multiple of now's, with its 95 % bootstrap \
interval. A setting is called faster or slower if this whole interval lies above {1 + MARGIN:.2f} \
or below {1 - MARGIN:.2f}. Another batch size is a different training, and up to the experiment."""

TO_MEASURE = """    python experiments/speed/training.py -o benchmarks/results/training.jsonl
    python experiments/speed/training_page.py

Measure on an idle machine, with the code committed: a line records whether the code differed from \
its commit. `--quick` takes 3 turns instead of 7 and tries fewer settings, `--cpu` hides a GPU, \
`--kinds` measures only some kinds of training, and `--compile` tries torch.compile too."""


def read_lines(file: Path) -> list[Line]:
    """All lines of ``file``; none where there is no such file."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def page(lines: Sequence[Line]) -> str:
    """The whole page."""
    sections = [HEAD]
    for processor in ("CPU", "GPU"):
        devices: dict[str, dict[str, Line]] = {}
        for line in lines:
            if _on_cpu(line) == (processor == "CPU"):
                devices.setdefault(_device(line), {})[line["kind"]] = line
        if not devices:
            sections.append(f"## {processor}\n\nNot measured on this version.")
        for name, kinds in devices.items():
            own = [kinds[kind] for kind in TITLES if kind in kinds]
            sections += [f"## {processor}: {name}", _summary(own), *map(_kind, own)]
    sections.append(f"## To repeat the measurements\n\n{TO_MEASURE}")
    return "\n\n".join(sections) + "\n"


def _on_cpu(line: Line) -> bool:
    return bool(line["device"] == "cpu")


def _device(line: Line) -> str:
    """A device as the page calls it; what is measured on one stands together."""
    host = line["host"]
    flags = " ".join(host["flags"] or []) or "flags not known"
    cpu = f"{host['cpu']} ({flags}), {_threads(host['threads_available'])}"
    return cpu if _on_cpu(line) else f"{line['device']}, beside {cpu}"


def _summary(lines: Sequence[Line]) -> str:
    """Before and after tuning, a row a kind."""
    per_core = ["per core"] if _on_cpu(lines[0]) else []
    columns = ["", "n", "before, slices per second", *per_core, "now", *per_core, "now / before"]
    rows = []
    for line in lines:
        now, before = line["settings"][:2]
        gain = _times(now, before)
        speeds = [*_speed(before, line), *_speed(now, line)]
        rows.append([TITLES[line["kind"]], gain["n"], *speeds, _interval(gain)])
    return "### Before and after tuning\n\n" + table(columns, rows)


def _kind(line: Line) -> str:
    """Everything about one kind of training on one device."""
    now, _, *tried = line["settings"]
    per_core = ["per core"] if _on_cpu(line) else []
    columns = ["setting", "n", "slices per second", *per_core, "× now", ""]
    names = [f"now: {', '.join(_words(now).values())}", "before", *(changed(x, now) for x in tried)]
    rows = []
    for name, row in zip(names, line["settings"], strict=True):
        times = _times(row, now)
        found = ["1", ""] if row is now else [_interval(times), verdict(times)]
        rows.append([name, times["n"], *_speed(row, line), *found])
    parts = ", ".join(f"{part} {took:.1f}" for part, took in line["parts"].items())
    return (
        f"### {TITLES[line['kind']]}: what was tried\n\n{_facts(line)}\n\n{table(columns, rows)}"
        f"\n\nMilliseconds a slice now, from further epochs in which every part waits for the one "
        f"before: {parts}."
    )


def _facts(line: Line) -> str:
    host, versions, now = line["host"], line["versions"], line["settings"][0]
    commit = line["commit"] or "not known"
    if commit.endswith("-dirty"):
        commit += " (**the code differed from this commit**)"
    libraries = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    height, width = line["input"]
    return (
        f"Command: `{line['command']}`, commit {commit}, {line['date']}. Load of the machine "
        f"before: {host['load']}. {host['system']}, Python {host['python']}, {libraries}. Slices "
        f"of {height} × {width}, {now['slices_per_epoch'] // now['batch']} batches an epoch, seed "
        f"{line['seed']}."
    )


def verdict(times: Line) -> str:
    """What an interval of a speed as a multiple of another says."""
    if times["low"] > 1 + MARGIN:
        return "faster"
    if times["high"] < 1 - MARGIN:
        return "slower"
    return "no clear difference"


def changed(row: Line, now: Line) -> str:
    """How a setting differs from now, in words."""
    words, others = _words(row), _words(now)
    change = ", ".join(words[key] for key in words if words[key] != others.get(key))
    return f"{change}{_payback(row, now)}" if row["compiled"] else change


def _payback(row: Line, now: Line) -> str:
    """How much longer the first epoch took, and how many slices it takes to win that back."""
    longer = row["first_epoch_seconds"] - now["first_epoch_seconds"]
    speeds = [each["slices_per_second"]["p50"] for each in (row, now)]
    saved = 1 / speeds[1] - 1 / speeds[0]
    back = f"won back after {longer / saved:.0f} slices" if saved > 0 else "never won back"
    return f" (first epoch {longer:.0f} s longer, {back})" if longer > 0 else ""


def _words(setting: Line) -> dict[str, str]:
    """Every choice in words, but those that say that nothing special is done."""
    layout = "channels_last" if setting["channels_last"] else "torch's own order"
    words = {
        "precision": {"32-true": "float32", "bf16-mixed": "bf16"}[setting["precision"]],
        "channels_last": f"weights in {layout}",
        "fused": f"AdamW {'' if setting['fused'] else 'not '}fused",
        "augmented_on": f"augmented on the {'CPU' if setting['augmented_on'] == 'cpu' else 'GPU'}",
        "batch": f"batches of {setting['batch']}",
        "threads": _threads(setting["threads"]),
        "autotune": "cuDNN tries its algorithms" if setting["autotune"] else "",
        "compiled": "torch.compile" if setting["compiled"] else "",
    }
    return {key: word for key, word in words.items() if word}


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _times(row: Line, other: Line) -> dict[str, Any]:
    """A setting's speed as a multiple of another's, turn by turn."""
    return ratio(row["slices_per_second"]["values"], other["slices_per_second"]["values"])


def _interval(times: Line) -> str:
    return text_of(times, "p50", 2)


def _speed(row: Line, line: Line) -> list[str]:
    """Slices a second and, where ``line`` is of a CPU, per core."""
    speed = row["slices_per_second"]
    low, high = min(speed["values"]), max(speed["values"])
    whole = Estimate(speed["p50"], low, high, len(speed["values"])).text(1)
    return [whole, f"{speed['p50'] / row['threads']:.1f}"] if _on_cpu(line) else [whole]


def main() -> None:
    """Write the page."""
    lines, out = map(Path, sys.argv[1:3]) if len(sys.argv) == 3 else (LINES, PAGE)
    atomic_write(out, page(read_lines(lines)))


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3):
        sys.exit("usage: python experiments/speed/training_page.py [LINES PAGE]")
    main()
