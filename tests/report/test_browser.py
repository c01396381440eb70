"""The report in a browser: it opens from the disk, whole, without an error or the network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ci

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the demonstration."""
    if CHROMIUM is None:
        pytest.skip("no browser is here: install chromium")
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "lungscore", "demo", "--out", str(out / "cases")]
    subprocess.run(command, check=True, capture_output=True)
    (page,) = out.glob("cases/*/report.html")
    return page


def opened(page: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """The page opened without a screen and without any name that could be looked up."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ]
    command += [f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--enable-logging=stderr", *flags, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


def test_the_report_opens_without_an_error(report: Path, tmp_path: Path) -> None:
    done = opened(report, tmp_path, "--dump-dom")
    assert "CT-SS" in done.stdout
    assert not [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def test_the_report_asks_for_nothing_but_its_own_folder(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    asked = re.findall(r"""(?:src|href)=["']([^"'#]+)""", text)
    missing = [
        name
        for name in asked
        if not name.startswith("data:") and not (report.parent / name).is_file()
    ]
    assert missing == []
    assert "http" not in "".join(asked)


def test_the_report_prints_on_paper(report: Path, tmp_path: Path) -> None:
    paper = tmp_path / "report.pdf"
    opened(report, tmp_path / "profile", f"--print-to-pdf={paper}")
    assert paper.read_bytes().startswith(b"%PDF")
    assert os.path.getsize(paper) > 20_000
