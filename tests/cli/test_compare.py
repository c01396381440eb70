"""lungscore compare."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lungscore.cli.main import call
from lungscore.followup import Comparison
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.write import write_nifti

pytestmark = pytest.mark.studies


@pytest.fixture(scope="module")
def scans(
    tmp_path_factory: pytest.TempPathFactory, small_phantom: Callable[[str], Phantom]
) -> dict[str, Path]:
    """One phantom patient, severely and mildly ill."""
    folder = tmp_path_factory.mktemp("scans")
    paths = {preset: folder / f"{preset}.nii.gz" for preset in ("severe", "mild")}
    for preset, path in paths.items():
        write_nifti(small_phantom(preset).scan, path)
    return paths


@pytest.fixture(scope="module")
def case(
    scans: dict[str, Path], stand_in_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The severe scan as ``lungscore analyze`` wrote it."""
    out = tmp_path_factory.mktemp("cases")
    assert (
        call(["analyze", str(scans["severe"]), "-o", str(out), "--model", str(stand_in_model)]) == 0
    )
    return out / "severe"


@pytest.fixture
def compare(stand_in_model: Path, tmp_path: Path) -> Callable[..., int]:
    def command(*arguments: object) -> int:
        given = [str(argument) for argument in arguments]
        return call(["compare", *given, "-o", str(tmp_path), "--model", str(stand_in_model)])

    return command


@pytest.mark.slow
def test_a_folder_and_a_scan_become_a_report(
    compare, case: Path, scans: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert compare(case, scans["mild"], "--earlier-ct", scans["severe"]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "severe-to-mild"
    assert "Opacity fell from" in out
    assert f"Report: {folder / 'report.html'}" in out
    content = Comparison.model_validate_json((folder / "comparison.json").read_bytes())
    assert content.changes["scores.ct_ss.total"].direction == "less"
    assert content.warnings == []
    assert "Shown: CT in the lung window" in (folder / "report.html").read_text("utf-8")


def test_json_is_one_line(compare, case: Path, scans, tmp_path, capsys) -> None:
    assert compare(scans["mild"], case, "--json", "--case-id", "relapse") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == json.loads((tmp_path / "relapse" / "comparison.json").read_text())
    assert json.loads(line)["changes"]["burden.infection_percent"]["direction"] == "more"


@pytest.mark.slow
def test_an_existing_comparison_is_refused_before_any_analysis(
    compare, case: Path, scans, tmp_path, capsys, monkeypatch
) -> None:
    assert compare(case, case) == 0
    assert "! identical-inputs" in capsys.readouterr().out
    monkeypatch.setattr("lungscore.followup.follow_up.read_case", None)
    assert compare(case, case) == 2
    assert "error [output-exists]" in capsys.readouterr().err
    monkeypatch.undo()
    assert compare(case, case, "--overwrite") == 0


def test_what_is_wrong_has_a_code(compare, case: Path, scans, tmp_path, capsys) -> None:
    for arguments, code, text in (
        ((case, tmp_path / "nothing"), 3, "input-not-found"),
        ((scans["mild"], case, "--earlier-ct", scans["mild"]), 2, "usage"),
        ((case, case, "--later-ct", tmp_path / "nothing"), 3, "input-not-found"),
    ):
        assert compare(*arguments) == code
        assert f"error [{text}]" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/comparison.json"))


def test_a_damaged_folder_is_refused(compare, case: Path, tmp_path, capsys) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "result.json").write_text("{")
    assert compare(case, broken) == 3
    assert "error [case-damaged] result.json of broken" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_model_sees_a_phantom_recover(tmp_path: Path, capsys) -> None:
    for preset in ("severe", "mild"):
        phantom = make_phantom(preset, seed=1, shape=(48, 96, 96))
        write_nifti(phantom.scan, tmp_path / f"{preset}.nii.gz")
    paths = [str(tmp_path / f"{preset}.nii.gz") for preset in ("severe", "mild")]
    assert call(["compare", *paths, "-o", str(tmp_path / "out"), "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    for path in ("burden.infection_percent", "burden.infection_ml", "scores.ct_ss.total"):
        assert changes[path]["direction"] == "less"
    for lobe in ("RUL", "RML", "RLL", "LUL", "LLL"):
        assert changes[f"lobes.{lobe}.infection_percent"]["direction"] == "less"
