"""lungscore detection and lungscore clinical, from files to files."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lungscore.cli.main import call
from lungscore.patients.stored import ClinicalModel, Detector, read_model
from made_up_patients import write_generated
from tests.patients.made_up import COVARIATES, made

pytestmark = pytest.mark.studies

SHARES = {"second_scans": 0.15, "suspected": 0.05, "missing": 0.05}
LABELS = ("--infected", "NCP", "--clean", "Normal")
TABLE_OPTIONS = ("--covariates", "age,sex,crp")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    write_generated(made("detection", 120, 8, second_scans=0.15, suspected=0.05), folder)
    return folder


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("patients")
    write_generated(made("clinical", 180, 8, **SHARES), folder)
    return folder


def run(command: str, step: str, folder: Path, *options: object) -> int:
    given = [folder / "cases.csv", "--results", folder / "results", *options]
    return call([command, step, *map(str, given)])


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_detection_from_results_to_a_table(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, figures, table = (tmp_path / n for n in ("mine.json", "figures.json", "table.csv"))
    assert run("detection", "train", scans, *LABELS, "-o", path) == 0
    output = capsys.readouterr().out
    suspected = sum(
        c.label == "Suspected"
        for c in made("detection", 120, 8, second_scans=0.15, suspected=0.05).cases
    )
    assert f"{suspected}  [label-not-used]" in output
    assert f"(Suspected {suspected})" in output
    assert "Research use only" in output
    detector, _ = read_model(path, Detector)
    assert detector.name == "mine"
    assert str(tmp_path) not in path.read_text()

    assert run("detection", "evaluate", scans, *LABELS, "-o", figures) == 0
    report = content(figures)
    assert report["command"] == "lungscore detection evaluate"
    assert report["seed"] == 20200414
    same = {key: report[key] for key in detector.cross_validated}
    assert same == detector.cross_validated
    assert report["left_out"]["label-not-used"]["labels"] == {"Suspected": suspected}

    capsys.readouterr()
    results = str(scans / "results")
    assert call(["detection", "apply", str(path), results, "-o", str(table)]) == 0
    found_rows = rows(table)
    assert len(found_rows) == len(list((scans / "results").iterdir()))
    for row in found_rows:
        reached = float(row["probability"]) >= detector.operating_point
        assert row["infection_pattern"] == ("yes" if reached else "no")


def test_a_detector_is_judged_on_other_patients(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "mine.json"
    assert run("detection", "train", scans, *LABELS, "-o", path, "--name", "ours") == 0
    write_generated(made("detection", 60, 21), tmp_path)
    capsys.readouterr()
    assert run("detection", "evaluate", tmp_path, *LABELS, "--detector", path, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["how"], report["detector"], report["patients"]) == ("applied", "ours", 60)


@pytest.mark.slow
def test_clinical_from_results_to_a_table(
    patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path, figures, table = (tmp_path / n for n in ("mine.json", "figures.json", "table.csv"))
    covariates = ("--table", patients / "patients.csv", *TABLE_OPTIONS)
    assert run("clinical", "train", patients, *covariates, "-o", path) == 0
    output = capsys.readouterr().out
    for reason in ("label-not-used", "no-covariate", "milder-scan"):
        assert f"[{reason}]" in output
    assert "log odds of a graver class" in output
    model, _ = read_model(path, ClinicalModel)
    assert model.covariates == list(COVARIATES)

    assert run("clinical", "evaluate", patients, *covariates, "-o", figures) == 0
    report = content(figures)
    assert {key: report[key] for key in model.cross_validated} == model.cross_validated
    left_out = report["left_out"]
    used = report["patients"]
    cases = made("clinical", 180, 8, **SHARES).cases
    assert used + sum(reason["n"] for reason in left_out.values()) == len(cases)

    command = ["clinical", "apply", str(path), str(patients / "results"), "-o", str(table)]
    given = ["--table", str(patients / "patients.csv"), "--cases", str(patients / "cases.csv")]
    assert call([*command, *given]) == 0
    found_rows = rows(table)
    assert len(found_rows) == len(cases)
    missing = {
        p for p, v in made("clinical", 180, 8, **SHARES).covariates.items() if v["crp"] is None
    }
    for row in found_rows:
        if row["patient"] in missing:
            assert (row["likeliest_class"], row["reason"]) == ("", "no-covariate")
            continue
        chances = {name: float(row[f"probability_{name}"]) for name in model.classes}
        assert sum(chances.values()) == pytest.approx(1, abs=1e-4)
        assert row["likeliest_class"] == max(chances, key=lambda name: chances[name])
        severe = chances["severe"] + chances["critical"]
        assert float(row["probability_severe_or_critical"]) == pytest.approx(severe, abs=1e-4)


@pytest.mark.slow
def test_a_clinical_model_is_judged_on_other_patients(
    patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "mine.json"
    assert run("clinical", "train", patients, "-o", path) == 0
    write_generated(made("clinical", 100, 33), tmp_path)
    capsys.readouterr()
    assert run("clinical", "evaluate", tmp_path, "--model", path, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["how"], report["model"], report["patients"]) == ("applied", "mine", 100)
    assert run("clinical", "evaluate", patients, "--model", path) == 2
    assert "trained on these very cases" in capsys.readouterr().err


def test_other_spellings_are_mapped(
    patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    labels = "Control=none, Mild=none, Regular=none, Severe=severe, Critically ill=severe"
    options = ("--labels", labels, "--classes", "none,severe", "--json")
    assert run("clinical", "evaluate", patients, *options) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["patients_by_class"]) == ["none", "severe"]


@pytest.mark.slow
def test_applying_needs_neither_scikit_learn_nor_statsmodels(
    scans: Path, patients: Path, tmp_path: Path
) -> None:
    detector, model = tmp_path / "detector.json", tmp_path / "model.json"
    assert run("detection", "train", scans, *LABELS, "-o", detector) == 0
    assert run("clinical", "train", patients, "-o", model) == 0
    a, b = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    code = f"""
import sys
for name in ("sklearn", "statsmodels", "pandas"):
    sys.modules[name] = None
from lungscore.cli.main import call
for arguments in (
    ["detection", "apply", {str(detector)!r}, {str(scans / "results")!r}, "-o", {a!r}],
    ["clinical", "apply", {str(model)!r}, {str(patients / "results")!r}, "-o", {b!r}],
):
    assert call(arguments) == 0
assert call(["detection", "train", {str(scans / "cases.csv")!r}, "--results",
    {str(scans / "results")!r}, "--infected", "NCP", "--clean", "Normal", "-o", "x.json"]) == 4
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "a.csv")) > 100
    assert 'pip install "lungscore[study]"' in done.stderr


def test_the_help_says_that_no_clinical_model_is_shipped(capsys: pytest.CaptureFixture) -> None:
    assert call(["clinical", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "No clinical model is shipped" in text


@pytest.mark.parametrize(
    ("command", "options", "code", "told"),
    [
        ("detection", ("--infected", "NCP", "--clean", "NCP"), 2, "NCP is both"),
        ("detection", ("--infected", "NCP", "--clean", " ,"), 2, "A class has no label"),
        ("detection", ("--infected", "COVID", "--clean", "Normal"), 3, "[too-few-patients]"),
        ("detection", (*LABELS, "--features", "ct-ss"), 2, "Unknown feature: ct-ss"),
        ("detection", (*LABELS, "--group", "test"), 3, "it contains no case of test"),
        ("clinical", (*TABLE_OPTIONS,), 2, "Covariates are named, but no table is given"),
        ("clinical", ("--table", "x.csv"), 2, "A table is given, but no covariates are named"),
        ("clinical", ("--table", "x.csv", *TABLE_OPTIONS), 3, "[input-not-found]"),
        ("clinical", ("--labels", "Mild"), 2, "Invalid labels: 'Mild'"),
        ("clinical", ("--labels", "Mild=mild,Mild=none"), 2, "Invalid labels: "),
        ("clinical", ("--labels", "Mild=awful"), 2, "A label is mapped to awful"),
        ("clinical", ("--classes", "none,severe,mild"), 2, "Invalid classes: "),
        ("clinical", ("--features", "infection_percent,ct_ss", "--classes", "none,critical"),
         3, "[too-few-patients]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    scans: Path,
    command: str,
    options: tuple,
    code: int,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    out = tmp_path / "model.json"
    assert run(command, "train", scans, *options, "-o", out) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not out.exists()


def test_numbers_that_say_the_same_are_refused_in_a_clinical_model(
    patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    table = tmp_path / "twice.csv"
    lines = (patients / "patients.csv").read_text().splitlines()
    names = [line.split(",")[0] for line in lines[1:]]
    ages = [30 + 3 * number % 50 for number in range(len(names))]
    text = [f"{name},{age},{12 * age + 3}" for name, age in zip(names, ages, strict=True)]
    table.write_text("\n".join(["patient,age,months", *text]))
    options = ("--table", table, "--covariates", "age,months")
    assert run("clinical", "train", patients, *options, "-o", tmp_path / "m.json") == 3
    assert "[model-not-identified]" in capsys.readouterr().err


def test_what_is_there_is_kept_unless_told_otherwise(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "mine.json"
    path.write_text("mine")
    assert run("detection", "train", scans, *LABELS, "-o", path) == 2
    assert "[output-exists]" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert run("detection", "train", scans, *LABELS, "-o", path, "--overwrite") == 0
    assert read_model(path, Detector)[0].name == "mine"
    assert run("detection", "evaluate", scans, *LABELS, "-o", tmp_path, "--overwrite") == 2


@pytest.mark.slow
def test_the_same_cases_give_the_same_bytes(patients: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "m.json", tmp_path / "b" / "m.json"]
    for path in paths:
        assert run("clinical", "train", patients, "-o", path) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_result_without_a_case_and_a_case_without_a_result_are_named(
    scans: Path, tmp_path: Path
) -> None:
    write_generated(made("detection", 80, 2), tmp_path)
    results = tmp_path / "results"
    (results / "P00003-1" / "result.json").unlink()
    stranger = results / "stranger"
    stranger.mkdir()
    text = (results / "P00004-1" / "result.json").read_text()
    (stranger / "result.json").write_text(text.replace("P00004-1", "stranger"))
    unsuitable = content(results / "P00005-1" / "result.json")
    unsuitable["severity"]["withheld"] = ["truncated-scan"]
    (results / "P00005-1" / "result.json").write_text(json.dumps(unsuitable))
    out = tmp_path / "figures.json"
    assert run("detection", "evaluate", tmp_path, *LABELS, "-o", out) == 0
    left_out = content(out)["left_out"]
    assert {reason: group["cases"] for reason, group in left_out.items()} == {
        "no-result": ["P00003-1"],
        "unsuitable-scan": ["P00005-1"],
        "not-in-table": ["stranger"],
    }


def test_a_damaged_result_is_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write_generated(made("detection", 30, 2), tmp_path)
    path = tmp_path / "results" / "P00003-1" / "result.json"
    path.write_text(path.read_text().replace('"burden"', '"burdn"'))
    assert run("detection", "evaluate", tmp_path, *LABELS) == 3
    assert "[case-damaged] P00003-1/result.json is damaged" in capsys.readouterr().err


def test_seeds_part_the_patients(scans: Path, capsys: pytest.CaptureFixture) -> None:
    areas = []
    for seed in ("1", "1", "2"):
        assert run("detection", "evaluate", scans, *LABELS, "--seed", seed, "--json") == 0
        areas.append(json.loads(capsys.readouterr().out)["auc"]["value"])
    assert areas[0] == areas[1] != areas[2]
    assert np.isfinite(areas).all()
