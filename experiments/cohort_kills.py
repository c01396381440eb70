"""A cohort that is killed again and again: does --resume end with the same bytes?

    python experiments/cohort_kills.py FOLDER --model NAME|FOLDER

writes experiments/results/cohort-kills.json. A folder of small generated scans, some of them
faulty, is analysed once undisturbed, and once by a run that is killed (SIGKILL) at random moments
and goes on with --resume after each. Killed is the whole group of processes, the first process
alone, or one worker alone. A moment is any time from the start on (``any``), while a case is being
written (``writing``), or while the tables are (``tables``, the last kills). Compared is the SHA-256
of every result file but run.json, which has the times. Linux only; without --model the shipped
model.
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
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cohort_stress import generate
from lungscore.batch.case import COHORT_FILES
from lungscore.files import atomic_write
from lungscore.version import __version__

RESULT = Path(__file__).parent / "results" / "cohort-kills.json"
#: How often each is killed; moments of kills before those that wait for the tables.
WHOM = {"group": 4, "parent": 3, "worker": 3}
MOMENTS = {"any": 1, "writing": 1}
SHARE_TABLES = 0.2
#: A kill comes after so many further cases at the latest: there must be work for all.
FURTHER = (1, 3)
#: Seconds in which all processes of a killed run must have ended.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Kill:
    """seconds: since the start. cases: results that were there. left: temporary names in OUT."""

    whom: str
    moment: str
    seconds: float
    cases: int
    left: int


@dataclass(frozen=True)
class Process:
    number: int
    group: int
    worker: bool


@dataclass(frozen=True)
class Pace:
    """Of the undisturbed run: its cases with results, and seconds to the first, for each further
    one, and for the tables."""

    cases: int
    first: float
    each: float
    tables: float


def processes() -> list[Process]:
    """All that run, as Linux lists them."""
    running = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            worker = b"spawn_main" in (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if state != "Z":
            running.append(Process(int(folder.name), int(group), worker))
    return running


def members(group: int) -> list[Process]:
    return [process for process in processes() if process.group == group]


def names_in(folder: Path) -> list[str]:
    """What lies in a folder that may vanish meanwhile."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def temporary(out: Path) -> list[str]:
    """What is being written in ``out``, or was when its writer was killed."""
    names = []
    for name in names_in(out):
        hidden, within = name.startswith(".tmp-"), names_in(out / name)
        names += [name] if hidden else []
        names += [f"{name}/{child}" for child in within if hidden or child.startswith(".tmp-")]
    return sorted(names)


def cases_in(out: Path) -> int:
    names = (name for name in names_in(out) if not name.startswith("."))
    return sum((out / name / "result.json").is_file() for name in names)


def hashes(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


class Victim:
    """One run, to be killed. since: seconds from its start to the last loss of a worker."""

    def __init__(self, command: list[str], out: Path) -> None:
        self.out, self.began = out, time.monotonic()
        self.since = 0.0
        self.left_before = set(temporary(out))
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def waits(self, until: Callable[[], object]) -> bool:
        """Wait for a moment; False where the run ends before it."""
        while not until():
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        return self.process.poll() is None

    def reaches(self, moment: str, rng: random.Random, pace: Pace) -> bool:
        """Wait for a random ``moment``; False where the run ends before it."""
        if moment == "tables":
            ready, more = self.writes_tables, rng.uniform(0, pace.tables)
        else:
            # One that goes on after it lost a worker needs the time to start another, too.
            when = self.since + rng.uniform(0.5 * pace.first, pace.first + 3 * pace.each)
            enough, more = cases_in(self.out) + rng.randint(*FURTHER), 0.0

            def ready() -> bool:
                return self.seconds >= when or cases_in(self.out) >= enough

        if not self.waits(ready):
            return False
        if moment == "writing":
            if not self.waits(self._writing):
                return False
            more = rng.uniform(0, 0.5 * pace.each)
        then = self.seconds + more
        return self.waits(lambda: self.seconds >= then)

    def _writing(self) -> set[str]:
        return set(temporary(self.out)) - self.left_before

    def writes_tables(self) -> bool:
        return any(name.endswith(COHORT_FILES) for name in self._writing())

    def kill(self, whom: str, rng: random.Random) -> str | None:
        """Kill and return whom; None where there was nobody left."""
        try:
            if whom == "worker":
                workers = [member.number for member in members(self.process.pid) if member.worker]
                if not workers:
                    return None
                os.kill(rng.choice(workers), signal.SIGKILL)
                self.since = self.seconds
            elif whom == "parent":
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        if whom != "worker":
            self.process.wait()
        return whom

    def left_processes(self) -> int:
        """How many processes of a killed run are there after ``PATIENCE_S``."""
        deadline = time.monotonic() + PATIENCE_S
        while (left := members(self.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return len(left)


def drawn(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def undisturbed(command: list[str], out: Path) -> Pace:
    """Run to the end, and say how long cases take."""
    run = Victim(command, out)
    run.waits(lambda: cases_in(out))
    first = run.seconds
    run.waits(run.writes_tables)
    last = run.seconds
    run.process.wait()
    if run.process.returncode != 3:
        raise SystemExit(f"the undisturbed run ended with {run.process.returncode}")
    cases = cases_in(out)
    return Pace(cases, first, (last - first) / max(1, cases - 1), run.seconds - last)


def killed_run(
    command: list[str], out: Path, kills: int, rng: random.Random, pace: Pace
) -> tuple[list[Kill], int]:
    """Run until it was killed ``kills`` times, and then to the end: its kills, and lost processes.

    A run that loses a worker goes on and is killed again.
    """
    hits: list[Kill] = []
    lost, victim = 0, None
    while len(hits) < kills:
        if victim is None:
            victim = Victim(command, out)
        last = len(hits) >= (1 - SHARE_TABLES) * kills or cases_in(out) == pace.cases
        moment = "tables" if last else drawn(rng, MOMENTS)
        # Tables are written by the first process; its workers have ended.
        whom = drawn(rng, WHOM)
        if moment == "tables" and whom == "worker":
            whom = "parent"
        reached = victim.reaches(moment, rng, pace)
        if reached and victim.kill(whom, rng):
            left = len(temporary(out))
            hits.append(Kill(whom, moment, round(victim.seconds, 2), cases_in(out), left))
            sys.stdout.write(f"{len(hits)}: {hits[-1]}\n")
            if whom == "worker":
                continue
        if victim.process.poll() is not None:
            # What is left of it may end while the next is at work, as after a real crash.
            before, victim = victim, Victim(command, out)
            lost += before.left_processes()
    if victim is not None:
        victim.process.wait()
        lost += victim.left_processes()
    return hits, lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder for scans and results")
    parser.add_argument("--model", help="instead of the shipped one")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    scans, whole = arguments.folder / "scans", arguments.folder / "undisturbed"
    out, packed = arguments.folder / "killed", arguments.folder / "temporary"
    faulty = generate(scans, arguments.cases)
    packed.mkdir()
    os.environ["TMPDIR"] = str(packed)  # a killed run leaves there what it unpacked
    model = ["--model", arguments.model] if arguments.model else []

    def command(out: Path, *more: str) -> list[str]:
        given = [sys.executable, "-m", "lungscore", "analyze", str(scans), "-o", str(out)]
        return [*given, "--no-ranges", "--workers", "2", "--threads", "1", *model, *more]

    pace = undisturbed(command(whole), whole)
    rng = random.Random(arguments.seed)  # noqa: S311
    hits, lost = killed_run(command(out, "--resume"), out, arguments.kills, rng, pace)
    last = Victim(command(out, "--resume"), out)
    last.process.wait()
    expected, written = hashes(whole), hashes(out)
    unlike = sorted(name for name in expected | written if expected.get(name) != written.get(name))
    figures = {
        "cases": arguments.cases,
        "faulty": len(faulty),
        "kills": len(hits),
        "killed": dict(Counter(hit.whom for hit in hits)),
        "moments": dict(Counter(hit.moment for hit in hits)),
        "kills_that_left_something_half_written": sum(hit.left > 0 for hit in hits),
        "exit_code": last.process.returncode,
        "files_compared": len(expected),
        "files_that_differ": unlike,
        "temporary_files": temporary(out),
        "processes_that_stayed": lost,
    }
    figures["identical"] = not (unlike or figures["temporary_files"] or lost)
    content = {
        "command": f"python experiments/cohort_kills.py FOLDER --seed {arguments.seed}"
        + (" --model STAND-IN" if arguments.model else ""),
        "lungscore": __version__,
        "figures": figures,
        "pace": {name: round(value, 2) for name, value in asdict(pace).items()},
        "kills": [asdict(hit) for hit in hits],
    }
    atomic_write(arguments.result, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    shutil.rmtree(arguments.folder)
    sys.exit(not figures["identical"])


if __name__ == "__main__":
    main()
