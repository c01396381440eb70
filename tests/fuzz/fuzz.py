"""Give mutated inputs to every reader: each must end as a result or as a rejection with a code.

    python tests/fuzz/fuzz.py --seconds 120 --seed 15 [--reader nifti] [--out result.json]
    python tests/fuzz/fuzz.py --inputs 300000 --seed 15 --out result.json
    python tests/fuzz/fuzz.py --again nifti:4711 --seed 15     # one input again, with its traceback

The ``n``-th input of a reader follows from the seed and ``n`` alone. Inputs are read in processes
whose memory may grow by 1 GB; one that needs more than 5 s of the processor, dies, or hangs is a
finding like any exception that is not the product's own. Findings are kept as files under
--findings. Exit code 1 where there are any.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mutations import mutated
from readers import READERS
from seeds import SEEDS

from lungscore.errors import LungscoreError

CPU_S, MEMORY_BYTES, PATIENCE_S = 5.0, 2**30, 300.0

#: What the outermost guards say: the readers themselves should have said it.
GUARDS = ("internal", "not-analysable")

#: Inputs of one process: so many that starting it costs little.
BATCH = 2000

#: Share of the time that each reader gets; those that cost much per input get more.
SHARES = {"series": 2.0, "dicom": 3.0, "nifti": 3.0, "compressed": 2.0, "experiment": 2.0}

#: What an input of a reader costs, where --inputs are shared out.
COSTS = {"series": 4.0, "result": 4.0, "graph": 2.0, "dicom": 0.5, "nifti": 0.5}


class TooSlow(BaseException):
    """Not an Exception: no parser may take it for a fault of the file."""


def draw(reader: str, seed: int, number: int, seeds: list[dict[str, bytes]]) -> dict[str, bytes]:
    """The ``number``-th input of ``reader``; the first are the seeds themselves."""
    if number < len(seeds):
        return seeds[number]
    random = Random(f"{reader} {seed} {number}")  # noqa: S311 (mutation, no secret)
    return mutated(random.choice(seeds), seeds, random, reader)


def tried(reader: str, files: dict[str, bytes], folder: Path) -> tuple[str, str]:
    """Read one input: how it ended ("ok" or a code), and the traceback of a finding."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    try:
        READERS[reader](folder)
        return "ok", ""
    except LungscoreError as error:
        return error.code, traceback.format_exc() if error.code in GUARDS else ""
    except TooSlow:
        return "finding", f"TooSlow: more than {CPU_S} s\n" + traceback.format_exc()
    except BaseException:
        return "finding", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def work(reader: str, seed: int, first: int, count: int, seconds: float, progress: Path) -> None:
    """In a process of its own: read inputs and write to ``progress`` how far it is."""
    signal.signal(signal.SIGPROF, _too_slow)
    seeds = SEEDS[reader]()
    parent = Path("/dev/shm") if os.path.isdir("/dev/shm") else None  # noqa: S108
    outcomes: Counter[str] = Counter()
    findings: dict[str, list[int]] = {}
    began = time.monotonic()
    log = os.open(progress, os.O_RDWR | os.O_CREAT)
    number = first
    with tempfile.TemporaryDirectory(dir=parent) as name:
        for number in range(first, first + count):
            os.pwrite(log, f"{number:012d}".encode(), 0)
            folder = Path(name) / "input"
            folder.mkdir()
            files = draw(reader, seed, number, seeds)
            outcome, trace = tried(reader, files, folder)
            outcomes[outcome] += 1
            if trace:
                findings.setdefault(_signature(trace), []).append(number)
            shutil.rmtree(folder)
            if number == first + 8:  # the libraries are loaded: what comes now is the inputs' own
                _limit_memory()
            if time.monotonic() - began > seconds:
                break
    print(json.dumps({"inputs": number + 1 - first, "outcomes": outcomes, "findings": findings}))


def _limit_memory() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, resource.RLIM_INFINITY))


def _too_slow(*_: object) -> None:
    raise TooSlow


def _signature(trace: str) -> str:
    """The exception and the last lines of ours and of the library: what makes findings alike."""
    lines = [line.strip() for line in trace.splitlines()]
    places = [line for line in lines if line.startswith("File ")]
    ours = [line for line in places if "/lungscore/" in line]
    short = [
        line.split("site-packages/")[-1].split("src/")[-1] for line in (ours[-1:] + places[-1:])
    ]
    return f"{lines[-1][:150]} | " + " | ".join(dict.fromkeys(short))


def batch(reader: str, seed: int, first: int, count: int, seconds: float) -> dict:
    """A batch of inputs in a new process. A process that dies or hangs is a finding."""
    with tempfile.NamedTemporaryFile() as progress:
        command = [sys.executable, __file__, "--work", reader, "--seed", str(seed)]
        command += ["--first", str(first), "--inputs", str(count)]
        command += ["--seconds", str(seconds), "--progress", progress.name]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        last, since = b"", time.monotonic()
        while True:
            try:
                out, errors = child.communicate(timeout=2)
                break
            except subprocess.TimeoutExpired:
                now = Path(progress.name).read_bytes()
                if now != last:
                    last, since = now, time.monotonic()
                elif time.monotonic() - since > PATIENCE_S:
                    child.kill()
        with contextlib.suppress(ValueError):
            return json.loads(out.splitlines()[-1] if out else b"")
        number = int(Path(progress.name).read_bytes() or first)
        last_line = (errors.decode(errors="replace").strip().splitlines() or [""])[-1]
        finding = f"the process ended with {child.returncode}: {last_line[:150]}"
        return {
            "inputs": number + 1 - first,
            "outcomes": {"finding": 1, "unknown": number - first},
            "findings": {finding: [number]},
        }


@dataclass
class Tally:
    """What came of the inputs of each reader so far."""

    seed: int
    first: int
    report: Path | None
    began: float = field(default_factory=time.monotonic)
    inputs: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    findings: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def run(self, reader: str, count: int, seconds: float) -> None:
        """A batch of ``reader``, as many inputs as these limits allow."""
        ended = batch(reader, self.seed, self.first + self.inputs[reader], count, seconds)
        self.inputs[reader] += ended["inputs"]
        self.outcomes.setdefault(reader, Counter()).update(ended["outcomes"])
        for signature, numbers in ended["findings"].items():
            known = self.findings.setdefault(reader, {})
            if signature not in known:
                print(f"{reader}:{numbers[0]} {signature}", flush=True)
            known.setdefault(signature, []).extend(numbers)
        if self.report is not None:
            self.report.write_text(json.dumps(self.summary(), indent=1) + "\n")

    def summary(self) -> dict:
        """The content of the result file."""
        return {
            "command": "python tests/fuzz/fuzz.py " + " ".join(sys.argv[1:]),
            "seed": self.seed,
            "first_input": self.first,
            "seconds": round(time.monotonic() - self.began),
            "python": platform.python_version(),
            "total": self.inputs.total(),
            "inputs": dict(self.inputs),
            "outcomes": {reader: dict(o.most_common()) for reader, o in self.outcomes.items()},
            "findings": {
                reader: {signature: numbers[:20] for signature, numbers in known.items()}
                for reader, known in self.findings.items()
                if known
            },
        }


def fuzz_for(tally: Tally, readers: list[str], seconds: float) -> None:
    """All readers in turn until the time is over."""
    share = sum(SHARES.get(reader, 1.0) for reader in readers)
    turn = max(40.0, seconds / 10)
    while (left := seconds - (time.monotonic() - tally.began)) > 0:
        for reader in readers:
            tally.run(reader, BATCH, min(turn, left) * SHARES.get(reader, 1.0) / share)


def fuzz_so_many(tally: Tally, readers: list[str], inputs: int) -> None:
    """All readers in turn until there were so many inputs, fewer where one takes long."""
    share = sum(1 / COSTS.get(reader, 1.0) for reader in readers)
    wanted = {reader: round(inputs / COSTS.get(reader, 1.0) / share) for reader in readers}
    while any(tally.inputs[reader] < wanted[reader] for reader in readers):
        for reader in readers:
            if left := wanted[reader] - tally.inputs[reader]:
                tally.run(reader, min(left, BATCH), 3600.0)


def main() -> int:
    """Argument handling."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--inputs", type=int, help="so many inputs, however long it takes")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--reader", action="append", choices=sorted(READERS))
    parser.add_argument("--out", type=Path, help="result file")
    parser.add_argument("--again", metavar="READER:NUMBER", help="read one input again")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.seed, given.first, given.inputs, given.seconds, given.progress)
        return 0
    if given.again:
        reader, _, number = given.again.partition(":")
        signal.signal(signal.SIGPROF, _too_slow)
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        files = draw(reader, given.seed, int(number), SEEDS[reader]())
        print({name: len(content) for name, content in files.items()}, folder)
        kept = folder.with_name(folder.name + "-kept")
        kept.mkdir()
        for name, content in files.items():
            (kept / name).write_bytes(content)
        print(*tried(reader, files, folder))
        return 0
    tally = Tally(given.seed, given.first, given.out)
    readers = given.reader or list(READERS)
    if given.inputs:
        fuzz_so_many(tally, readers, given.inputs)
    else:
        fuzz_for(tally, readers, given.seconds)
    print(json.dumps({"total": tally.inputs.total(), "inputs": tally.inputs}))
    return 1 if any(tally.findings.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
