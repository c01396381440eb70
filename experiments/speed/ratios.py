"""How far ``lungscore analyze`` is from its aims, as ratios to decoding the same series: one run.

    python experiments/speed/ratios.py -o benchmarks/results/ratios.jsonl --scan covid-ct-md/P002 \\
        --before ../lungscore-before

R is the time in which pydicom with gdcm decodes the series on one thread, libraries loaded. Every
repeat measures R, the analysis by this tree and by the one of --before in turns, so that a slow
hour of the computer is in all of them alike. One line of JSON is appended.

``--device cuda`` measures the same with the networks on a graphics card, and how long a phantom of
300 slices takes there, alone and as the second scan of a process. It is the whole of what a
computer that has one is needed for:

    python experiments/speed/ratios.py -o benchmarks/results/ratios.jsonl --device cuda
    python experiments/speed/fit.py

``--only cohort`` measures that alone, one worker and two in turns, and ``--only scan`` the scan,
the start and the memory of this tree: their lines take the place of what an earlier one says of it
on such a computer.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCHEMA = "lungscore.ratios/1"
#: Slices of the phantoms whose time should lie on a straight line, and whose memory counts.
LINE, MEMORY = (100, 200, 400, 800, 1600), (300, 800)
#: Slices of the phantom that a graphics card is measured with.
ON_CARD = 300
#: What runs in processes of its own.
WATCHED = Path(__file__).resolve().with_name("watched.py")


class Tree:
    """A working tree whose lungscore is measured; options: of every analysis."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options

    def run(self, *words: object) -> dict[str, Any]:
        """Seconds, CPU seconds, MiB and what the child said, of one child process."""
        from processes import python, run_measured

        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "said.json"
            environment = {
                "PYTHONPATH": str(self.folder / "src"),
                "LUNGSCORE_STARTED": repr(time.time()),
            }
            done = run_measured(python(WATCHED, out, *words), environment=environment)
            if done.code:
                sys.exit(f"{words}: ended with {done.code}: {done.stderr.strip()}")
            said = json.loads(out.read_text(encoding="utf-8"))
        return {
            "wall": done.wall_seconds,
            "cpu": done.cpu_seconds,
            "peak_mib": done.peak_memory_mib,
            **said,
        }

    def scan(self, path: Path, *options: str) -> dict[str, Any]:
        """One analysis of a scan, with the stages of run.json."""
        with tempfile.TemporaryDirectory() as folder:
            options = (*self.options, *options)
            words = ["analyze", path, "-o", folder, "--case-id", "case", *options]
            done = self.run("analyze", *words)
            case = Path(folder) / "case"
            stages = json.loads((case / "run.json").read_text(encoding="utf-8"))["seconds"]
            result = json.loads((case / "result.json").read_text(encoding="utf-8"))
        waited = done["waited"] + stages.get("ranges", 0.0)
        lungs = stages["lungs"] + stages["regions"] - done["waited_for_lungs"]
        return {
            **done,
            "waited": waited,
            "rest": done["wall"] - waited,
            "read": stages["read"],
            "lungs_and_lobes": lungs,
            "stages": stages,
            "slices": result["input"]["slices"],
            "engine": result["engine"],
        }

    def second(self, path: Path) -> dict[str, Any]:
        """The second scan in one process, without report, beside the networks."""
        with tempfile.TemporaryDirectory() as folder:
            options = [*self.options, "--report-size", "none", "--no-ranges"]
            one, two = (
                ["analyze", path, "-o", folder, "--case-id", name, *options] for name in "ab"
            )
            done = self.run("analyze", *one, "--then", *two)
        return {"rest": done["last_seconds"] - done["waited"], "seconds": done["last_seconds"]}

    def cohort(self, path: Path, workers: int) -> float:
        """Scans per hour of a cohort of COHORT patients, each with a copy of a scan."""
        from inputs import as_another_patient
        from ratios_page import COHORT

        with tempfile.TemporaryDirectory() as folder:
            scans, out = Path(folder) / "scans", Path(folder) / "out"
            for number in range(COHORT):
                as_another_patient(path.resolve(), scans / f"case{number}", f"case{number}")
            words = ["analyze", scans, "-o", out, "--workers", workers, *self.options]
            done = self.run("analyze", *words)
            analysed = len(list(out.glob("*/result.json")))
        if analysed != COHORT:
            sys.exit(f"the cohort has {analysed} results instead of {COHORT}")
        return 3600 * COHORT / done["wall"]

    def help(self) -> float:
        """Seconds of ``lungscore --help``."""
        from processes import python, run_measured

        environment = {"PYTHONPATH": str(self.folder / "src")}
        return run_measured(
            python("-m", "lungscore", "--help"), environment=environment
        ).wall_seconds


def cohorts_of(
    scan: Path, trees: dict[str, Tree], repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Tree -> workers -> scans per hour, all of them in turns."""
    rates: dict[str, dict[str, list[float]]] = {name: {"1": [], "2": []} for name in trees}
    for _ in range(repeats):
        for name, tree in trees.items():
            for workers in (1, 2):
                rates[name][str(workers)].append(tree.cohort(scan, workers))
    return rates


def scan_alone(
    scan: Path, trees: dict[str, Tree], *, repeats: int, cache: Path, memory: Sequence[int]
) -> dict[str, Any]:
    """R, the scan, the start and the memory. The arguments are those of ``measure``."""
    from inputs import phantom

    found: dict[str, Any] = {"R": [], **{name: {"scans": [], "help": []} for name in trees}}
    for tree in trees.values():  # what is kept for the next start is there, as for any user
        tree.scan(scan)
    for _ in range(repeats):
        found["R"].append(trees["now"].run("decode", scan))
        for name, tree in trees.items():
            found[name]["scans"].append(tree.scan(scan))
            found[name]["help"].append(tree.help())
    for name, tree in trees.items():
        found[name]["second"] = [tree.second(scan) for _ in range(min(repeats, 3))]
        found[name]["memory_mib"] = {
            str(slices): tree.scan(phantom(slices, "dicom", cache))["peak_mib"] for slices in memory
        }
    return found


def measure(
    scan: Path,
    trees: dict[str, Tree],
    *,
    repeats: int,
    cache: Path,
    line: Sequence[int],
    memory: Sequence[int],
) -> dict[str, Any]:
    """All figures. trees: "now" and, where it is measured too, "before"."""
    from inputs import phantom

    found = scan_alone(scan, trees, repeats=repeats, cache=cache, memory=memory)
    for name, rates in cohorts_of(scan, trees, 1 if repeats < 3 else 2).items():
        found[name]["cohort"] = rates
    found["now"]["line"] = {}
    for slices in line:
        done = trees["now"].scan(phantom(slices, "dicom", cache))
        found["now"]["line"][str(slices)] = {key: done[key] for key in ("wall", "cpu", "peak_mib")}
    if found["now"]["scans"][0]["engine"].get("device", "cpu") != "cpu":
        given = phantom(ON_CARD, "dicom", cache)
        found["now"]["card"] = {
            "cold": [trees["now"].scan(given)["wall"] for _ in range(repeats)],
            "warm": [trees["now"].second(given)["seconds"] for _ in range(repeats)],
        }
    return found


def work(scan_slices: int, *, on_card: bool = False) -> dict[str, float]:
    """GFLOP of the networks per slice, 2 a multiplication and addition, and the peak measured.

    on_card: the peak of the first graphics card instead of the processor's.
    """
    import numpy as np

    from lungscore.inference import load_bundle
    from lungscore.inference.engines import _import_openvino_silently

    core = _import_openvino_silently().Core()
    flops = {}
    for name in ("infection", "lungs"):
        total = 0
        for operation in core.read_model(load_bundle(name).graph).get_ops():
            if operation.get_type_name() == "Convolution":
                _, inputs, *kernel = operation.input(1).get_shape()
                total += 2 * int(np.prod([*operation.output(0).get_shape(), inputs, *kernel]))
        flops[f"{name}_gflop"] = total / 1e9
    side, best = 8192 if on_card else 2048, float("inf")
    matrix: Any = np.ones((side, side), np.float32)
    if on_card:
        import torch

        matrix = torch.from_numpy(matrix).to("cuda")
    for _ in range(5):
        began = time.perf_counter()
        matrix @ matrix
        if on_card:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    peak = {"peak_gflops": 2 * side**3 / best / 1e9, "peak_side": side}
    return {**flops, **peak, "slices": scan_slices}


def _origin(
    command: str, here: Path, earlier: Path | None, host: dict[str, Any], scan: Path
) -> dict[str, Any]:
    """What a line says of how it was made."""
    from host import commit

    return {
        "schema": SCHEMA,
        "command": command,
        "commit": commit(here),
        "commit_before": commit(earlier) if earlier else None,
        "host": host,
        "scan": scan.name,
    }


def _card(device: str) -> str:
    """The name of the graphics card ``device``."""
    from lungscore.inference.device import cuda_devices

    return cuda_devices()[int(device.partition(":")[2] or 0)]


def main() -> None:
    """One line of JSON."""
    from host import host
    from inputs import CACHE, phantom
    from latency import append, command, real_scan

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--scan", default="covid-ct-md/P002", help="or phantom-N, of N slices")
    parser.add_argument("--before", type=Path, help="an earlier working tree")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--line", type=int, nargs="+", default=LINE, help="slices of phantoms")
    parser.add_argument("--memory", type=int, nargs="+", default=MEMORY, help="of phantoms")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--device", help="of this tree's networks, as of analyze")
    parser.add_argument("--only", choices=["cohort", "scan"], help="measure nothing else")
    asked = parser.parse_args()
    here = Path(__file__).resolve().parents[2]
    options = ["--device", asked.device] if asked.device else []
    trees = {"now": Tree(here, *options)}
    if asked.before:
        trees["before"] = Tree(asked.before.resolve())
    kind, _, slices = asked.scan.partition("-")
    made = kind == "phantom"
    scan = phantom(int(slices), "dicom", asked.cache) if made else real_scan(asked.scan)
    before = host()
    if asked.only == "cohort":
        rates = cohorts_of(scan, trees, asked.repeats)
        cohorts = {name: {"cohort": values} for name, values in rates.items()}
        append(asked.out, {**_origin(command(), here, asked.before, before, scan), **cohorts})
        return
    kept = {"repeats": asked.repeats, "cache": asked.cache, "memory": asked.memory}
    if asked.only == "scan":
        found = scan_alone(scan, trees, **kept)
    else:
        found = measure(scan, trees, line=asked.line, **kept)
    line = {
        **_origin(command(), here, asked.before, before, scan),
        "repeats": asked.repeats,
        **found,
        "work": work(found["now"]["scans"][0]["slices"], on_card="card" in found["now"]),
        "card": _card(asked.device) if "card" in found["now"] else None,
    }
    append(asked.out, line)


if __name__ == "__main__":
    main()
