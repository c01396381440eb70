"""COVID-19-CT-Seg in its original layout, whole and damaged."""

import pytest

from lungscore.datasets import covid_19_ct_seg
from lungscore.datasets.records import Group
from lungscore.errors import InputError
from tests.datasets.layout_trees import checked, codes, picture, prepared, told, truncated, volume

NAME = "covid-19-ct-seg"
VOLUMES = ("coronacases_001", "radiopaedia_10_85902_1", "radiopaedia_10_85902_3")
PARTS = {
    "COVID-19-CT-Seg_20cases": None,
    "Infection_Mask": (0, 1),
    "Lung_Mask": (0, 1, 2),
    "Lung_and_Infection_Mask": (0, 1, 2, 3),
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three of the volumes, which here are all."""
    monkeypatch.setattr(covid_19_ct_seg, "VOLUMES", VOLUMES)
    root = tmp_path / "seg"
    for seed, name in enumerate(VOLUMES):
        for folder, values in PARTS.items():
            volume(root / folder / f"{name}.nii.gz", seed, values=values)
    return root


def test_the_twenty_volumes_are_those_of_eighteen_case_numbers():
    assert len(set(covid_19_ct_seg.VOLUMES)) == 20
    patients = [covid_19_ct_seg.patient_of(name) for name in covid_19_ct_seg.VOLUMES]
    assert patients.count("radiopaedia_10") == patients.count("radiopaedia_29") == 2
    assert len(set(patients)) == 18


def test_a_whole_one_is_complete_and_keeps_two_series_of_a_patient_together(root):
    assert checked(NAME, root).problems == ()
    rows = {row.case: row for row in prepared(NAME, root)}
    first, second = (rows[f"radiopaedia_10_85902_{series}"] for series in (1, 3))
    assert first.patient == second.patient == "radiopaedia_10"
    assert first.group == second.group
    assert rows["coronacases_001"].patient == "coronacases_001"
    assert {row.label for row in rows.values()} == {"COVID-19"}
    assert {row.kind for row in rows.values()} == {"volume"}
    assert first.mask == "seg/Infection_Mask/radiopaedia_10_85902_1.nii.gz"
    assert first.group in Group.__args__


def test_unpacked_volumes_are_read_too(root):
    packed = root / "Lung_Mask" / "coronacases_001.nii.gz"
    packed.unlink()
    volume(packed.with_suffix("").with_suffix(".nii"), 5, values=(0, 1, 2))
    assert codes(NAME, root) == {}


def test_a_missing_folder_is_one_problem(root):
    for path in (root / "Infection_Mask").iterdir():
        path.unlink()
    (root / "Infection_Mask").rmdir()
    assert codes(NAME, root) == {"folder-missing": 1}
    with pytest.raises(InputError, match="folder-missing"):
        prepared(NAME, root)


def test_a_missing_volume_and_a_missing_mask_are_named(root):
    (root / "COVID-19-CT-Seg_20cases" / "coronacases_001.nii.gz").unlink()
    (root / "Infection_Mask" / "radiopaedia_10_85902_1.nii.gz").unlink()
    assert codes(NAME, root) == {"file-missing": 2, "count-short": 1}
    assert [path for path, _ in told(NAME, root, "file-missing")] == [
        "COVID-19-CT-Seg_20cases/coronacases_001.nii.gz",
        "Infection_Mask/radiopaedia_10_85902_1.nii.gz",
    ]


def test_damaged_volumes_and_labels_are_named(root):
    truncated(root / "COVID-19-CT-Seg_20cases" / "coronacases_001.nii.gz")
    volume(root / "Infection_Mask" / "radiopaedia_10_85902_1.nii.gz", 1, values=(0, 3))
    (root / "Lung_Mask" / "radiopaedia_10_85902_3.nii.gz").write_bytes(b"")
    assert codes(NAME, root) == {"image-unreadable": 1, "label-values": 1, "image-empty": 1}


def test_the_same_volume_of_two_patients_is_told(root):
    folder = root / "COVID-19-CT-Seg_20cases"
    content = (folder / "coronacases_001.nii.gz").read_bytes()
    (folder / "radiopaedia_10_85902_1.nii.gz").write_bytes(content)
    assert codes(NAME, root) == {"duplicate-image": 1}


def test_archives_and_strangers_are_told_but_do_not_matter(root):
    (root / "Lung_Mask.zip").write_bytes(b"PK")
    picture(root / "Lung_Mask" / "preview.png", 9)
    assert codes(NAME, root) == {"archive-left": 1, "file-unknown": 1}
    assert checked(NAME, root).complete
