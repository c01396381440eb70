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

``--only cohort`` measures that alone, one worker and two in turns: its line takes the place of what
an earlier one says of cohorts on such a computer.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

SCHEMA = "lungscore.ratios/1"
#: Slices of the phantoms whose time should lie on a straight line, and whose memory counts.
LINE, MEMORY = (100, 200, 400, 800, 1600), (300, 800)
#: Slices of the phantom that a graphics card is measured with.
ON_CARD = 300


# In processes of their own


def decode(folder: str) -> dict[str, Any]:
    """R: decode every image of a series with pydicom and gdcm, on this one thread."""
    import gdcm  # noqa: F401  (loaded before the clock starts)
    import pydicom
    from pydicom.pixels import pixel_array

    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    began, images = time.perf_counter(), 0
    for file in files:
        dataset = pydicom.dcmread(file, force=True)
        if "PixelData" in dataset:
            compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
            pixel_array(dataset, decoding_plugin="gdcm" if compressed else "")
            images += 1
    size = sum(file.stat().st_size for file in files)
    seconds, cpu = time.perf_counter() - began, time.process_time()
    began = time.perf_counter()
    for file in files:
        file.read_bytes()
    disk = time.perf_counter() - began
    return {"seconds": seconds, "cpu": cpu, "images": images, "bytes": size, "disk_seconds": disk}


def analyze(*words: str) -> dict[str, Any]:
    """Run ``lungscore`` with ``words`` once or, cut by "--then", several times in this process.

    Gives for the last run the seconds in which the walk waited for networks, and how long after
    the start of the process the first slice came to a network, reading aside.
    """
    began = float(os.environ["LUNGSCORE_STARTED"])
    waited, maps, first, read = [0.0], [0.0], [0.0], [0.0]

    def timed(function: Any, into: list[float]) -> Any:
        def run(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                into[0] += time.perf_counter() - start

        return run

    import lungscore.cli.main as main

    with _patched(timed, waited, maps, first, read):
        runs: list[list[str]] = [[]]
        for word in words:
            runs.append([]) if word == "--then" else runs[-1].append(word)
        if len(runs) > 1:
            _as_in_a_cohort()
        for arguments in runs:
            waited[0] = maps[0] = 0.0
            start = time.perf_counter()
            if code := main.call(arguments):
                sys.exit(code)
            seconds = time.perf_counter() - start
    return {
        "last_seconds": seconds,
        "waited": waited[0] + maps[0],
        "waited_for_lungs": maps[0],
        "first_slice": first[0] - began - read[0],
    }


def _as_in_a_cohort() -> None:
    """What a process that analyses many scans does at its start; earlier trees do nothing."""
    with suppress(ImportError):
        from lungscore.scan.dicom.workers import keep_workers

        keep_workers()


class _patched:
    """While the block lasts, what is waited for and read is timed. Imports happen as they would:
    functions are replaced when their module has loaded."""

    def __init__(self, timed: Any, waited: list, maps: list, first: list, read: list) -> None:
        self.timed, self.waited, self.maps = timed, waited, maps
        self.first, self.read = first, read

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        """Look, at every import, whether what is to be timed has loaded."""
        self.replace()

    def replace(self) -> None:
        segment = sys.modules.get("lungscore.inference.segment")
        reader = sys.modules.get("lungscore.scan.read")
        if reader is not None and hasattr(reader, "_read") and not hasattr(reader, "_timed"):
            reader._timed = True
            reader._read = self.timed(reader._read, self.read)
        ready = ("make_engine", "find_lungs", "Segmenter", "find_lungs_of")
        if segment is None or hasattr(segment, "_timed"):
            return
        finder = sys.modules.get("lungscore.inference.lung_finder")
        if not all(hasattr(segment, name) for name in ready) or not hasattr(finder, "make_engine"):
            return
        segment._timed = True
        find_lungs = segment.find_lungs
        segment.find_lungs = lambda scan, maps=None: find_lungs(
            scan, maps and self.timed(maps, self.maps)
        )
        for module in (segment, finder):
            module.make_engine = self._engines(module.make_engine)

    def _engines(self, make_engine: Any) -> Any:
        import threading

        def make(*arguments: Any, **keywords: Any) -> Any:
            run, used = make_engine(*arguments, **keywords)

            def waits(slices: Any) -> Iterator[Any]:
                maps = run(self._seen(slices))
                main = threading.current_thread() is threading.main_thread()
                step = self.timed(next, self.waited) if main else next
                while (answer := step(maps, self)) is not self:
                    yield answer

            return waits, used

        return make

    def _seen(self, slices: Any) -> Iterator[Any]:
        for given in slices:
            self.first[0] = self.first[0] or time.time()
            yield given

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)  # type: ignore[arg-type]


# In this one


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
            done = run_measured(
                python(Path(__file__).resolve(), "--child", out, *words), environment=environment
            )
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

    found: dict[str, Any] = {"R": [], **{name: {"scans": [], "help": []} for name in trees}}
    for tree in trees.values():  # what is kept for the next start is there, as for any user
        tree.scan(scan)
    for _ in range(repeats):
        found["R"].append(trees["now"].run("decode", scan))
        for name, tree in trees.items():
            found[name]["scans"].append(tree.scan(scan))
            found[name]["help"].append(tree.help())
    cohorts = cohorts_of(scan, trees, 1 if repeats < 3 else 2)
    for name, tree in trees.items():
        found[name]["second"] = [tree.second(scan) for _ in range(min(repeats, 3))]
        found[name]["cohort"] = cohorts[name]
        found[name]["memory_mib"] = {
            str(slices): tree.scan(phantom(slices, "dicom", cache))["peak_mib"] for slices in memory
        }
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
    parser.add_argument("--only", choices=["cohort"], help="measure nothing else")
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
    if asked.only:
        rates = cohorts_of(scan, trees, asked.repeats)
        cohorts = {name: {"cohort": values} for name, values in rates.items()}
        append(asked.out, {**_origin(command(), here, asked.before, before, scan), **cohorts})
        return
    found = measure(
        scan,
        trees,
        repeats=asked.repeats,
        cache=asked.cache,
        line=asked.line,
        memory=asked.memory,
    )
    line = {
        **_origin(command(), here, asked.before, before, scan),
        "repeats": asked.repeats,
        **found,
        "work": work(found["now"]["scans"][0]["slices"], on_card="card" in found["now"]),
        "card": _card(asked.device) if "card" in found["now"] else None,
    }
    append(asked.out, line)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        out, kind, *words = sys.argv[2:]
        said = decode(*words) if kind == "decode" else analyze(*words)
        Path(out).write_text(json.dumps(said), encoding="utf-8")
    else:
        main()
