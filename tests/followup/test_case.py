"""Case folders read back: whole, or refused with a code that says what is wrong."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.followup import compare
from lungscore.followup.case import case_of, is_case_folder, read_case, read_result
from lungscore.result import Analysis
from lungscore.result.valid import KEYS
from lungscore.scan.write import write_dicom_series, write_nifti
from lungscore.version import __version__


def refused(folder: Path, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read_case(folder, **options)
    assert str(folder.parent) not in caught.value.message
    return caught.value


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# What is taken


def test_a_folder_gives_what_was_written(severe: Analysis, folder: Path) -> None:
    read, made = read_case(folder), case_of(severe)
    assert read.result == made.result
    assert read.version == made.version == __version__
    assert read.spacing_mm == made.spacing_mm
    np.testing.assert_array_equal(read.lungs, severe.lungs.labels)
    np.testing.assert_array_equal(read.lesions, severe.lesions.labels)
    assert read.values is None
    assert made.values is severe.scan.values


def test_the_ct_lies_on_the_masks(severe: Analysis, folder: Path, tmp_path: Path) -> None:
    write_nifti(severe.scan, tmp_path / "ct.nii.gz")
    case = read_case(folder, ct=tmp_path / "ct.nii.gz")
    assert case.units == "hu"
    np.testing.assert_array_equal(case.values, severe.scan.values)


def test_the_series_that_was_analysed_is_taken(
    severe: Analysis, folder: Path, tmp_path: Path
) -> None:
    uid = write_dicom_series(severe.scan, tmp_path / "dicom")
    content = json.loads((folder / "result.json").read_text())
    rewrite(folder, input=content["input"] | {"series_uid": uid})
    assert read_case(folder, ct=tmp_path / "dicom").values is not None
    rewrite(folder, input=content["input"] | {"series_uid": "1.2.3"})
    assert refused(folder, ct=tmp_path / "dicom").code == "series-not-found"


def test_results_of_other_versions_of_the_schema_are_read(folder: Path) -> None:
    content = json.loads((folder / "result.json").read_text())
    for section in (content["models"][0], content["engine"], content["warnings"][0]):
        section["added_later"] = 1
    rewrite(folder, added_later={"number": 1}, **content)
    assert read_result(folder)["added_later"] == {"number": 1}
    content = json.loads((folder / "result.json").read_text())
    del content["lobes"]["RUL"]["scores"]["lhos"]
    rewrite(folder, **content)
    assert "lhos" not in read_result(folder)["lobes"]["RUL"]["scores"]
    comparison = compare(folder, folder).comparison
    assert comparison.changes["lobes.RUL.scores.lhos"].change is None


def test_a_folder_without_run_json_is_read(folder: Path) -> None:
    (folder / "run.json").unlink()
    assert read_case(folder).version is None
    (folder / "run.json").write_text("[")
    assert read_case(folder).version is None


def test_a_case_is_named_as_a_folder_may_be(folder: Path) -> None:
    rewrite(folder, case="../../else\x1b[2Jwhere")
    assert "/" not in read_result(folder)["case"]
    assert "\x1b" not in read_result(folder)["case"]


def test_folders_of_results_are_told_from_scans(folder: Path, tmp_path: Path) -> None:
    assert is_case_folder(folder)
    (folder / "result.json").unlink()
    assert is_case_folder(folder)
    (folder / "lungs.nii.gz").unlink()
    assert not is_case_folder(folder)
    assert not is_case_folder(tmp_path / "nothing")


# What is refused


@pytest.mark.parametrize("name", ["result.json", "lungs.nii.gz", "lesions.nii.gz"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    error = refused(folder)
    assert error.code == "case-incomplete"
    assert name in error.message


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"schema": NaN}', b'{"schema": 1e999}'],
    ids=["empty", "cut off", "no text", "too deep", "not a number", "infinite"],
)
def test_damaged_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "result.json").write_bytes(content)
    assert refused(folder).code == "case-damaged"


@pytest.mark.parametrize("content", [[], {}, "text", {"schema": "lungscore.result/2"}])
def test_another_schema_is_refused(folder: Path, content: Any) -> None:
    (folder / "result.json").write_text(json.dumps(content))
    error = refused(folder)
    assert error.code == "schema-mismatch"
    assert "lungscore.result/1" in error.expected


def without(content: Any, key: str) -> Any:
    """``content`` without ``key`` wherever it stands."""
    if isinstance(content, dict):
        return {name: without(value, key) for name, value in content.items() if name != key}
    return [without(value, key) for value in content] if isinstance(content, list) else content


@pytest.mark.parametrize("key", KEYS)
def test_a_result_that_lacks_what_is_needed_is_refused(folder: Path, key: str) -> None:
    path = folder / "result.json"
    path.write_text(json.dumps(without(json.loads(path.read_text()), key)))
    error = refused(folder)
    assert error.code == "case-damaged"
    assert key in error.message


def test_a_value_of_the_wrong_kind_is_refused(folder: Path) -> None:
    rewrite(folder, slices=[{"index": "first"}])
    error = refused(folder)
    assert error.code == "case-damaged"
    assert "slices.0.index" in error.message


def test_masks_that_were_changed_are_refused(folder: Path) -> None:
    image = nib.load(folder / "lesions.nii.gz")
    labels = np.zeros(image.shape, np.uint8)
    nib.save(nib.Nifti1Image(labels, image.affine), folder / "lesions.nii.gz")
    error = refused(folder)
    assert error.code == "case-damaged"
    assert "lungscore score" in error.hint


def test_masks_of_another_shape_are_refused(folder: Path) -> None:
    for name in ("lungs.nii.gz", "lesions.nii.gz"):
        image = nib.load(folder / name)
        nib.save(image.slicer[:, :, 2:], folder / name)
    assert refused(folder).code == "case-damaged"


def test_masks_apart_from_each_other_are_refused(folder: Path) -> None:
    image = nib.load(folder / "lesions.nii.gz")
    moved = image.affine.copy()
    moved[:3, 3] += 5
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), folder / "lesions.nii.gz")
    assert refused(folder).code == "mask-geometry"


def test_a_ct_that_lies_elsewhere_is_refused(
    severe: Analysis, folder: Path, tmp_path: Path
) -> None:
    write_nifti(severe.scan, tmp_path / "ct.nii.gz")
    image = nib.load(tmp_path / "ct.nii.gz")
    moved = image.affine.copy()
    moved[2, 3] += 20
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), moved), tmp_path / "ct.nii.gz")
    assert refused(folder, ct=tmp_path / "ct.nii.gz").code == "mask-geometry"
