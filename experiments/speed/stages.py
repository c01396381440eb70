"""Where the time of ``lungscore analyze`` goes, part by part, for one scan.

    python experiments/speed/stages.py -o benchmarks/results/stages.jsonl \\
        --slices 300 --formats dicom
    python experiments/speed/stages.py -o … --slices --scan covid-ct-md/P002

Each scan is analysed once in a fresh process, whose functions are timed where they are called
(parts.py). What is timed in another thread stands under "beside": it takes no time of its own
where nothing waits for it. One line of JSON a scan is appended to the file.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from host import commit, host
from latency import add_input_options, analyze_options, append, command, inputs, threads_of
from lungscore.machine import available_threads
from parts import BESIDE, PartClock, time_parts
from processes import python, run_measured

SCHEMA = "lungscore.stages/1"


def profile(arguments: list[str]) -> None:
    """In the fresh process: run the command ``arguments`` and write its parts to the first."""
    out, *words = arguments
    clock = PartClock()
    began = time.perf_counter()
    with clock.part("import"):
        from lungscore.cli.main import call

        time_parts(clock)
    code = call(words)
    rows = {"total_seconds": round(time.perf_counter() - began, 4), "parts": clock.rows()}
    Path(out).write_text(json.dumps(rows), encoding="utf-8")
    sys.exit(code)


def main() -> None:
    """A line a scan, and the parts that took longest on the screen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_input_options(parser, (300,))
    asked = parser.parse_args()
    options = analyze_options(asked)
    for path, described in inputs(asked):
        before = host()
        with tempfile.TemporaryDirectory() as folder:
            rows, results = Path(folder) / "parts.json", Path(folder) / "results"
            words = ["analyze", path, "-o", results, "--case-id", "case", *options]
            done = run_measured(python(Path(__file__), "--profile", rows, *words))
            if done.code:
                sys.exit(f"analyze ended with {done.code}: {done.stderr.strip()}")
            found = json.loads(rows.read_text(encoding="utf-8"))
            result, record = (
                json.loads((results / "case" / name).read_text(encoding="utf-8"))
                for name in ("result.json", "run.json")
            )
        line = {
            "schema": SCHEMA,
            "command": command(),
            "commit": commit(),
            "host": before,
            "threads": threads_of(options) or available_threads(),
            **result["engine"],
            "options": options,
            "input": {**described, "slices": result["input"]["slices"]},
            "stages": record["seconds"],
            **found,
        }
        line["engine"] = line.pop("name")
        append(asked.out, line)
        print(f"{described['name']} {described['format']}: {found['total_seconds']:.2f} s")
        for row in found["parts"]:
            name = "  " * (len(row["path"]) - 1) + row["path"][-1]
            name += " (in another thread)" if row["path"][0] == BESIDE else ""
            print(f"  {name:<32}{row['seconds']:8.2f} {row['own_seconds']:8.2f} {row['calls']:6d}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--profile"]:
        profile(sys.argv[2:])
    else:
        main()
