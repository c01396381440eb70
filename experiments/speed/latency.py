"""How long ``lungscore analyze`` takes, and what it needs, from the command to its end.

    python experiments/speed/latency.py -o benchmarks/results/latency.jsonl
    python experiments/speed/latency.py -o … --slices 300 --formats dicom --repeats 5
    python experiments/speed/latency.py -o … --slices --scan covid-ct-md/P002

Every run is a fresh process, so that the cold start of the program counts. That of the disk does
not: from the second run on, the system has the input's files in memory. One line of JSON an input
is appended to the file. --scan is looked for in LUNGSCORE_DATA too.
"""

import argparse
import gzip
import hashlib
import json
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from host import commit, host
from inputs import CACHE, FORMATS, phantom
from processes import Finished, python, run_measured

SCHEMA = "lungscore.latency/1"
SLICES = (25, 50, 100, 200, 300, 400, 800)


def measure(
    scan: Path, described: dict[str, Any], options: Sequence[str], repeats: int
) -> dict[str, Any]:
    """Analyse ``scan`` ``repeats`` times, each in a fresh process, and say what it took.

    described: what stands for the input in the line. options: further options of ``analyze``. Ends
    the script where a run fails or two runs give other files.
    """
    before = host()
    runs, records, labels = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            done = run_measured(
                python("-m", "lungscore", "analyze", scan, "-o", folder, "--case-id", "case")
                + list(options)
            )
            if done.code:
                sys.exit(f"analyze ended with {done.code}: {done.stderr.strip()}")
            case = Path(folder) / "case"
            runs.append(done)
            records.append(json.loads((case / "run.json").read_text(encoding="utf-8")))
            result = json.loads((case / "result.json").read_text(encoding="utf-8"))
            labels.append(checksums(case))
    if any(each != labels[0] for each in labels):
        sys.exit(f"{scan.name}: two runs gave other files")
    return {
        "schema": SCHEMA,
        "commit": commit(),
        "host": before,
        "versions": {"lungscore": records[0]["lungscore"], **records[0]["libraries"]},
        "threads": threads_of(options) or records[0]["cpus_available"],
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "engine": result["engine"]["name"],
        "precision": result["engine"]["precision"],
        "options": list(options),
        "input": {**described, "slices": result["input"]["slices"]},
        "repeats": repeats,
        **_times(runs, records),
        "sha256": labels[0],
    }


def threads_of(options: Sequence[str]) -> int | None:
    """The threads that ``options`` of analyze ask for."""
    return int(options[options.index("--threads") + 1]) if "--threads" in options else None


def _times(runs: Sequence[Finished], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all runs: wall, CPU, memory, and the stages that run.json names."""
    seconds = [record["seconds"] for record in records]
    stages = {name: spread([each[name] for each in seconds]) for name in seconds[0]}
    outside = [
        run.wall_seconds - record["seconds_total"]
        for run, record in zip(runs, records, strict=True)
    ]
    return {
        "wall_seconds": spread([run.wall_seconds for run in runs]),
        "cpu_seconds": spread([run.cpu_seconds for run in runs]),
        "peak_memory_mib": spread([run.peak_memory_mib for run in runs]),
        # Starting Python, importing and ending: what no stage holds.
        "stages": {**stages, "start and end": spread(outside)},
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, 95th percentile (between values, by straight lines) and the values themselves."""
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    p95 = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return {
        "p50": round(statistics.median(ordered), 4),
        "p95": round(p95, 4),
        "values": [round(value, 4) for value in values],
    }


def checksums(case: Path) -> dict[str, str]:
    """SHA-256 of result.json and of every label file, decompressed: its level may change."""
    found = {}
    for path in sorted([*case.glob("*.nii.gz"), case / "result.json"]):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


def append(path: Path, line: dict[str, Any]) -> None:
    """Add one line of JSON to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def command() -> str:
    """The command that runs this script, without where this computer keeps its files."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    return shlex.join(["python", f"experiments/speed/{Path(sys.argv[0]).name}", *words])


def real_scan(place: str) -> Path:
    """A scan as given, or in the folder of real scans."""
    for path in (Path(place), Path(os.environ.get("LUNGSCORE_DATA", "")) / place):
        if path.exists():
            return path
    sys.exit(f"there is no {place}, neither here nor in LUNGSCORE_DATA")


def add_input_options(parser: argparse.ArgumentParser, slices: Sequence[int]) -> None:
    """The options that say what is analysed, and how."""
    parser.add_argument("-o", "--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--slices", type=int, nargs="*", default=slices, help="of the phantoms")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--scan", nargs="+", default=[], help="real scans, as well")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where phantoms are kept")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--no-ranges", action="store_true")


def inputs(asked: argparse.Namespace) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What was asked for: a path, and what stands for it in the line."""
    for slices in asked.slices:
        for form in asked.formats:
            path = phantom(slices, form, asked.cache)
            yield path, {"name": "phantom", "format": form}
    for place in asked.scan:
        path = real_scan(place)
        yield path, {"name": path.name, "format": "dicom" if path.is_dir() else path.suffix}


def analyze_options(asked: argparse.Namespace) -> list[str]:
    """What differs from the defaults of ``analyze``."""
    options = []
    for name in ("engine", "precision"):
        if getattr(asked, name) != "auto":
            options += [f"--{name}", getattr(asked, name)]
    if asked.threads:
        options += ["--threads", str(asked.threads)]
    return [*options, "--no-ranges"] if asked.no_ranges else options


def main() -> None:
    """Measure what was asked for, a line an input."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_input_options(parser, SLICES)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    for path, described in inputs(asked):
        line = measure(path, described, analyze_options(asked), asked.repeats)
        append(asked.out, {"command": command(), **line})
        wall, memory = line["wall_seconds"], line["peak_memory_mib"]
        stages = ", ".join(f"{name} {each['p50']:.2f}" for name, each in line["stages"].items())
        print(
            f"{described['name']} {described['format']} {line['input']['slices']}: "
            f"{wall['p50']:.2f} s (p95 {wall['p95']:.2f}), {memory['p50']:.0f} MiB; {stages}",
            flush=True,
        )


if __name__ == "__main__":
    main()
