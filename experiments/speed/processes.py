"""One command in a process of its own: its wall time, CPU time and peak memory."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Seconds between two looks at the memory of the process and its helpers.
STEP_SECONDS = 0.02


@dataclass(frozen=True)
class Finished:
    """How a command ended.

    wall_seconds: from before it was started until it was gone. cpu_seconds: of all its threads and
    helper processes. peak_memory_mib: the most resident memory of it and its helpers together,
    looked at every STEP_SECONDS (pages that two of them share count twice), and at least what the
    system noted until then as the peak of the largest of them.
    """

    code: int
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mib: float
    stderr: str


def run_measured(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run ``command`` and wait for its end. Needs a system with wait4 (Linux, macOS).

    environment: variables beside, or instead of, those of this process.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        with _Watch(child.pid) as watch:
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        stderr = errors.read().decode(errors="replace")
    # What wait4 says of memory is not used where there is better: on Linux it counts what this
    # process held when it started the other one.
    peak = watch.peak_mib or usage.ru_maxrss / 2**20
    return Finished(child.returncode, wall, usage.ru_utime + usage.ru_stime, peak, stderr)


def python(*arguments: object) -> list[str]:
    """The command that runs ``arguments`` with this Python."""
    return [sys.executable, *map(str, arguments)]


class _Watch:
    """Looks at the memory of a process and all below it until told to stop."""

    def __init__(self, pid: int) -> None:
        self.peak_mib = 0.0
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        stopped = False
        while not stopped:
            held = [_memory_mib(pid) for pid in _family(self._pid)]
            together = sum(now for now, _ in held)
            self.peak_mib = max(self.peak_mib, together, *(most for _, most in held))
            stopped = self._stop.wait(STEP_SECONDS)


def _family(pid: int) -> list[int]:
    """A process and all below it; empty where the system does not tell."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        try:
            threads = list(Path(f"/proc/{found[-1]}/task").glob("*/children"))
        except OSError:  # that process has just ended
            continue
        for children in threads:
            try:
                waiting.extend(map(int, children.read_text().split()))
            except OSError:  # that thread has just ended
                continue
    return found


def _memory_mib(pid: int) -> tuple[float, float]:
    """What a process holds now and the most that it has held; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        now, most = (int(status.split(key)[1].split()[0]) for key in ("VmRSS:", "VmHWM:"))
    except (OSError, IndexError):  # it has just ended, or there is no /proc
        return 0.0, 0.0
    return now / 2**10, most / 2**10
