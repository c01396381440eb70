"""A real browser for the tests of pages: Debian's chromium, driven by playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

#: Where npm has put axe-core, whose rules judge whether everybody can use a page.
#: A loaded machine draws slowly; no test waits for a page that does not come.
PATIENCE_MS = 120_000
AXE = Path(__file__).parents[1] / "node_modules" / "axe-core" / "axe.min.js"

LAPTOP, PHONE = {"width": 1440, "height": 820}, {"width": 390, "height": 844}


@contextmanager
def browser() -> Iterator[Any]:
    """The browser, which reaches this computer alone; or a skip that says what is missing."""
    if CHROMIUM is None:
        pytest.skip("no browser is here: install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # The sandbox of chromium refuses to run as root.
    rules = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    flags = [f"--host-resolver-rules={rules}", "--disable-dev-shm-usage"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@contextmanager
def opened(browser: Any, page: Path, size: dict[str, int] = LAPTOP, **more: Any) -> Iterator[Any]:
    """A page from the disk in a window of ``size``; any error or request ends the test."""
    context = browser.new_context(viewport=size, **more)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    tab.on("console", lambda message: faults.append(message.text))
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "request",
        lambda request: (
            faults.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    tab.goto(page.as_uri())
    yield tab
    context.close()
    assert faults == []


def wait_until(tab: Any, expression: str, *, seconds: float = 30) -> None:
    """Until a page says that ``expression`` is true.

    Playwright's own waiting evaluates text within the page, which a strict content security policy
    forbids as soon as it has to be done twice.
    """
    for _ in range(round(seconds / 0.05)):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(50)
    raise AssertionError(f"{expression} was not true within {seconds} s")


def violations(tab: Any) -> list[str]:
    """What axe-core objects to on a page."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm install --no-save axe-core")
    # Evaluated beside the page: its own policy lets no script of others run in it.
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    rules = tab.evaluate("() => axe.run().then((found) => found.violations)")
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in rules
        for node in rule["nodes"]
    ]


def cut_off(tab: Any) -> list[str]:
    """Elements that reach out of the window, or hold more than they show.

    Regions that scroll by themselves are passed over, if the keyboard reaches them, and texts for
    those who listen, of class ``unseen``.
    """
    script = """() => [...document.querySelectorAll('body *')].filter((element) =>
        element.getBoundingClientRect().right > innerWidth + 1
        || (element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
            && !['inline', 'contents'].includes(getComputedStyle(element).display)
            && !element.closest('svg, .unseen')))
        .filter((element) => !element.closest('[role=region][tabindex="0"]'))
        .map((element) => `${element.tagName}.${element.className}`)"""
    names: list[str] = tab.evaluate(script)
    return names
