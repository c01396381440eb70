"""OpenVINO's compiled networks, kept for the next start: most of a start is compiling.

They lie in a folder of the user's own, one file for each network, setting, version of OpenVINO and
processor. Nothing depends on them: what cannot be read, written or verified is compiled again.
"""

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.inference.bundle import GRAPH, WEIGHTS, Bundle
from lungscore.machine import cpu_model

#: The environment variable that names the folder, or turns keeping off.
VARIABLE, OFF = "LUNGSCORE_CACHE", "off"

#: So many are kept; of more, the ones used longest ago go.
KEPT = 6

_SUFFIX, _DIGEST_BYTES = ".blob", 32


def cache_folder() -> Path | None:
    """Where compiled networks are kept; None where LUNGSCORE_CACHE is "off"."""
    named = os.environ.get(VARIABLE, "")
    if named == OFF:
        return None
    if named:
        return Path(named)
    if os.name == "nt":
        home = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    else:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lungscore"


def compile_network(openvino: Any, bundle: Bundle, settings: Mapping[str, Any]) -> Any:
    """The compiled network of ``bundle`` for the CPU, from the user's folder where it is there.

    openvino: the module. settings: its properties of a compiled model. Raises what OpenVINO raises
    for a graph that it cannot compile.
    """
    core = openvino.Core()
    path = _path(openvino, bundle, settings)
    if path is not None and (network := _read(path)) is not None:
        with suppress(Exception):  # whatever it is: the network is compiled instead
            kept = core.import_model(openvino.Tensor(network), "CPU", dict(settings))
            path.touch()
            return kept
    compiled = core.compile_model(core.read_model(bundle.graph), "CPU", dict(settings))
    if path is not None:
        with suppress(Exception):  # a full disk, a folder that may not be written, no export
            _write(path, compiled.export_model().getvalue())
    return compiled


def _path(openvino: Any, bundle: Bundle, settings: Mapping[str, Any]) -> Path | None:
    """The file of this network under these settings; None where nothing is kept."""
    try:
        folder = cache_folder()
    except RuntimeError:  # there is no home
        folder = None
    if folder is None:
        return None
    told = (
        [bundle.card.sha256[GRAPH], bundle.card.sha256[WEIGHTS]],
        [openvino.get_version(), platform.machine(), cpu_model(), _flags()],
        sorted((key, str(value)) for key, value in settings.items()),
    )
    key = hashlib.sha256(repr(told).encode()).hexdigest()[:32]
    return folder / f"{key}{_SUFFIX}"


def _flags() -> str:
    """What instructions the processor has; compiled code may use all of them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _read(path: Path) -> np.ndarray | None:
    """What ``_write`` has put there, if it is whole and this user's own: bytes of the file itself,
    which take no memory twice."""
    try:
        if hasattr(os, "getuid"):
            for place in (path.parent, path):
                status = place.stat()
                if status.st_uid != os.getuid() or status.st_mode & 0o022:
                    return None  # others could have put it there
        content = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError):  # it is not there, or empty
        return None
    digest, network = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return network if hashlib.sha256(network.data).digest() == digest.tobytes() else None


def _write(path: Path, network: bytes) -> None:
    """Put ``network`` at ``path``, whole or not at all, and remove the oldest of too many."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(hashlib.sha256(network).digest() + network)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    files = sorted(path.parent.glob(f"*{_SUFFIX}"), key=lambda kept: kept.stat().st_mtime)
    for old in files[:-KEPT]:
        old.unlink(missing_ok=True)
