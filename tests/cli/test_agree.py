"""lungscore agree, from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import pytest

from lungscore.cli.main import call
from lungscore.scan.phantom import Phantom
from lungscore.statistics import bootstrap

pytestmark = pytest.mark.studies

PRESETS = ("healthy", "mild", "moderate", "severe")


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals have tests of their own."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, small_phantom: Callable[[str], Phantom]
) -> Path:
    """Results of phantoms, scored from their own masks."""
    folder = tmp_path_factory.mktemp("agree")
    for preset in PRESETS:
        phantom, options = small_phantom(preset), []
        for name in ("lungs", "lesions", "lobes"):
            labels = phantom.scan.geometry.to_source(getattr(phantom, name)).copy()
            path = folder / "masks" / preset / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(labels, phantom.scan.geometry.affine), path)
            options += [f"--{name}", str(path)]
        assert call(["score", *options, "-o", str(folder / "out"), "--case-id", preset]) == 0
    return folder / "out"


@pytest.mark.slow
def test_a_folder_agrees_with_itself(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    capsys.readouterr()
    out = tmp_path / "agreement"
    assert call(["agree", str(results), str(results), "-o", str(out), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    content = json.loads(line)
    assert content == json.loads((out / "agreement.json").read_text("utf-8"))
    assert content["cases"]["names"] == sorted(PRESETS)
    measured = {name: m for name, m in content["measures"].items() if m["n"]}
    assert {"infection_percent", "ct_ss", "mosmed", "category", "RUL ctsi"} <= set(measured)
    for measure in measured.values():
        limits = measure["bland_altman"]
        if measure["kind"] != "class":
            assert limits["bias"]["value"] == limits["upper_limit"]["value"] == 0
        for key in ("icc_2_1", "icc_3_1", "kappa_linear", "kappa_quadratic", "spearman"):
            assert measure[key]["value"] == 1 or measure[key]["reason"]
    for name in ("infection_percent", "ct_ss"):
        assert measured[name]["icc_2_1"]["value"] == measured[name]["spearman"]["value"] == 1
    assert measured["ct_ss"]["kappa_quadratic"]["value"] == 1


def test_a_reader_is_compared_with_results(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    ours = {
        preset: json.loads((results / preset / "result.json").read_text("utf-8"))
        for preset in PRESETS
    }
    lines = [f"{case},{ours[case]['burden']['infection_percent'] + 2}" for case in PRESETS]
    table = tmp_path / "reader.csv"
    table.write_text("\n".join(["case,infection_percent", *lines, "other,3"]))
    command = ["agree", str(table), str(results), "-o", str(tmp_path / "out")]
    capsys.readouterr()
    assert call([*command, "--name-b", "lungscore"]) == 0
    text = capsys.readouterr().out
    assert "bias is reader − lungscore" in text
    assert "infection_percent  4  2.00 %  2.00 to 2.00" in text
    assert "cases-unmatched: Left out: 1 case only in reader: other." in text
    assert f"Report: {tmp_path / 'out' / 'report.html'}" in text
    assert call(command) == 2
    assert "error [output-exists]" in capsys.readouterr().err
    assert call([*command, "--overwrite"]) == 0


def test_what_cannot_be_compared_is_rejected_and_nothing_is_written(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    table = tmp_path / "reader.csv"
    table.write_text("case,ct_ss\nmild,3\nmoderate,4\n")
    for a, code in (
        (table, "too-few-cases"),
        (results / "mild", "too-few-cases"),
        (tmp_path / "nothing", "input-not-found"),
    ):
        assert call(["agree", str(a), str(results), "-o", str(out)]) == 3
        assert f"error [{code}]" in capsys.readouterr().err
    table.write_text("case,ct_ss\nmild,3\nmild,4\n")
    assert call(["agree", str(table), str(results), "-o", str(out)]) == 3
    assert "error [table-invalid] reader.csv, line 3" in capsys.readouterr().err
    assert not out.exists()


def _table(folder: Path, name: str, *scores: int) -> str:
    rows = [f"P{case},{score}" for case, score in enumerate(scores)]
    path = folder / f"{name}.csv"
    path.write_text("\n".join(["case,mosmed", *rows]))
    return str(path)


def test_three_raters_are_compared_together_and_in_pairs(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    scores = ((0, 1, 2, 3, 4), (0, 1, 2, 3, 3), (1, 1, 2, 3, 4))
    tables = [_table(tmp_path, f"t{number}", *given) for number, given in enumerate(scores)]
    out = tmp_path / "out"
    names = ["--name", "first", "--name", "second", "--name", "third"]
    assert call(["agree", *tables, "-o", str(out), *names]) == 0
    text = capsys.readouterr().out
    assert "first, second and third, 5 cases" in text
    content = json.loads((out / "agreement.json").read_text("utf-8"))
    assert [rater["name"] for rater in content["raters"].values()] == ["first", "second", "third"]
    assert content["measures"]["mosmed"]["pairs"].keys() == {"a-b", "a-c", "b-c"}
    pair = json.loads((out / "pairs" / "b-c" / "agreement.json").read_text("utf-8"))
    assert pair["raters"]["b"]["name"] == "third"
    assert call(["agree", *tables, "-o", str(tmp_path / "json"), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert [rater["name"] for rater in json.loads(line)["raters"].values()] == ["t0", "t1", "t2"]


def test_raters_and_names_that_do_not_fit_together_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    table = _table(tmp_path, "t", 0, 1, 2)
    for words, told in (
        ([table], "Raters given: 1"),
        ([table] * 11, "Raters given: 11"),
        ([table, table, "--name", "x"], "times --name was given: 1"),
        ([table, table, "--name", "x", "--name", "y", "--name-a", "z"], "exclude each other"),
    ):
        assert call(["agree", *words, "-o", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert "error [usage]" in error
        assert told in error
    assert not (tmp_path / "out").exists()
