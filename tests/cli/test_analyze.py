"""lungscore analyze."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from lungscore.batch import one_case
from lungscore.cli.main import call
from lungscore.result import Result
from lungscore.scan.phantom import Phantom
from lungscore.scan.write import write_dicom_series

Analyze = Callable[..., int]
Phantoms = Callable[[str], Phantom]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"no scan")
    return path


def result_in(folder: Path) -> Result:
    return Result.model_validate_json((folder / "result.json").read_text())


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# One scan


def test_a_scan_becomes_masks_result_and_report(
    analyze: Analyze, out: Path, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(phantom_file, ranges=True) == 0
    folder = out / "chest"
    assert {path.name for path in folder.iterdir()} == {
        "result.json",
        "run.json",
        "report.html",
        "figures",
        "lungs.nii.gz",
        "lobes.nii.gz",
        "regions.nii.gz",
        "lesions.nii.gz",
    }
    result = result_in(folder)
    assert result.case == "chest"
    output = capsys.readouterr()
    assert "CT-SS" in output.out
    assert f"Report: {folder / 'report.html'}" in output.out
    source = nib.load(phantom_file)
    for path in folder.glob("*.nii.gz"):
        mask = nib.load(path)
        assert mask.shape == source.shape
        np.testing.assert_array_equal(mask.affine, source.affine)
    record = json.loads((folder / "run.json").read_text())
    stages = {"read", "lungs", "load model", "lesions", "regions", "ranges", "scores", "write"}
    assert set(record["seconds"]) == stages
    assert record["seconds_total"] == pytest.approx(sum(record["seconds"].values()), abs=0.01)


def test_the_same_scan_gives_the_same_files_again(
    analyze: Analyze, out: Path, phantom_file: Path
) -> None:
    kept = ("result.json", "lungs.nii.gz", "lobes.nii.gz", "regions.nii.gz", "lesions.nii.gz")
    assert analyze(phantom_file) == 0
    before = {name: (out / "chest" / name).read_bytes() for name in kept}
    assert analyze(phantom_file, "--overwrite", "--threads", "2") == 0
    assert {name: (out / "chest" / name).read_bytes() for name in kept} == before


def test_json_is_the_result_on_one_line(
    analyze: Analyze, out: Path, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(phantom_file, "--json", "--case-id", "Ward 7") == 0
    (content,) = lines(capsys.readouterr().out)
    assert content == json.loads((out / "Ward 7" / "result.json").read_text())
    assert content["schema"] == "lungscore.result/1"
    assert content["case"] == "Ward 7"


def test_ranges_are_given_unless_turned_off(
    analyze: Analyze, out: Path, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(phantom_file, ranges=True) == 0
    assert "confidence" in capsys.readouterr().out
    assert result_in(out / "chest").ranges is not None
    assert analyze(phantom_file, "--overwrite") == 0
    assert "confidence" not in capsys.readouterr().out
    assert result_in(out / "chest").ranges is None


def test_own_masks_are_taken(
    analyze: Analyze,
    out: Path,
    phantom_file: Path,
    small_phantom: Phantoms,
    tmp_path: Path,
) -> None:
    phantom, masks = small_phantom("moderate"), {}
    for name in ("lungs", "lobes"):
        labels = phantom.scan.geometry.to_source(getattr(phantom, name)).copy()
        masks[name] = tmp_path / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(labels, nib.load(phantom_file).affine), masks[name])
    assert analyze(phantom_file, "--lungs", masks["lungs"], "--lobes", masks["lobes"]) == 0
    result = result_in(out / "chest")
    assert result.lungs.volume_ml == pytest.approx(phantom.truth["lungs_ml"], abs=1e-3)
    written = np.asarray(nib.load(out / "chest" / "lobes.nii.gz").dataobj)
    np.testing.assert_array_equal(written, np.asarray(nib.load(masks["lobes"]).dataobj))


def test_a_series_with_a_gap_is_rejected_unless_allowed(
    analyze: Analyze,
    out: Path,
    small_phantom: Phantoms,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    write_dicom_series(small_phantom("moderate").scan, tmp_path / "series")
    (tmp_path / "series" / "0008.dcm").unlink()
    assert analyze(tmp_path / "series") == 3
    assert "[slice-gap]" in capsys.readouterr().err
    assert not out.exists()
    assert analyze(tmp_path / "series", "--allow-gaps") == 0
    assert "gaps-interpolated" in {w.code for w in result_in(out / "series").warnings}


def test_the_series_asked_for_is_used(
    analyze: Analyze, out: Path, small_phantom: Phantoms, tmp_path: Path
) -> None:
    from dataclasses import replace

    scan = small_phantom("moderate").scan
    shorter = replace(
        scan,
        values=scan.values[1:].copy(),
        geometry=replace(scan.geometry, shape=(*scan.geometry.shape[:2], scan.shape[0] - 1)),
    )
    write_dicom_series(scan, tmp_path / "study" / "a")
    uid = write_dicom_series(shorter, tmp_path / "study" / "b")
    patient = {}
    for path in sorted((tmp_path / "study").rglob("*.dcm")):  # of one patient and study
        dataset = pydicom.dcmread(path)
        patient = patient or {k: dataset[k].value for k in ("PatientID", "StudyInstanceUID")}
        for keyword, value in patient.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
    assert analyze(tmp_path / "study", "--series", uid) == 0
    result = result_in(out / "study")
    assert result.input.series_uid == uid
    assert result.input.slices == scan.shape[0] - 1
    assert "series-left-out" in {warning.code for warning in result.warnings}


# Several scans


def test_a_rejected_scan_among_others_is_named_and_stops_none(
    analyze: Analyze,
    out: Path,
    phantom_file: Path,
    broken: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    assert analyze(broken, phantom_file, "nothing.nii") == 3
    assert [path.name for path in out.iterdir()] == ["chest"]
    text = capsys.readouterr().err
    assert "1 of 3 analysed" in text
    assert "broken.nii.gz: format-not-recognised" in text
    assert "nothing.nii: input-not-found" in text
    assert "Traceback" not in text


def test_json_gives_one_line_for_each_scan_rejected_or_not(
    analyze: Analyze, phantom_file: Path, broken: Path, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(broken, phantom_file, "--json") == 3
    first, second = lines(capsys.readouterr().out)
    assert first["input"] == "broken.nii.gz"
    assert first["error"]["code"] == "format-not-recognised"
    assert first["error"]["message"]
    assert second["case"] == "chest"


@pytest.mark.usefixtures("no_network")
def test_a_file_name_that_is_no_text_is_printed_all_the_same(
    analyze: Analyze, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    name = os.fsdecode(b"caf\xe9.nii")
    assert analyze(tmp_path / name, "--json") == 3
    (line,) = lines(capsys.readouterr().out)
    assert line["input"] == "caf?.nii"
    assert line["error"]["code"] == "input-not-found"


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("option", ["--case-id", "--series", "--lungs", "--lobes"])
def test_what_belongs_to_one_scan_is_refused_for_several(
    analyze: Analyze, option: str, capsys: pytest.CaptureFixture
) -> None:
    assert analyze("one", "two", option, "x") == 2
    text = capsys.readouterr().err
    assert "error [usage]" in text
    assert option in text


@pytest.mark.usefixtures("no_network")
def test_two_scans_of_one_name_are_refused(
    analyze: Analyze, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(tmp_path / "a" / "ct.nii", tmp_path / "b" / "ct.nrrd") == 2
    assert "--case-id" in capsys.readouterr().err


# Existing outputs


@pytest.mark.usefixtures("no_network")
def test_existing_results_are_kept_unless_told_otherwise(
    analyze: Analyze, out: Path, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    (out / "chest").mkdir(parents=True)
    (out / "chest" / "result.json").write_text("{}")
    assert analyze(phantom_file) == 2
    assert "error [output-exists]" in capsys.readouterr().err
    assert analyze(phantom_file, "--overwrite", "--resume") == 2
    assert (out / "chest" / "result.json").read_text() == "{}"
    assert analyze(phantom_file, "--resume") == 0
    assert "skipped" in capsys.readouterr().out


@pytest.mark.usefixtures("no_network")
def test_a_folder_with_anything_else_is_never_replaced(
    analyze: Analyze, out: Path, phantom_file: Path
) -> None:
    (out / "chest").mkdir(parents=True)
    (out / "chest" / "thesis.txt").write_text("years of work")
    assert analyze(phantom_file, "--overwrite") == 2
    assert (out / "chest" / "thesis.txt").read_text() == "years of work"


# What cannot be done


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["nothing", "nothing.nii.gz", "no/such/folder"])
def test_an_input_that_is_not_there_is_rejected(
    analyze: Analyze, out: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(name) == 3
    text = capsys.readouterr().err
    assert "error [input-not-found]" in text
    assert Path(name).name in text
    assert not out.exists()


@pytest.mark.usefixtures("no_network")
def test_a_file_in_place_of_the_output_folder_is_said_before_any_work(
    analyze: Analyze, out: Path, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    out.write_text("a file")
    assert analyze(phantom_file) == 4
    assert "error [output-not-writable]" in capsys.readouterr().err
    assert out.read_text() == "a file"


@pytest.mark.usefixtures("no_network")
@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_folder_is_said_before_any_work(
    analyze: Analyze, out: Path, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    out.mkdir(mode=0o500)
    assert analyze(phantom_file) == 4
    assert "error [output-not-writable]" in capsys.readouterr().err


def test_a_missing_or_damaged_model_is_a_matter_of_resources(
    out: Path,
    phantom_file: Path,
    stand_in_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    arguments = ["analyze", str(phantom_file), "-o", str(out), "--model"]
    assert call([*arguments, "nobody"]) == 4
    assert "error [model-missing]" in capsys.readouterr().err
    damaged = shutil.copytree(stand_in_model, tmp_path / "damaged")
    (damaged / "model.onnx").write_bytes(b"other")
    assert call([*arguments, str(damaged)]) == 4
    assert "error [model-damaged]" in capsys.readouterr().err
    assert not out.exists()


def test_an_engine_that_is_not_installed_is_a_matter_of_resources(
    analyze: Analyze,
    phantom_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr("lungscore.inference.engines._installed", lambda _: False)
    one_case._segmenter.cache_clear()
    assert analyze(phantom_file, "--engine", "onnxruntime") == 4
    text = capsys.readouterr().err
    assert "error [engine-missing]" in text
    assert "pip install onnxruntime" in text


def test_a_graphics_card_that_is_not_there_is_a_matter_of_resources(
    analyze: Analyze,
    phantom_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    one_case._segmenter.cache_clear()
    assert analyze(phantom_file, "--device", "cuda:1") == 4
    text = capsys.readouterr().err
    assert "error [device-missing]" in text
    assert "cuda:1" in text
    assert analyze(phantom_file, "--device", "tpu") == 2
    assert "error [usage]" in capsys.readouterr().err
    assert analyze(phantom_file, "--device", "cuda", "--engine", "openvino") == 2
    assert "error [device-unsupported]" in capsys.readouterr().err


def test_a_precision_that_the_engine_lacks_is_wrong_usage(
    analyze: Analyze, phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert analyze(phantom_file, "--engine", "onnxruntime", "--precision", "bf16") == 2
    assert "error [precision-unsupported]" in capsys.readouterr().err


def test_debug_shows_the_traceback_of_one_case_among_many(
    phantom_file: Path,
    out: Path,
    broken: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("lungscore.analysis.analyze", wrong)
    arguments = ["analyze", str(phantom_file), str(broken), "-o", str(out)]
    assert call(arguments) == 3
    text = capsys.readouterr().err
    assert "error [not-analysable]" in text
    assert "(ZeroDivisionError at lungscore/batch/one_case.py:" in text
    assert "Traceback" not in text
    assert call(arguments, debug=True) == 3
    assert "ZeroDivisionError: inside" in capsys.readouterr().err


# Privacy


def test_what_a_header_says_about_a_patient_is_nowhere(
    analyze: Analyze,
    out: Path,
    small_phantom: Phantoms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fields = "PatientName PatientID PatientComments InstitutionName StudyDescription".split()
    fields += "SeriesDescription ReferringPhysicianName StationName AccessionNumber".split()
    write_dicom_series(small_phantom("moderate").scan, tmp_path / "series")
    for path in (tmp_path / "series").iterdir():
        dataset = pydicom.dcmread(path)
        for field in fields:
            setattr(dataset, field, "CANARY")
        dataset.save_as(path)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "series")
    (tmp_path / "series" / "0008.dcm").unlink()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert analyze(archive, tmp_path / "series") == 3  # the second has a gap now
    assert call(["inspect", str(tmp_path / "series")]) == 3
    assert call(["inspect", archive, "--json"]) == 0
    output = capsys.readouterr()
    assert "CANARY" not in output.out + output.err + caplog.text
    assert list(temporary.iterdir()) == []
    for path in out.rglob("*"):
        assert not path.is_file() or b"CANARY" not in path.read_bytes()
