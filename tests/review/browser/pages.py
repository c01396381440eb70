"""Reading and correcting in the browser, as a person would."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.browser import PATIENCE_MS

READER = "Dr Adams"
DESK = {"width": 1440, "height": 900}


class Server:
    """``lungscore review`` in a process of its own."""

    def __init__(self, results: Path, scans: Path, *more: str) -> None:
        command = [sys.executable, "-m", "lungscore", "review", str(results)]
        command += ["--scans", str(scans), "--no-browser", "--port", "0", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = ""
        for line in self.process.stdout:
            if address := re.search(r"http://\S+", line):
                self.address = address.group().rstrip("/")
                break
        assert self.address, "the server did not start"

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it as its user does."""
        self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def tab_at(
    browser: Any,
    server: Server,
    reader: str = READER,
    size: dict[str, int] = DESK,
    refusals: bool = False,
    **more: Any,
) -> Iterator[Any]:
    """The list of cases in a window; an error of a page or a request elsewhere ends the test.

    refusals: the server may say no, of which the browser writes a line.
    """
    context = browser.new_context(viewport=size, **more)
    context.add_init_script(
        f"try {{ localStorage.getItem('lungscore-reader') ?? "
        f"localStorage.setItem('lungscore-reader', {reader!r}); }} catch {{}}"
    )
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []

    def note(message: Any) -> None:
        if not (refusals and "Failed to load resource" in message.text):
            faults.append(message.text)

    tab.on("console", note)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "request",
        lambda request: (
            faults.append(request.url)
            if not request.url.startswith((server.address, "data:", "blob:"))
            else None
        ),
    )
    tab.goto(f"{server.address}/")
    yield tab
    context.close()
    assert faults == [], faults


def open_case(tab: Any, name: str) -> "Reading":
    """Open a case from the list."""
    tab.click(f"#cases a:text-is('{name}')")
    return Reading(tab)


class Reading:
    """A case on the screen. actions: what a person has done to it, by hand or by key."""

    def __init__(self, tab: Any) -> None:
        self.tab, self.actions = tab, 0
        tab.wait_for_selector("body[data-ready]")
        self.axial = tab.locator("#desk [data-plane=axial]")

    def settle(self) -> None:
        """Wait until the server has answered all edits and counted all numbers."""
        self.tab.wait_for_selector("body[data-ready]:not([data-busy])")
        self.tab.wait_for_selector("#numbers[aria-busy=false]", state="attached")

    @property
    def version(self) -> int:
        """The version of the masks."""
        self.settle()
        return int(self.tab.get_attribute("body", "data-version"))

    @property
    def note(self) -> str:
        """What the last edit did."""
        self.settle()
        return str(self.tab.inner_text("#edit-note"))

    def shown(self, plane: str = "axial") -> str:
        """Plane and index, once drawn."""
        self.tab.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return str(self.tab.get_attribute(f"#desk [data-plane={plane}]", "data-shown"))

    def press(self, *keys: str) -> None:
        """Press keys, one action each."""
        for key in keys:
            self.tab.keyboard.press(key)
            self.actions += 1

    def go(self, z: int) -> None:
        """Put the slider on a slice."""
        if self.shown() == f"axial {z}":
            return
        script = """(z) => { const slider = document.querySelector('#slice'); slider.value = z + 1;
            slider.dispatchEvent(new Event('input')); }"""
        self.tab.evaluate(script, z)
        self.actions += 1
        assert self.shown() == f"axial {z}"

    def place(
        self, y: float, x: float, shape: tuple[int, int], mm: tuple[float, float]
    ) -> tuple[float, float]:
        """Where a pixel of the axial picture is on the screen."""
        box = self.axial.bounding_box()
        (rows, columns), (tall, wide) = shape, mm
        per_mm = min(box["width"] / (columns * wide), box["height"] / (rows * tall))
        across = (x + 0.5 - columns / 2) * wide * per_mm + box["width"] / 2
        down = (y + 0.5 - rows / 2) * tall * per_mm + box["height"] / 2
        return box["x"] + across, box["y"] + down

    def click(self, point: tuple[float, float]) -> None:
        """Click on the screen."""
        self.tab.mouse.click(*point)
        self.actions += 1

    def drag(self, *points: tuple[float, float]) -> None:
        """Press at the first point, go to the others, let go."""
        self.tab.mouse.move(*points[0])
        self.tab.mouse.down()
        for point in points[1:]:
            self.tab.mouse.move(*point, steps=6)
        self.tab.mouse.up()
        self.actions += 1

    def numbers(self) -> dict[str, object]:
        """The numbers of the panel, to their last digit, by their path."""
        self.settle()
        script = """() => Object.fromEntries([...document.querySelectorAll('#numbers .now')]
            .map((cell) => [cell.dataset.path, cell.dataset.value]))"""
        texts: dict[str, str] = self.tab.evaluate(script)
        return {path: json.loads(text) for path, text in texts.items()}

    def judge(self, verdict: str, comment: str = "") -> None:
        """Give a verdict and wait until it is saved."""
        self.settle()
        self.tab.check(f"[name=verdict][value={verdict}]")
        self.tab.fill("#comment", comment)
        self.tab.click("#save")
        self.tab.wait_for_selector("#next-case:visible", timeout=60_000)
