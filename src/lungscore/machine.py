"""What the machine lets this process use."""

import os
import platform
import re
from pathlib import Path

from lungscore.errors import UsageError

#: What may be asked for to run networks (inference.device).
DEVICES = r"^(auto|cpu|cuda(:[0-9]{1,3})?)$"


def available_threads() -> int:
    """The processors this process may use, at least one.

    Its affinity and a container's quota (Linux cgroups) count, not what the machine has: more
    threads than that only wait for each other.
    """
    if hasattr(os, "sched_getaffinity"):
        processors = len(os.sched_getaffinity(0))
    else:
        processors = os.cpu_count() or 1
    return max(1, min(processors, _quota() or processors))


def check_device(asked: str) -> str:
    """``asked``. Raises UsageError where it is none of DEVICES."""
    if not re.fullmatch(DEVICES, asked):
        raise UsageError(
            "usage", f"Unknown device: {asked!r}", expected="auto, cpu, cuda or cuda:N"
        )
    return asked


def cpu_model() -> str:
    """The processor's name where the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _quota(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Whole processors of the control group's time (versions 2 and 1), or None without a limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((folder / file).read_text(encoding="ascii") for file in files).split()
            quota, period = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):  # "max" is not a number: there is no limit
            continue
        if quota > 0 and period > 0:
            return max(1, quota // period)
    return None
