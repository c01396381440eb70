"""How fast the page of ``lungscore review`` scrolls through a large scan.

    python experiments/speed/review_scroll.py -o benchmarks/results/review-scroll.json

The pages are those of the package, in a real browser (playwright, chromium) in a window of
1440 × 900; the answers of the server are made up here, so that the page alone is measured: 300
slices of 512 × 512 with two lungs and opacity in them. The wheel is turned by one notch a frame
after the whole scan has arrived. ``frames_per_second`` is by the clock and needs a computer with
nothing else to do; ``cpu_seconds_per_slice`` is what the page's process used.
"""

import argparse
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

import lungscore.review
from host import commit, host

STATIC = Path(lungscore.review.__file__).parent / "static"
SHAPE, BLOCK = (300, 512, 512), 8
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

_SCROLL = """async (notches) => {
    const view = document.querySelector('#desk [data-plane=axial]');
    const slider = document.querySelector('#slice');
    slider.value = 1;
    slider.dispatchEvent(new Event('input'));
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    await frame();
    const shown = new Set();
    const started = performance.now();
    for (let i = 0; i < notches; i += 1) {
        view.dispatchEvent(new WheelEvent('wheel', { deltaY: 100, cancelable: true }));
        await frame();
        if (!view.hasAttribute('data-missing')) shown.add(view.dataset.shown);
    }
    return [shown.size, (performance.now() - started) / 1000];
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--browser", default="/usr/bin/chromium", help="path of chromium")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=arguments.browser, args=flags)
        result = {
            "command": "python experiments/speed/review_scroll.py",
            "commit": commit(),
            "host": host(),
            "browser": browser.version,
            "shape": list(SHAPE),
            **scrolled(browser),
        }
        browser.close()
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def scrolled(browser: Browser) -> dict[str, Any]:
    """Slices drawn, seconds, and what follows from them."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    server = _server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page.add_init_script("localStorage.setItem('lungscore-reader', 'Reader')")
    page.goto(f"http://127.0.0.1:{server.server_port}/case#1")
    page.wait_for_selector(f"body[data-ready][data-slices='{SHAPE[0]}']", timeout=600_000)
    before = _cpu_seconds(browser)
    drawn, seconds = page.evaluate(_SCROLL, SHAPE[0] - 1)
    used = _cpu_seconds(browser) - before
    return {
        "slices_drawn": drawn,
        "seconds": round(seconds, 3),
        "frames_per_second": round(drawn / seconds, 1),
        "cpu_seconds_per_slice": round(used / drawn, 4),
        "canvas": _canvas(page),
    }


def _canvas(page: Page) -> list[int]:
    """Width and height of the axial plane in pixels of the screen."""
    script = """() => { const { width, height } = document.querySelector('#desk .main canvas');
        return [width, height]; }"""
    size: list[int] = page.evaluate(script)
    return size


def _cpu_seconds(browser: Browser) -> float:
    """Processor time that the processes of pages have used."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(process["cpuTime"] for process in processes if process["type"] == "renderer")


def _server() -> ThreadingHTTPServer:
    """What answers instead of a server."""
    lungs, lesions = _masks()
    noise = np.random.default_rng(0).normal(0, 40, (BLOCK, *SHAPE[1:]))
    block = (np.where(lungs[SHAPE[0] // 2] > 0, -850, 40) + noise).astype("<i2")
    bodies = {name: _zipped(labels) for name, labels in (("lungs", lungs), ("lesions", lesions))}
    opened, session = json.dumps(_opened(lesions)).encode(), json.dumps(_SESSION).encode()
    first, last = _zipped(block), _zipped(block[: SHAPE[0] % BLOCK or BLOCK])
    blocks = -(-SHAPE[0] // BLOCK)

    class Answers(BaseHTTPRequestHandler):
        """Every GET and POST that the page of a case makes."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            name = path.rsplit("/", 1)[-1]
            if path.startswith("/static/") or path == "/case":
                file = STATIC / ("case.html" if path == "/case" else name)
                self._send(file.read_bytes(), _TYPES[file.suffix])
            elif "/labels/" in path or "/ct/" in path:
                body = bodies.get(name) or (last if int(name) == blocks - 1 else first)
                self._send(body, "application/octet-stream", zipped=True)
            else:
                self._send(session if name == "session" else b"{}", "application/json")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = opened if self.path.endswith("/open") else b'{"version": 0}'
            self._send(body, "application/json")

        def log_message(self, *words: object) -> None:
            """Say nothing."""

        def _send(self, body: bytes, kind: str, zipped: bool = False) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if zipped:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", 0), Answers)


def _zipped(values: np.ndarray) -> bytes:
    return gzip.compress(values.tobytes(), 1)


def _masks() -> tuple[np.ndarray, np.ndarray]:
    """Two ellipsoids of lung, and a ball of opacity with a dense core in each."""
    z, y, x = (np.linspace(-1, 1, length, dtype=np.float32) for length in SHAPE)
    z, y = z[:, None, None], y[None, :, None]
    lungs, lesions = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    for label, centre in ((1, -0.45), (2, 0.45)):
        across = (x - centre)[None, None, :]
        lungs[(z / 0.95) ** 2 + (y / 0.7) ** 2 + (across / 0.36) ** 2 < 1] = label
        for kind, radius in ((1, 0.25), (2, 0.12)):
            lesions[(z / 3) ** 2 + y**2 + across**2 < radius**2] = kind
    return lungs, lesions * (lungs > 0)


_SESSION = {
    "csrf": "",
    "version": "",
    "reader": "Reader",
    "blinded": True,
    "readers": [],
    "research_use": "Research use only",
}


def _opened(lesions: np.ndarray) -> dict[str, Any]:
    """What the server says of a case that was opened."""
    counts = [[int((plane == 1).sum()), int((plane == 2).sum())] for plane in lesions]
    state = {
        "version": 0,
        "undo": 0,
        "redo": 0,
        "edits": 0,
        "saved": None,
        "numbers": {},
        "pending": False,
        "slice_percent": [],
        "slice_lesion_voxels": counts,
        "changed_slices": [],
        "seconds": 0,
    }
    case = {
        "case": "phantom",
        "shape": list(SHAPE),
        "spacing_mm": [1.0, 0.7, 0.7],
        "units": "hu",
        "has_ct": True,
        "no_ct_reason": None,
        "ct": {"dtype": "int16", "block": BLOCK, "blocks": -(-SHAPE[0] // BLOCK)},
        "window": [-1350, 150],
        "layers": ["lesions", "lungs"],
        "warnings": [],
        "numbers": [],
    }
    return {"session": "1", "state": state, "case": case, "resumed": False, "recovered_edits": 0}


if __name__ == "__main__":
    main()
