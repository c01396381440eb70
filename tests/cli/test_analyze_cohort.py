"""lungscore analyze of a folder of scans or a manifest."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lungscore.batch.case import COHORT_FILES
from lungscore.cli.main import call

Analyze = Callable[..., int]


def test_a_folder_of_scans_is_a_cohort(
    analyze: Analyze, out: Path, phantom_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(phantom_file, scans / "a.nii.gz")
    (scans / "b.nii.gz").write_bytes(b"no scan")
    assert analyze(scans, "--json") == 3
    output = capsys.readouterr()
    first, second = map(json.loads, output.out.splitlines())
    assert first["case"] == "a"
    assert second["error"]["code"] == "format-not-recognised"
    assert "1 of 2 analysed, 1 failed" in output.err
    assert {path.name for path in out.iterdir()} == {
        "a",
        *COHORT_FILES,
    }
    assert analyze(scans) == 2
    assert "error [output-exists]" in capsys.readouterr().err
    arguments = ["agree", str(out), str(out / "cohort.csv"), "-o", str(tmp_path / "agreement")]
    assert call(arguments) == 3  # the table is one of ratings, though one case is too few
    assert "too-few-cases" in capsys.readouterr().err


@pytest.mark.usefixtures("no_network")
def test_what_belongs_to_one_scan_is_refused_for_a_cohort(
    analyze: Analyze, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).write_bytes(bytes(344) + b"n+1\0")
    assert analyze(tmp_path, "--case-id", "x") == 2
    assert "--case-id" in capsys.readouterr().err
    (tmp_path / "manifest.csv").write_text("case\n")
    assert analyze(tmp_path / "manifest.csv", "--group", "test") == 3
    assert "[manifest-invalid]" in capsys.readouterr().err
    assert analyze(tmp_path / "a.nii", "--group", "test") == 2
