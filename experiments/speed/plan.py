"""What a large archive costs: docs/planning.md, from measured figures and stated assumptions.

    python experiments/speed/plan.py page
    python experiments/speed/plan.py sizes SCAN RESULTS [SCAN RESULTS ...]

page writes docs/planning.md from benchmarks/results/ and experiments/results/real-scans.json.
sizes measures what scans and their folders of results (`lungscore analyze`) take on the disk, and
writes benchmarks/results/case-sizes.json.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, mean, median
from typing import Any

from fit import read_lines
from lungscore.datasets.cc_ccii import PUBLISHED
from lungscore.files import atomic_write
from lungscore.version import __version__
from ratios_page import KIND as RATIOS

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
REAL_SCANS = ROOT / "experiments/results/real-scans.json"
SIZES = RESULTS / "case-sizes.json"
PAGE = ROOT / "docs/planning.md"
PATIENT = "P002"


@dataclass(frozen=True)
class Assumptions:
    """What nobody measured here. Money has no currency: put in a price, and the cost is in it."""

    at_work: float = 0.85  # share of the time in which a core analyses: starts, waits, uneven ends
    rejected: float = 0.03  # of the scans: they get a code, and no result
    repeated: float = 0.01  # of the scans: analysed twice, their worker or computer was lost
    price_per_core_hour: float = 0.04
    price_per_tb_month: float = 20.0


@dataclass(frozen=True)
class Archive:
    """Scans to analyse. slices: of one scan. why: where the numbers are from."""

    name: str
    scans: int
    slices: float
    why: str


@dataclass(frozen=True)
class Cost:
    """Seconds of one core: for a scan whatever its size, and for each slice."""

    source: str
    per_scan: float
    per_slice: float

    def of(self, slices: float) -> float:
        return self.per_scan + self.per_slice * slices


@dataclass(frozen=True)
class Plan:
    """core_hours: of all work. hours: until the end. written_tb: results. money: of the cores."""

    core_hours: float
    hours: float
    rejected: float
    repeated: float
    read_tb: float
    written_tb: float
    money: float
    money_per_month: float


SLICES_A_SCAN = 100
ARCHIVES = (
    Archive(
        "CC-CCII",
        round(PUBLISHED["slices"] / SLICES_A_SCAN),
        SLICES_A_SCAN,
        f"{PUBLISHED['slices']:,} images are published; {SLICES_A_SCAN} a scan is an assumption, "
        "and so is that a PNG costs what a DICOM slice costs",
    ),
    Archive("A million scans", 1_000_000, 300, "300 slices a scan is an assumption"),
)


def plan(
    seconds_per_scan: float,
    scans: int,
    cores: int,
    *,
    read_bytes: float = 0.0,
    written_bytes: float = 0.0,
    assumed: Assumptions = Assumptions(),
) -> Plan:
    """What ``scans`` need on ``cores``.

    seconds_per_scan: of one core. read_bytes, written_bytes: of one scan and of its results. A
    rejected scan is taken to cost as much time as any other and to write nothing.
    """
    core_hours = seconds_per_scan * scans * (1 + assumed.repeated) / assumed.at_work / 3600
    written_tb = written_bytes * scans * (1 - assumed.rejected) / 1e12
    read_tb = read_bytes * scans / 1e12
    return Plan(
        core_hours=core_hours,
        # The last scan cannot be shared among cores.
        hours=max(core_hours / cores, seconds_per_scan / 3600 if scans else 0.0),
        rejected=scans * assumed.rejected,
        repeated=scans * assumed.repeated,
        read_tb=read_tb,
        written_tb=written_tb,
        money=core_hours * assumed.price_per_core_hour,
        money_per_month=(read_tb + written_tb) * assumed.price_per_tb_month,
    )


# Measured figures


def costs(real_scans: Path = REAL_SCANS, results: Path = RESULTS) -> list[Cost]:
    """Every measured cost there is: the patient's first, then the fits over the phantoms."""
    patient = patient_of(real_scans)
    whole = patient["seconds"] * patient["cpus"]
    found = [
        Cost(
            f"{patient['scan']}, {patient['slices']} slices, one run: {patient['seconds']:.1f} s "
            f"with {patient['cpus']} threads of {patient['cpu']}, all counted as busy",
            0.0,
            whole / patient["slices"],
        )
    ]
    lines = read_lines(results)
    latency = [line for line in lines if line["schema"] == "lungscore.latency/1"]
    return [
        *found,
        *_fits(latency),
        *_of_ratios([line for line in lines if line["schema"] == RATIOS and "line" in line["now"]]),
    ]


def _of_ratios(lines: Sequence[dict[str, Any]]) -> Iterator[Cost]:
    """What the last run of ratios.py on each processor says of phantoms, and of the patient."""
    for line in {line["host"]["cpu"]: line for line in lines}.values():
        now, threads = line["now"], line["host"]["threads_available"]
        setup = f"{threads} threads of {line['host']['cpu']}, f32: processor time"
        seconds = [scan["cpu"] for scan in now["scans"]]
        slices = now["scans"][0]["slices"]
        yield Cost(
            f"{line['scan']}, {slices} slices, {setup}, median of {len(seconds)} runs",
            0.0,
            median(seconds) / slices,
        )
        points = [(int(slices), run["cpu"]) for slices, run in now["line"].items()]
        slope, start = linear_regression(*zip(*points, strict=True))
        text = f"phantoms (dicom), {setup}, fitted over {len(points)} sizes"
        yield Cost(text, max(start, 0.0), slope)


def patient_of(real_scans: Path = REAL_SCANS) -> dict[str, Any]:
    """What was measured on the patient."""
    scans = json.loads(real_scans.read_text(encoding="utf-8"))["scans"]
    return next(scan for scan in scans if PATIENT in scan["scan"])


def _fits(lines: Sequence[dict[str, Any]]) -> Iterator[Cost]:
    """For each setup: the straight line through the processor's seconds over slices of phantoms."""
    setups: dict[str, dict[int, list[float]]] = {}
    for line in lines:
        given = line["input"]
        if given["name"] == "phantom":
            setup = (
                f"phantoms ({given['format']}), {line['threads']} threads of "
                f"{line['host']['cpu']}, {line['engine']} {line['precision']}"
            )
            if line["options"]:
                setup += f", {' '.join(line['options'])}"
            # A later line of the same input replaces an earlier one.
            setups.setdefault(setup, {})[given["slices"]] = line["cpu_seconds"]["values"]
    for setup, runs in setups.items():
        points = [(slices, seconds) for slices, values in runs.items() for seconds in values]
        if len(runs) > 1:
            slope, start = linear_regression(*zip(*points, strict=True))
            name = f"{setup}: processor time, fitted over {len(points)} runs of {len(runs)} sizes"
            yield Cost(name, max(start, 0.0), slope)


def sizes(pairs: Sequence[tuple[Path, Path]]) -> dict[str, Any]:
    """What scans and their folders of results take."""
    scans = []
    for scan, results in pairs:
        result = json.loads((results / "result.json").read_text(encoding="utf-8"))
        files = [scan] if scan.is_file() else [path for path in scan.rglob("*") if path.is_file()]
        written = sorted(path for path in results.rglob("*") if path.is_file())
        scans.append(
            {
                "scan": scan.name,
                "slices": result["input"]["slices"],
                "read_bytes": sum(path.stat().st_size for path in files),
                "written_bytes": {
                    path.relative_to(results).as_posix(): path.stat().st_size for path in written
                },
            }
        )
    return {
        "command": "python experiments/speed/plan.py sizes SCAN RESULTS ...",
        "lungscore": __version__,
        "scans": scans,
    }


@dataclass(frozen=True)
class Storage:
    """Bytes: what is read and the masks grow with the slices, reports and figures do not."""

    read_per_slice: float
    masks_per_slice: float
    reports_per_scan: float

    def written(self, slices: float) -> float:
        return self.masks_per_slice * slices + self.reports_per_scan


def storage(measured: dict[str, Any]) -> Storage:
    """The mean over the measured scans."""
    scans = measured["scans"]
    masks = [
        sum(size for name, size in scan["written_bytes"].items() if name.endswith(".nii.gz"))
        for scan in scans
    ]
    all_files = [sum(scan["written_bytes"].values()) for scan in scans]
    return Storage(
        mean(scan["read_bytes"] / scan["slices"] for scan in scans),
        mean(each / scan["slices"] for each, scan in zip(masks, scans, strict=True)),
        mean(whole - each for whole, each in zip(all_files, masks, strict=True)),
    )


# The page

CORES = (8, 64, 1024)


def page(measured_costs: Sequence[Cost], measured_sizes: dict[str, Any], memory_mib: float) -> str:
    """docs/planning.md. memory_mib: of one worker, at its peak."""
    assumed, stored = Assumptions(), storage(measured_sizes)
    parts = [
        "# Planning a large archive",
        "Written by `python experiments/speed/plan.py page`. **Measured** are the seconds and "
        "bytes of the first two tables, on the scans that they name. **Assumed** is everything "
        "under [Assumptions](#assumptions). The rest is arithmetic: `plan` in "
        "`experiments/speed/plan.py` takes your own figures. Measure a hundred scans of your own, "
        "on your own computers, before you order any: slice thickness, compression and the disk "
        "change everything.",
        "## What a scan costs",
        _cost_table(measured_costs),
        "The first row is an upper bound: it counts every thread as busy from the command to its "
        "end, the start of the program included, and spreads all of it over the slices. Fits are "
        "of processor time, which excludes waiting for the disk. Nothing was measured on a "
        "graphics card (`--device cuda`), so there is no throughput per card to plan with. Memory: "
        f"{memory_mib:,.0f} MiB at the peak of {PATIENT}; allow as much for each worker.",
        "## Disk space per scan",
        _size_table(measured_sizes),
        f"On average {stored.read_per_slice / 1e3:.0f} kB per slice are read, and "
        f"{stored.masks_per_slice / 1e3:.0f} kB per slice (masks) and "
        f"{stored.reports_per_scan / 1e6:.1f} MB per scan (reports and figures) are written. An "
        "uncompressed slice of 512 × 512 has 524 kB.",
    ]
    for archive in ARCHIVES:
        parts += [f"## {archive.name}", *_archive(archive, measured_costs, stored, assumed)]
    parts += ["## Assumptions", _assumptions(assumed), "## Failures", _failures()]
    return "\n\n".join(parts) + "\n"


def whole_page() -> str:
    """The page of the files that are there."""
    measured = json.loads(SIZES.read_text(encoding="utf-8"))
    return page(costs(), measured, patient_of()["peak_memory_mib"])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _cost_table(measured: Sequence[Cost]) -> str:
    rows = [
        (
            cost.source,
            f"{cost.per_scan:.2f}",
            f"{cost.per_slice:.3f}",
            f"{3600 / cost.of(300):.0f}",
            f"{3600 / cost.of(300) * 300:,.0f}",
        )
        for cost in measured
    ]
    head = (
        "measured on", "core-seconds per scan", "per slice", "scans of 300 slices per core-hour",
        "slices per core-hour",
    )  # fmt: skip
    return _table(head, rows)


def _size_table(measured: dict[str, Any]) -> str:
    rows = []
    for scan in measured["scans"]:
        written = scan["written_bytes"]
        masks = sum(size for name, size in written.items() if name.endswith(".nii.gz"))
        numbers = (scan["read_bytes"], masks, sum(written.values()) - masks)
        rows.append(
            (scan["scan"], str(scan["slices"]), *(f"{number / 1e6:.1f}" for number in numbers))
        )
    return _table(("scan", "slices", "read, MB", "masks, MB", "reports and figures, MB"), rows)


def _archive(
    archive: Archive, measured: Sequence[Cost], stored: Storage, assumed: Assumptions
) -> Iterator[str]:
    yield f"{archive.scans:,} scans of {archive.slices:.0f} slices: {archive.why}."
    rows = []
    for number, cost in enumerate(measured, start=1):
        plans = [
            plan(
                cost.of(archive.slices),
                archive.scans,
                cores,
                read_bytes=stored.read_per_slice * archive.slices,
                written_bytes=stored.written(archive.slices),
                assumed=assumed,
            )
            for cores in CORES
        ]
        rows.append(
            (
                str(number),
                f"{plans[0].core_hours:,.0f}",
                *(_duration(each.hours) for each in plans),
                f"{plans[0].core_hours / 24:,.0f}",
                f"{plans[0].money:,.0f}",
            )
        )
    head = (
        "row above", "core-hours", *(f"on {cores} cores" for cores in CORES),
        "cores for one day", "price of the cores",
    )  # fmt: skip
    yield _table(head, rows)
    first = plans[0]
    yield (
        f"Read {first.read_tb:,.2f} TB, written {first.written_tb:,.2f} TB, together "
        f"{first.money_per_month:,.0f} a month. About {first.rejected:,.0f} scans end with a code "
        f"and {first.repeated:,.0f} are analysed twice."
    )


def _duration(hours: float) -> str:
    return f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:.1f} h"


def _assumptions(assumed: Assumptions) -> str:
    rows = (
        ("share of time that a core is busy", f"{assumed.at_work:.0%}"),
        ("scans that are rejected with a code", f"{assumed.rejected:.0%}"),
        ("scans that are analysed twice (lost workers)", f"{assumed.repeated:.0%}"),
        ("price of a core-hour, in any currency", f"{assumed.price_per_core_hour:g}"),
        ("price of a terabyte for a month", f"{assumed.price_per_tb_month:g}"),
    )
    return (
        "None of these was measured. The prices are placeholders: replace them by your own."
        "\n\n" + _table(("what", "assumed"), rows)
    )


def _failures() -> str:
    return (
        "A scan that cannot be analysed ends with its code ([errors.md](errors.md)) and costs no "
        "other scan. How many depends on the archive: collections with scouts, biopsies "
        "and other body parts have many. A lost computer costs the cases that it "
        "was analysing, each of which is tried once more ([clusters.md](clusters.md)); a lost "
        "job is started again with `--resume`, which skips what is done."
    )


def main(arguments: Sequence[str]) -> None:
    if list(arguments) == ["page"]:
        atomic_write(PAGE, whole_page())
    elif len(arguments) > 2 and arguments[0] == "sizes" and len(arguments) % 2:
        paths = [Path(argument) for argument in arguments[1:]]
        found = sizes(list(zip(paths[::2], paths[1::2], strict=True)))
        atomic_write(SIZES, json.dumps(found, indent=1) + "\n")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
