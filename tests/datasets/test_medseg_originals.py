"""MedSeg's two downloads as small files in their own layouts, whole and damaged."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from lungscore.datasets import medseg, medseg_volumes
from tests.datasets.volumes_on_disk import (
    SPACING,
    ct,
    found,
    lesion,
    prepared,
    told,
    truncate,
    write_nifti,
)


@pytest.fixture
def stacks(tmp_path, monkeypatch):
    monkeypatch.setattr(medseg, "SLICES", ct(0).shape[2])
    monkeypatch.setattr(medseg, "TEST_SLICES", ct(0).shape[2])
    root = tmp_path / "medseg"
    write_nifti(root / "tr_im.nii.gz", ct(1))
    write_nifti(root / "tr_mask.nii.gz", lesion(1, 2, 3))
    write_nifti(root / "tr_lungmasks_updated.nii.gz", lesion(1, 2))
    write_nifti(root / "val_im.nii.gz", ct(2))
    (root / "Test-Images-Clinical-Details.csv").write_text("Image,Age\n1,50\n")
    return root


def test_whole_stacks_are_two_rows_without_patients(stacks, tmp_path):
    checked, faults = found(medseg.DATASET, stacks)
    assert checked.complete
    assert not faults
    assert [(count.name, count.found) for count in checked.counts] == [
        ("slices", 4),
        ("slices without labels", 4),
    ]
    rows = prepared(medseg.DATASET, stacks, tmp_path)
    assert [(row.path, row.mask, row.group, row.patient) for row in rows] == [
        ("medseg/tr_im.nii.gz", "medseg/tr_mask.nii.gz", "test", None),
        ("medseg/val_im.nii.gz", None, "test", None),
    ]


def test_stacks_without_the_separate_lungs_or_unpacked_are_whole(stacks):
    (stacks / "tr_lungmasks_updated.nii.gz").unlink()
    (stacks / "tr_im.nii.gz").unlink()
    write_nifti(stacks / "tr_im.nii", ct(1))
    assert found(medseg.DATASET, stacks)[0].complete


def test_missing_stacks_are_named(stacks):
    for name in ("tr_mask", "val_im"):
        (stacks / f"{name}.nii.gz").unlink()
    assert found(medseg.DATASET, stacks)[1] == {"file-missing": 1, "count-short": 1}
    (stacks / "tr_im.nii.gz").unlink()
    faults = found(medseg.DATASET, stacks)[1]
    assert faults == {"count-short": 2, "file-unknown": 1}  # the lungs of nothing


def test_damaged_stacks_are_each_named(stacks):
    write_nifti(stacks / "tr_mask.nii.gz", lesion(4)[..., :-1])
    truncate(stacks / "val_im.nii.gz")
    write_nifti(stacks / "tr_im.nii.gz", ct(1)[..., :3])
    write_nifti(stacks / "tr_lungmasks_updated.nii.gz", lesion(1)[..., :3])
    (stacks / "rp_im.zip").write_bytes(b"PK")
    checked, faults = found(medseg.DATASET, stacks)
    assert faults == {
        "count-short": 1,
        "label-values": 1,
        "image-unreadable": 1,
        "archive-left": 1,
    }
    assert told(checked, "count-short") == [("slices", "3 of 4")]


def test_a_stack_that_cannot_be_opened_counts_nothing(stacks):
    (stacks / "tr_im.nii.gz").write_bytes(b"")
    assert found(medseg.DATASET, stacks)[1] == {"image-empty": 1, "count-short": 1}


@pytest.fixture
def volumes(tmp_path, monkeypatch):
    monkeypatch.setattr(medseg_volumes, "PUBLISHED", 2)
    root = tmp_path / "medseg-volumes"
    for number in (1, 2):
        write_nifti(root / "rp_im" / f"{number}.nii.gz", ct(number))
        write_nifti(root / "rp_msk" / f"{number}.nii.gz", lesion(1, 2))
        write_nifti(root / "rp_lung_msk" / f"{number}.nii.gz", lesion(1, 2))
    return root


def test_whole_volumes_are_complete_each_with_its_labels(volumes, tmp_path):
    checked, faults = found(medseg_volumes.DATASET, volumes)
    assert checked.complete
    assert not faults
    rows = prepared(medseg_volumes.DATASET, volumes, tmp_path)
    assert [(row.case, row.patient, row.mask) for row in rows] == [
        (f"volume-{n}", f"volume-{n}", f"medseg-volumes/rp_msk/{n}.nii.gz") for n in (1, 2)
    ]


def test_missing_parts_of_volumes_are_named(volumes):
    shutil.rmtree(volumes / "rp_lung_msk")
    (volumes / "rp_msk" / "2.nii.gz").unlink()
    _, faults = found(medseg_volumes.DATASET, volumes)
    assert faults == {"folder-missing": 1, "file-missing": 2}
    (volumes / "rp_im" / "1.nii.gz").unlink()
    assert found(medseg_volumes.DATASET, volumes)[1] == {
        "folder-missing": 1,
        "file-missing": 2,
        "count-short": 1,
    }


def test_lungs_without_their_volume_are_named(volumes):
    write_nifti(volumes / "rp_lung_msk" / "3.nii.gz", lesion(1))
    checked, faults = found(medseg_volumes.DATASET, volumes)
    assert faults == {"file-missing": 1}
    assert told(checked, "file-missing")[0][0] == "rp_lung_msk/3.nii.gz"


def test_damaged_volumes_are_each_named(volumes):
    truncate(volumes / "rp_im" / "1.nii.gz")
    write_nifti(volumes / "rp_msk" / "2.nii.gz", lesion(1, 4))
    half = nib.Nifti1Image(np.full(ct(0).shape, 0.5, np.float32), np.diag([*SPACING, 1]))
    nib.save(half, volumes / "rp_lung_msk" / "2.nii.gz")
    assert found(medseg_volumes.DATASET, volumes)[1] == {"image-unreadable": 1, "label-values": 2}


@pytest.mark.data
def test_the_slices_at_hand_are_whole_and_told_to_be_too_few(real_data):
    checked, faults = found(medseg.DATASET, real_data / "medseg-slices")
    assert faults == {"count-short": 1}
    assert checked.images == 76
