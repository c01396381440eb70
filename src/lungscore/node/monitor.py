"""/health and /metrics, for this computer alone: numbers and states, nothing of a study."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lungscore.errors import ResourceError
from lungscore.node.config import NodeConfig
from lungscore.node.journal import Journal
from lungscore.node.state import State
from lungscore.version import __version__

_NAMES = {
    "images": ("lungscore_node_images_total", "Images by outcome"),
    "associations": ("lungscore_node_associations_refused_total", "Refused associations"),
    "analyses": ("lungscore_node_analyses_total", "Analyses by outcome"),
    "deliveries": ("lungscore_node_deliveries_total", "Deliveries by outcome"),
    "objects": ("lungscore_node_objects_total", "Objects that a destination has confirmed"),
    "failures": ("lungscore_node_failures_total", "Unforeseen failures by part of the node"),
}


class Monitor:
    """What a node tells of itself. alive: which of its parts have stopped."""

    def __init__(
        self,
        config: NodeConfig,
        state: State,
        journal: Journal,
        stopped: Callable[[], list[str]],
    ) -> None:
        self._config, self._state, self._journal = config, state, journal
        self._stopped, self._start = stopped, time.time()

    def health(self) -> tuple[int, dict[str, Any]]:
        """HTTP status, and the answer: 200 while every part works and there is room."""
        troubles = [f"{part} has stopped" for part in self._stopped()]
        free = shutil.disk_usage(self._config.folder).free
        if free < self._config.limits.free_gib * 2**30:
            troubles.append("the disk is full")
        counts = self._state.counts()
        if self._state.waiting() >= self._config.limits.waiting_studies:
            troubles.append("the queue is full")
        answer = {
            "status": "failing" if troubles else "ok",
            "troubles": troubles,
            "version": __version__,
            "studies": counts,
        }
        return 503 if troubles else 200, answer

    def metrics(self) -> str:
        """The numbers in Prometheus' text format."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield from _gauge("studies", "Studies by state", self._state.counts())
        for kind, (name, title) in _NAMES.items():
            yield f"# HELP {name} {title}"
            yield f"# TYPE {name} counter"
            for (own, outcome), number in sorted(self._journal.counts().items()):
                if own == kind:
                    yield f'{name}{{outcome="{outcome}"}} {number}'
        free = shutil.disk_usage(self._config.folder).free
        yield from _gauge("free_bytes", "Free bytes of the node's disk", free)
        yield from _gauge("uptime_seconds", "Uptime", round(time.time() - self._start))
        yield from _gauge("resident_bytes", "Memory of the node itself", _resident())
        yield from _gauge("open_files", "Open files of the node itself", _open_files())


def _gauge(name: str, title: str, value: "int | dict[str, int] | None") -> Iterator[str]:
    if value is None:
        return
    name = f"lungscore_node_{name}"
    yield f"# HELP {name} {title}"
    yield f"# TYPE {name} gauge"
    if isinstance(value, int):
        yield f"{name} {value}"
        return
    for state, number in value.items():
        yield f'{name}{{state="{state}"}} {number}'


def _resident() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None


def server(monitor: Monitor, address: str, port: int) -> ThreadingHTTPServer:
    """An HTTP server of ``monitor``. Raises ResourceError ``address-in-use``."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            if self.path == "/health":
                status, answer = monitor.health()
                self._answer(status, "application/json", json.dumps(answer) + "\n")
            elif self.path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4", monitor.metrics())
            else:
                self._answer(404, "text/plain", "/health and /metrics\n")

        def _answer(self, status: int, kind: str, text: str) -> None:
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing: what is asked for is nobody's business."""

    try:
        listening = ThreadingHTTPServer((address, port), Handler)
    except OSError as error:
        raise ResourceError(
            "address-in-use",
            f"Port {port} of {address} cannot be listened at ({error.strerror})",
            hint="Choose another one under 'monitoring', or stop what uses it",
        ) from error
    listening.daemon_threads = True
    return listening
