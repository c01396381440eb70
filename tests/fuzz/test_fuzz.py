"""The fuzzer itself: the same inputs again, findings that are found, a short run without any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


def fuzz(
    *arguments: str, code: str | None = None, **environment: str
) -> subprocess.CompletedProcess:
    command = [sys.executable, str(FUZZ)] if code is None else [sys.executable, "-c", code]
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | environment,
    )


SAME = f"""
import hashlib, sys
sys.path.insert(0, {str(FUZZ.parent)!r})
import fuzz
for reader in ("nrrd", "zip", "table", "manifest-csv"):
    seeds = fuzz.SEEDS[reader]()
    for number in range(40):
        files = fuzz.draw(reader, 7, number, seeds)
        text = repr(sorted(files.items())).encode()
        print(reader, number, hashlib.sha256(text).hexdigest())
"""


@pytest.mark.slow
def test_a_seed_and_a_number_are_an_input() -> None:
    first, second = (fuzz(code=SAME, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first.stdout == second.stdout
    assert len(set(line.split()[-1] for line in first.stdout.splitlines())) > 100


@pytest.mark.slow
def test_a_reader_that_fails_is_a_finding(tmp_path: Path) -> None:
    broken = f"""
import sys
sys.path.insert(0, {str(FUZZ.parent)!r})
import fuzz
import lungscore.agreement.ratings as ratings
def fail(*_):
    raise ZeroDivisionError
ratings.read_table = fail
from pathlib import Path
fuzz.work("table", 1, 0, 20, 60.0, Path({str(tmp_path / "progress")!r}))
"""
    content = json.loads(fuzz(code=broken).stdout)
    assert any("ZeroDivisionError" in signature for signature in content["findings"])


@pytest.mark.slow
def test_a_short_run_has_no_findings(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = fuzz("--inputs", "500", "--seed", "15", "--out", str(report))
    content = json.loads(report.read_text())
    assert content["findings"] == {}, done.stdout
    assert done.returncode == 0
    assert all(count > 0 for count in content["inputs"].values())
