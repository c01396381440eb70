"""Ctrl-C and requests to stop at random moments: how does lungscore end, and what does it leave?

    python experiments/signals.py [--signals 100] [--seed 15] [--out FILE]

writes experiments/results/signals.json. One small generated scan is analysed as a DICOM folder and
as a zip, and three as a cohort with --resume. Each run gets SIGINT or SIGTERM at a moment drawn
evenly between its start and the time that an undisturbed run takes, until so many signals came.
Counted are the exit codes, the seconds from the signal to the end of the process, and what is left
in the temporary folder and under temporary names in the results. At the end the cohort is resumed
to its end, and its results are compared with those of an undisturbed run.

A signal that comes while Python itself starts, before a line of lungscore runs, is Python's to
answer: such runs are counted as ``python_starting``. A run that ended before its signal came is
counted as ``finished``.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from lungscore.files import atomic_write
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series, write_nifti
from lungscore.version import __version__

RESULT = Path(__file__).parent / "results" / "signals.json"

#: Seconds after which a run that was told to end counts as hung, and is killed.
HUNG_S = 60.0

#: Seconds within which a run must end.
WANTED_S = 5.0

#: How the last lines of a traceback of Python's own start begin.
STARTING = {-signal.SIGINT, -signal.SIGTERM}


def inputs(folder: Path) -> dict[str, Path]:
    """kind -> a scan or a folder of three."""
    shape = (16, 80, 80)
    series = folder / "series"
    write_dicom_series(make_phantom("moderate", seed=1, shape=shape).scan, series)
    packed = folder / "series.zip"
    with zipfile.ZipFile(packed, "w") as target:
        for path in sorted(series.iterdir()):
            target.write(path, path.name)
    cohort = folder / "cohort"
    cohort.mkdir()
    for seed in range(2):
        write_nifti(make_phantom("mild", seed=seed, shape=shape).scan, cohort / f"{seed}.nii.gz")
    shutil.copy(packed, cohort / "packed.zip")
    return {"folder": series, "zip": packed, "cohort": cohort}


def start(path: Path, out: Path, temporary: Path) -> subprocess.Popen:
    """``lungscore analyze`` of ``path``, its temporary files in a folder of their own."""
    command = [sys.executable, "-m", "lungscore", "analyze", str(path), "-o", str(out)]
    return subprocess.Popen(
        [*command, "--resume", "--no-ranges"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
        preexec_fn=_heed_signals,
    )


def _heed_signals() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C; runs of the study are not."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def left_behind(out: Path, temporary: Path) -> int:
    """Files and folders of lungscore in the temporary folder, and temporary ones in ``out``."""
    own = [path for path in temporary.iterdir() if path.name.startswith("lungscore-")]
    return len(own) + len(list(out.rglob(".tmp-*")))


def interrupted(path: Path, out: Path, temporary: Path, number: int, moment: float) -> dict:
    """One run that gets signal ``number`` after ``moment`` seconds."""
    began = time.monotonic()
    process = start(path, out, temporary)
    try:
        process.wait(moment)
        ended, seconds = "finished", 0.0
        moment = time.monotonic() - began
    except subprocess.TimeoutExpired:
        told = time.monotonic()
        process.send_signal(number)
        try:
            process.wait(HUNG_S)
            ended = str(process.returncode)
        except subprocess.TimeoutExpired:
            ended = "hung"
            process.kill()
        seconds = time.monotonic() - told
    said = process.communicate()[1].decode(errors="replace")
    if process.returncode in STARTING or (process.returncode == 1 and "lungscore" not in said):
        ended = "python_starting"
    elif ended == "0":
        ended = "finished"
    return {
        "signal": signal.Signals(number).name,
        "moment_s": round(moment, 2),
        "ended": ended,
        "seconds": round(seconds, 2),
        "left": left_behind(out, temporary),
        "traceback": said[-400:] if "Traceback" in said and ended != "python_starting" else "",
    }


def content(out: Path) -> dict[str, str]:
    """file -> SHA-256 of all results but the times."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def study(signals: int, seed: int, work: Path, report: Path) -> dict:
    """All runs; the result file is written after each."""
    draw = random.Random(seed)  # noqa: S311 (moments, no secret)
    given = inputs(work)
    temporary = work / "temporary"
    temporary.mkdir()
    usual: dict[str, float] = {}
    for kind, path in given.items():
        began = time.monotonic()
        start(path, work / f"undisturbed-{kind}", temporary).communicate()
        usual[kind] = time.monotonic() - began
    runs: list[dict] = []
    index, told = -1, 0
    while told < signals:
        index += 1
        kind = list(given)[index % len(given)]
        out = work / ("resumed" if kind == "cohort" else f"out-{index}")
        if kind == "cohort" and (out / "cohort.html").exists():
            shutil.rmtree(out)  # it came to its end: once more from the beginning
        number = draw.choice((signal.SIGINT, signal.SIGTERM))
        run = interrupted(given[kind], out, temporary, number, draw.uniform(0, usual[kind]))
        runs.append({"kind": kind, **run})
        if run["ended"] == "finished":  # the computer has less to do than it had: sooner, then
            usual[kind] = min(usual[kind], run["moment_s"])
        else:
            told += 1
        print(runs[-1], flush=True)
        if kind != "cohort":
            shutil.rmtree(out, ignore_errors=True)
        atomic_write(report, json.dumps(summary(signals, seed, usual, runs), indent=1) + "\n")
    ended = start(given["cohort"], work / "resumed", temporary)
    ended.communicate()
    result = summary(signals, seed, usual, runs)
    result["resumed"] = {
        "exit_code": ended.returncode,
        "equal": content(work / "resumed") == content(work / "undisturbed-cohort"),
        "left": left_behind(work / "resumed", temporary),
    }
    return result


def summary(signals: int, seed: int, usual: dict[str, float], runs: list[dict]) -> dict:
    """The content of the result file."""
    counted = [run for run in runs if run["ended"] not in ("finished", "python_starting")]
    seconds = sorted(run["seconds"] for run in counted)
    return {
        "command": f"python experiments/signals.py --signals {signals} --seed {seed}",
        "version": __version__,
        "undisturbed_s": {kind: round(value, 1) for kind, value in usual.items()},
        "runs_in_all": len(runs),
        "signals": sum(run["ended"] != "finished" for run in runs),
        "ended": dict(Counter(run["ended"] for run in runs)),
        "within_5_s": sum(value <= WANTED_S for value in seconds),
        "median_s": seconds[len(seconds) // 2] if seconds else None,
        "longest_s": seconds[-1] if seconds else None,
        "left": sum(run["left"] for run in runs),
        "tracebacks": sum(bool(run["traceback"]) for run in runs),
        "runs": runs,
    }


def main() -> None:
    """Argument handling."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--signals", type=int, default=100)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        result = study(options.signals, options.seed, Path(work), options.out)
    atomic_write(options.out, json.dumps(result, indent=1) + "\n")
    print({key: value for key, value in result.items() if key != "runs"})


if __name__ == "__main__":
    main()
