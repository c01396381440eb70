"""The aims for speed and memory, and what was measured beside each."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from estimates import ratio, straight_line
from lungscore.inference import load_bundle
from lungscore.statistics.estimate import text_of
from parts import BESIDE

Line = dict[str, Any]

#: Seconds of a whole ``analyze``: of a phantom of so many slices, of all but its network, of a real
#: scan of this name.
SLICES, WALL_SECONDS, REST_SECONDS = 300, 10.0, 4.0
REAL_SCAN, REAL_SECONDS = "P002", 8.0
LEAST_R2 = 0.99
MEMORY_SLICES, MEMORY_GB = 800, 1.5
TIMES_FASTER = 6.0

#: The stages of run.json in which a network is waited for: that of the reading which counts, and
#: what is left of the other readings, which go on beside the anatomy. The part of stages.py that is
#: the network.
NETWORK_STAGES, WAITING, NETWORK_PART = ("lesions", "ranges"), "ranges", "network"


@dataclass(frozen=True)
class Verdict:
    """One aim. met: None where it was not measured, or not all of it."""

    aim: str
    measured: str
    met: bool | None

    @property
    def word(self) -> str:
        """As the page says it."""
        return {True: "met", False: "**missed**", None: "not measured"}[self.met]


def verdicts(
    scans: Sequence[Line], parts: Sequence[Line], networks: Sequence[Line], quality: Path
) -> list[Verdict]:
    """Every aim for one setup.

    scans, parts: its lines of latency.py and of stages.py. networks: the lines of networks.py of
    the same processor. quality: the folder of result files that say how good the networks are.
    """
    precision = scans[0]["precision"] if scans else "f32"
    return [
        *_whole(scans),
        *_rest(scans, parts),
        *_real(scans),
        *_linear(scans),
        *_memory(scans),
        *_faster(networks, precision, quality),
    ]


def form(line: Line) -> str:
    """The input's format as a reader calls it."""
    return {"dicom": "DICOM", "nifti": "NIfTI"}.get(
        line["input"]["format"], line["input"]["format"]
    )


def is_phantom(line: Line, slices: int | None = None) -> bool:
    """Whether the input is the phantom, and of so many slices."""
    given = line["input"]
    return given["name"] == "phantom" and slices in (None, given["slices"])


def spread_text(values: Sequence[float], digits: int = 2) -> str:
    """Smallest to largest, and of how many."""
    return f"[{min(values):.{digits}f}, {max(values):.{digits}f}], n = {len(values)}"


def _whole(scans: Sequence[Line]) -> Iterator[Verdict]:
    aim = f"{SLICES} slices of 512 × 512 in at most {WALL_SECONDS:g} s, cold start included"
    found = [line for line in scans if is_phantom(line, SLICES)]
    if not found:
        yield Verdict(aim, "–", None)
    for line in found:
        wall = line["wall_seconds"]
        text = f"{form(line)}: {wall['p50']:.2f} s {spread_text(wall['values'])}"
        yield Verdict(aim, text, wall["p50"] <= WALL_SECONDS)


def _rest(scans: Sequence[Line], parts: Sequence[Line]) -> Iterator[Verdict]:
    """All but the network: outside its stages, and outside the network itself where it was timed.

    The stages hold more than the network, so the first alone is too kind; the larger counts.
    """
    aim = f"of these, everything but the network in at most {REST_SECONDS:g} s"
    found = [line for line in scans if is_phantom(line, SLICES)]
    if not found:
        yield Verdict(aim, "–", None)
    for line in found:
        stages = [line["stages"][x]["values"] for x in NETWORK_STAGES if x in line["stages"]]
        rest = [
            wall - sum(inside)
            for wall, *inside in zip(line["wall_seconds"]["values"], *stages, strict=True)
        ]
        seconds = median(rest)
        text = f"{form(line)}: {seconds:.2f} s {spread_text(rest)} outside the stages "
        text += " and ".join(f"“{name}”" for name in NETWORK_STAGES)
        for timed in parts:
            if timed["input"] == line["input"]:
                outside = timed["total_seconds"] - network_seconds(timed)
                text += f"; {outside:.2f} s outside the network itself (n = 1)"
                seconds = max(seconds, outside)
        yield Verdict(aim, text, seconds <= REST_SECONDS)


def network_seconds(timed: Line) -> float:
    """Seconds for which the walk waits for the networks, of a line of stages.py."""
    own = sum(
        row["own_seconds"]
        for row in timed["parts"]
        if row["path"][-1] == NETWORK_PART and row["path"][0] != BESIDE
    )
    return own + timed["stages"].get(WAITING, 0.0)


def _real(scans: Sequence[Line]) -> Iterator[Verdict]:
    aim = f"{REAL_SCAN} in at most {REAL_SECONDS:g} s, cold start included"
    found = [line for line in scans if line["input"]["name"] == REAL_SCAN]
    if not found:
        yield Verdict(aim, "–", None)
    for line in found:
        wall = line["wall_seconds"]
        text = f"{wall['p50']:.2f} s {spread_text(wall['values'])}"
        yield Verdict(aim, text, wall["p50"] <= REAL_SECONDS)


def fitted(scans: Sequence[Line], figure: str) -> Iterator[tuple[str, Line, list[int]]]:
    """For each format of phantoms: the straight line through ``figure`` of every run, and through
    which numbers of slices it goes. Nothing for a format with fewer than two of them.
    """
    for name in dict.fromkeys(form(line) for line in scans if is_phantom(line)):
        lines = [line for line in scans if is_phantom(line) and form(line) == name]
        runs = [
            (line["input"]["slices"], value) for line in lines for value in _values(line, figure)
        ]
        sizes = sorted({slices for slices, _ in runs})
        if len(sizes) > 1:
            yield name, straight_line(*zip(*runs, strict=True)), sizes


def _values(line: Line, figure: str) -> list[float]:
    """Of every run: a figure of the line, or the stage of that name."""
    return (line["stages"][figure] if figure in line["stages"] else line[figure])["values"]


def _linear(scans: Sequence[Line]) -> Iterator[Verdict]:
    aim = f"time linear in slices, R² above {LEAST_R2}"
    found = list(fitted(scans, "wall_seconds"))
    if not found:
        yield Verdict(aim, "–", None)
    for name, fit, sizes in found:
        # Through two numbers of slices there always is a straight line.
        text = f"{name}: R² {fit['r2']:.4f}, n = {fit['n']} runs of {len(sizes)} sizes"
        yield Verdict(aim, text, bool(fit["r2"] > LEAST_R2) if len(sizes) > 2 else None)


def _memory(scans: Sequence[Line]) -> Iterator[Verdict]:
    aim = f"at most {MEMORY_GB} GB of memory for {MEMORY_SLICES} slices"
    found = [line for line in scans if is_phantom(line, MEMORY_SLICES)]
    if not found:
        yield Verdict(aim, "–", None)
    for line in found:
        peaks = [mib * 2**20 / 1e9 for mib in line["peak_memory_mib"]["values"]]
        text = f"{form(line)}: at most {max(peaks):.2f} GB {spread_text(peaks)}"
        yield Verdict(aim, text, max(peaks) <= MEMORY_GB)


def row_of(line: Line, key: str, engine: str, precision: str) -> Line | None:
    """One network of a line of networks.py."""
    for row in line["networks"]:
        if (row["key"], row["engine"], row["precision"]) == (key, engine, precision):
            return row
    return None


def _faster(networks: Sequence[Line], precision: str, quality: Path) -> Iterator[Verdict]:
    aim = f"a slice at least {TIMES_FASTER:g} times as fast as in Inf-Net with Res2Net-50 (torch "
    aim += "eager, f32), at no lower Dice"
    found = []
    for line in networks:
        own = row_of(line, "shipped", "openvino", precision)
        other = row_of(line, "res2net-50", "torch eager", "f32")
        if own and other:
            times = ratio(other["seconds_per_slice"], own["seconds_per_slice"])
            found.append((line, own["network"], times))
    if not found:
        yield Verdict(aim, f"–; {_dice(quality)[1]}", None)
    card = load_bundle("infection").card
    for line, network, times in found:
        no_lower, dice = _dice(quality)
        if network != f"{card.network}, {card.encoder}":
            no_lower, dice = None, f"an earlier network ({network}), whose Dice is in looks.md"
        faster = text_of(times, "p50", 2, unit=" times", with_n=True)
        text = f"{line['threads']} threads: {faster} repeats of {line['slices']} slices; {dice}"
        fast = times["p50"] >= TIMES_FASTER
        # A half that is missed decides; one that was not measured leaves the aim open.
        yield Verdict(aim, text, False if not fast or no_lower is False else no_lower)


def _dice(quality: Path) -> tuple[bool | None, str]:
    """Whether our Dice on the test slices is no lower than that network's, and both in words.

    That network's is measured on the maps that its authors released.
    """
    files = [quality / name for name in ("infection-slices.json", "peer-Inf-Net.json")]
    if not all(file.exists() for file in files):
        return None, "Dice: not measured"
    own, other = (json.loads(file.read_text(encoding="utf-8"))["figures"]["dice"] for file in files)
    texts = [text_of(each) for each in (own, other)]
    return (
        own["mean"] >= other["mean"],
        f"Dice on {own['n']} test slices {texts[0]}, that of its released maps {texts[1]} "
        "(`lungscore evaluate maps Inf-Net`)",
    )
