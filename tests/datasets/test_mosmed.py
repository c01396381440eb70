"""MosMedData as a small tree in its own layout, whole and damaged."""

import shutil
from pathlib import Path

import pytest

from lungscore.datasets import mosmed
from lungscore.errors import InputError
from tests.datasets.volumes_on_disk import ct, found, lesion, prepared, told, truncate, write_nifti

#: study -> class; 3 has a mask.
STUDIES = {1: "CT-0", 2: "CT-0", 3: "CT-1", 4: "CT-1", 5: "CT-2", 6: "CT-3", 7: "CT-4"}


def registry(studies: dict[int, str] = STUDIES, masked: tuple[int, ...] = (3,)) -> str:
    lines = ["study_id,category,study_file,mask_file"]
    for number, label in studies.items():
        mask = f"/masks/study_{number:04d}_mask.nii.gz" if number in masked else ""
        lines.append(f"{number},{label},/studies/{label}/study_{number:04d}.nii.gz,{mask}")
    return "\r\n".join(lines) + "\r\n"


def study(root: Path, number: int, label: str) -> Path:
    return root / "studies" / label / f"study_{number:04d}.nii.gz"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(mosmed, "CLASSES", {"CT-0": 2, "CT-1": 2, "CT-2": 1, "CT-3": 1, "CT-4": 1})
    monkeypatch.setattr(mosmed, "MASKS", 1)
    root = tmp_path / "COVID19_1110"
    for number, label in STUDIES.items():
        write_nifti(study(root, number, label), ct(number))
    write_nifti(root / "masks" / "study_0003_mask.nii.gz", lesion(1))
    (root / "dataset_registry.csv").write_text(registry(), encoding="utf-8-sig", newline="")
    (root / "README_EN.md").write_text("MosMedData")
    return root


def test_a_whole_download_is_complete_and_every_study_is_a_patient(root, tmp_path):
    checked, faults = found(mosmed.DATASET, root)
    assert checked.complete
    assert not faults
    assert (checked.images, checked.cases, checked.patients) == (7, 7, 7)
    assert checked.classes == {"CT-0": 2, "CT-1": 2, "CT-2": 1, "CT-3": 1, "CT-4": 1}
    rows = prepared(mosmed.DATASET, root, tmp_path)
    assert [(row.patient, row.label, row.kind) for row in rows] == [
        (f"study_{number:04d}", label, "volume") for number, label in STUDIES.items()
    ]
    masks = {row.case: row.mask for row in rows if row.mask}
    assert masks == {"study_0003": "COVID19_1110/masks/study_0003_mask.nii.gz"}
    assert rows[0].path == "COVID19_1110/studies/CT-0/study_0001.nii.gz"


def test_the_published_workbook_alone_is_enough(root):
    (root / "dataset_registry.csv").rename(root / "dataset_registry.xlsx")
    checked, faults = found(mosmed.DATASET, root)
    assert checked.complete
    assert not faults


def test_studies_unpacked_from_their_gzip_are_read_too(root):
    for path in (study(root, 3, "CT-1"), root / "masks" / "study_0003_mask.nii.gz"):
        path.unlink()
    write_nifti(root / "studies" / "CT-1" / "study_0003.nii", ct(3))
    write_nifti(root / "masks" / "study_0003_mask.nii", lesion(1))
    assert found(mosmed.DATASET, root)[0].complete


def test_no_registry_is_named(root):
    (root / "dataset_registry.csv").unlink()
    assert found(mosmed.DATASET, root)[1] == {"table-missing": 1}


def test_a_missing_folder_its_counts_and_its_files_are_named(root):
    shutil.rmtree(root / "studies" / "CT-2")
    checked, faults = found(mosmed.DATASET, root)
    assert faults == {"folder-missing": 1, "count-short": 1, "file-missing": 1}
    assert told(checked, "count-short") == [("studies of CT-2", "0 of 1")]
    assert told(checked, "file-missing")[0][0] == "studies/CT-2/study_0005.nii.gz"


def test_an_unfinished_unpacking_is_named_file_by_file(root):
    study(root, 2, "CT-0").unlink()
    (root / "studies" / "CT-0" / "study_0002.nii.gz.part").write_bytes(b"12")
    (root / "studies.zip").write_bytes(b"PK")
    _, faults = found(mosmed.DATASET, root)
    assert faults == {
        "count-short": 1,
        "file-missing": 1,
        "download-unfinished": 1,
        "archive-left": 1,
    }


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (registry().replace("category", "class").encode(), "table-columns", "category"),
        (registry().encode("utf-16"), "table-encoding", "utf-8"),
        (registry().replace("5,CT-2,", "5,CT-5,").encode(), "class-unknown", "CT-5"),
        (registry().replace("5,CT-2,", "five,CT-2,").encode(), "table-values", "five"),
        ((registry() + registry().splitlines()[1]).encode(), "duplicate-patient", "study_0001"),
    ],
)
def test_a_damaged_registry_is_named(root, content, code, says):
    (root / "dataset_registry.csv").write_bytes(content)
    checked, _ = found(mosmed.DATASET, root)
    assert says in told(checked, code)[0][1]
    assert not checked.complete


def test_a_study_that_the_registry_lacks_and_one_of_another_class_are_named(root, tmp_path):
    text = registry({**STUDIES, 6: "CT-4"}).replace("\r\n2,", "\r\n22,", 1)
    (root / "dataset_registry.csv").write_text(text, newline="")
    checked, faults = found(mosmed.DATASET, root)
    assert faults == {"table-values": 1, "patient-in-two-classes": 1, "file-missing": 1}
    assert told(checked, "patient-in-two-classes") == [
        ("studies/CT-3/study_0006.nii.gz", "it lies in CT-3, the registry says CT-4")
    ]
    assert "study_0006" not in {
        row.case for row in prepared(mosmed.DATASET, root, tmp_path, partial=True)
    }


def test_a_study_in_two_classes_is_left_out_wholly(root, tmp_path):
    (root / "dataset_registry.csv").rename(root / "dataset_registry.xlsx")
    write_nifti(study(root, 1, "CT-3"), ct(100))
    _, faults = found(mosmed.DATASET, root)
    assert faults == {"patient-in-two-classes": 1, "count-above": 1}
    with pytest.raises(InputError) as caught:
        prepared(mosmed.DATASET, root, tmp_path)
    assert caught.value.code == "dataset-faulty"
    kept = {row.patient for row in prepared(mosmed.DATASET, root, tmp_path, partial=True)}
    assert kept == {f"study_{number:04d}" for number in STUDIES} - {"study_0001"}


def test_damaged_volumes_and_masks_are_each_named(root):
    study(root, 1, "CT-0").write_bytes(b"")
    truncate(study(root, 2, "CT-0"))
    write_nifti(study(root, 4, "CT-1"), ct(4) * 0)
    write_nifti(root / "masks" / "study_0003_mask.nii.gz", lesion(1, 255))
    write_nifti(root / "masks" / "study_0099_mask.nii.gz", lesion(1))
    write_nifti(study(root, 6, "CT-3"), ct(5))  # what study 5 shows
    checked, faults = found(mosmed.DATASET, root)
    assert faults == {
        "image-empty": 1,
        "image-unreadable": 1,
        "image-constant": 1,
        "label-values": 1,
        "file-missing": 1,
        "duplicate-image": 1,
        "count-above": 1,
    }
    assert told(checked, "file-missing")[0][0] == "masks/study_0099_mask.nii.gz"


def test_a_mask_of_another_size_is_named(root):
    write_nifti(root / "masks" / "study_0003_mask.nii.gz", lesion(1)[:, :-1])
    assert found(mosmed.DATASET, root)[1] == {"sizes-differ": 1}


@pytest.mark.data
def test_the_published_registry_counts_right_and_misses_every_file(real_data):
    checked, faults = found(mosmed.DATASET, real_data / "mosmed")
    assert faults == {"folder-missing": 6, "count-short": 6, "file-missing": 1110 + 50}
    assert not checked.complete
