"""What a figure was measured on."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import lungscore
from lungscore.machine import available_threads, cpu_model

#: What decides how fast a network runs on a CPU, as Linux calls it.
FLAGS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
)


def host() -> dict[str, Any]:
    """The processor, its flags of FLAGS (None where the system does not tell) and the system.

    No host name, user or path.
    """
    return {
        "cpu": cpu_model(),
        "flags": cpu_flags(),
        "threads_available": available_threads(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str] | None:
    """Those of FLAGS that the processor has."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found = next(
        (line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), None
    )
    return None if found is None else [flag for flag in FLAGS if flag in found]


def commit(folder: Path = Path(lungscore.__file__).parent) -> str | None:
    """The commit of the package that runs, with "-dirty" where the code differs from it.

    folder: any folder of the working tree. Code is what lies in src and beside this file: results
    that a script has written do not make the next one's commit another.
    """
    code = [":(top)src", ":(top)experiments/speed"]
    try:
        revision = _git(folder, "rev-parse", "--short=10", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--", *code)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{revision}-dirty" if changes else revision


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
