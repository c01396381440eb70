"""run.json: how a result came about. Everything that may differ between two equal results."""

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lungscore.inference.device import CPU, cuda_devices
from lungscore.machine import available_threads, cpu_model
from lungscore.result import Analysis, case_name
from lungscore.version import RESEARCH_USE, __version__

_LIBRARIES = (
    "numpy",
    "scipy",
    "nibabel",
    "pydicom",
    "python-gdcm",
    "pynrrd",
    "pillow",
    "openvino",
    "onnxruntime",
    "torch",
    "matplotlib",
)


def run_record(analysis: Analysis, *, write_seconds: float | None = None) -> dict[str, Any]:
    """Date, times, threads, host and library versions; no user, host name, path or time of day.

    write_seconds: what writing the outputs took, joined to the analysis's own times.
    """
    times = dict(analysis.times)
    if write_seconds is not None:
        times["write"] = write_seconds
    return {
        "schema": "lungscore.run/1",
        "case": case_name(analysis),
        "lungscore": __version__,
        "date": date.today().isoformat(),
        "notice": RESEARCH_USE,
        "seconds": {stage: round(seconds, 3) for stage, seconds in times.items()},
        "seconds_total": round(sum(times.values()), 3),
        "peak_memory_mib": _peak_memory_mib(),
        "cpus_available": available_threads(),
        "device": _device(analysis),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "host": {
            "cpu": cpu_model(),
            "machine": platform.machine(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
    }


def _device(analysis: Analysis) -> str | None:
    """What ran the networks, a graphics card with its name; None without networks."""
    engine = analysis.lesions.engine
    if engine is None:
        return None
    if engine.device == CPU:
        return CPU
    return f"{engine.device}: {cuda_devices()[int(engine.device.partition(':')[2])]}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _peak_memory_mib() -> int | None:
    """Most memory this process has held at once; None where the system does not tell (Windows)."""
    try:
        # Linux: getrusage would count what the parent process held when it started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) // 2**10
    except (OSError, IndexError, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (2**20 if platform.system() == "Darwin" else 2**10))
