"""CC-CCII in its original layout, whole and damaged."""

import shutil

import pytest

from lungscore.datasets import cc_ccii
from lungscore.errors import InputError
from tests.datasets.layout_trees import (
    checked,
    codes,
    picture,
    prepared,
    replaced,
    text,
    told,
    truncated,
)

NAME = "cc-ccii"
SCANS = {"NCP/25/1181": "png", "NCP/25/1183": "jpg", "CP/1327/3690": "png", "Normal/742/177": "jpg"}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Four scans of three slices, and two masked cases of one slice."""
    published = {"slices": 12, "patients": 3, "slices with masks": 2, "masked cases": 2}
    monkeypatch.setattr(cc_ccii, "PUBLISHED", published)
    root = tmp_path / "ccii"
    for scan, (path, suffix) in enumerate(SCANS.items()):
        for index in range(3):
            picture(root / path / f"{index:04}.{suffix}", 10 * scan + index)
    for case in (1, 2):
        picture(root / f"ct_lesion_seg/image/{case}/7.jpg", 100 + case)
        picture(root / f"ct_lesion_seg/mask/{case}/7.png", case, values=(0, 1, 2, 3))
    text(
        root / "unzip_filenames.csv",
        "zip_file,label,patient_id,scan_id,n_slice",
        "NCP-8.zip,NCP,25,1181,3",
        "NCP-8.zip,NCP,25,1183,3",
        "CP-8.zip,CP,1327,3690,3",
        "Normal-3.zip,Normal,742,177,3",
        "Normal-3.zip,Normal,742,177,3",  # the published table repeats a row, too
    )
    text(root / "lesions_slices.csv", "imgpath", "NCP/25/1181/0001.png", "CP/1327/3690/0000.png")
    return root


def test_a_whole_one_is_complete_and_gives_the_right_rows(root):
    assert checked(NAME, root).problems == ()
    rows = {row.path.removeprefix("ccii/"): row for row in prepared(NAME, root)}
    assert len(rows) == 14
    marked, plain = rows["NCP/25/1181/0001.png"], rows["NCP/25/1183/0002.jpg"]
    assert (marked.case, marked.patient, marked.label) == ("NCP/25/1181", "25", "NCP")
    assert (marked.slice_label, plain.slice_label) == ("lesion", None)
    assert marked.group == plain.group
    assert {row.label for row in rows.values()} == {"NCP", "CP", "Normal"}
    masked = rows["ct_lesion_seg/image/1/7.jpg"]
    assert masked.mask == "ccii/ct_lesion_seg/mask/1/7.png"
    assert (masked.case, masked.patient, masked.kind) == ("ct_lesion_seg/1", None, "slice")


def test_a_missing_class_is_one_problem_beside_the_counts(root):
    shutil.rmtree(root / "CP")
    assert codes(NAME, root) == {"folder-missing": 1, "count-short": 2}


def test_a_half_unpacked_archive_is_named_scan_by_scan(root):
    shutil.rmtree(root / "NCP/25/1183")
    (root / "NCP/25/1181/0002.png").unlink()
    assert told(NAME, root, "folder-missing") == [
        ("NCP/25/1183", "NCP-8.zip holds this scan of 3 slices")
    ]
    assert told(NAME, root, "count-short") == [
        ("NCP/25/1181", "2 slices of 3 in NCP-8.zip"),
        ("slices", "8 of 12"),
    ]
    with pytest.raises(InputError, match=r"count-short \(2\)"):
        prepared(NAME, root)


def test_a_slice_that_a_table_names_must_be_there(root):
    (root / "NCP/25/1181/0001.png").rename(root / "NCP/25/1181/0009.png")
    shutil.rmtree(root / "CP/1327/3690")
    missing = [path for path, _ in told(NAME, root, "file-missing")]
    assert missing == ["CP/1327/3690", "NCP/25/1181/0001.png"]


def test_a_scan_that_no_table_lists_is_left_out(root):
    for index in range(2):
        picture(root / f"CP/1327/9999/{index:04}.png", 70 + index)
    assert codes(NAME, root) == {"file-unknown": 1}
    assert all("9999" not in row.path for row in prepared(NAME, root))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("n_slice", "slices", "table-columns"),
        ("NCP,25,1181,3", "NCP,25,1181,many", "table-values"),
        ("NCP,25,1181", "COVID,25,1181", "class-unknown"),
        ("NCP,25,1183", "NCP,26,1181", "duplicate-patient"),
        ("Normal,742,177,3\nN", "Normal,742,177,4\nN", "table-values"),
    ],
)
def test_damage_in_the_table_of_scans_is_told(root, old, new, code):
    replaced(root / "unzip_filenames.csv", old, new)
    assert code in codes(NAME, root)
    assert all("unzip" in path for path, _ in told(NAME, root, code))


def test_another_encoding_of_a_table_is_one_problem(root):
    replaced(root / "unzip_filenames.csv", "CP-8.zip,CP", "CP-é.zip,CP", encoding="latin-1")
    assert codes(NAME, root) == {"table-encoding": 1}
    text(root / "unzip_filenames.csv", "")
    assert set(codes(NAME, root)) == {"table-columns"}


def test_a_lesion_that_names_no_slice_is_told(root):
    replaced(root / "lesions_slices.csv", "CP/1327/3690/", "3690/")
    assert codes(NAME, root) == {"table-values": 1}


def test_a_patient_in_two_classes_is_told_and_left_out(root):
    (root / "CP/1327").rename(root / "CP/25")
    replaced(root / "unzip_filenames.csv", "CP,1327", "CP,25")
    replaced(root / "lesions_slices.csv", "CP/1327", "CP/25")
    counts = codes(NAME, root)
    assert counts["patient-in-two-classes"] == 2  # scans, after those of the first class
    assert {row.patient for row in prepared(NAME, root, partial=True)} == {None, "742"}


def test_damaged_slices_and_masks_are_named(root):
    truncated(root / "NCP/25/1181/0000.png")
    (root / "CP/1327/3690/0001.png").write_bytes(b"")
    picture(root / "ct_lesion_seg/mask/1/7.png", 1, values=(0, 9))
    (root / "ct_lesion_seg/mask/2/7.png").unlink()
    assert codes(NAME, root) == {
        "image-unreadable": 1,
        "image-empty": 1,
        "label-values": 1,
        "file-missing": 1,
    }


def test_the_same_slice_under_two_patients_is_told(root):
    shutil.copy(root / "NCP/25/1181/0000.png", root / "CP/1327/3690/0000.png")
    assert codes(NAME, root) == {"duplicate-image": 1}


def test_a_masked_slice_may_stand_under_a_patient_too_and_is_kept_once(root):
    """Which patients the masked slices show nobody says, so one of them is no contradiction."""
    shutil.copy(root / "ct_lesion_seg/image/1/7.jpg", root / "NCP/25/1183/0000.jpg")
    assert codes(NAME, root) == {"duplicate-copy": 1}
    rows = prepared(NAME, root)
    kept = [row for row in rows if row.sha256 == rows[0].sha256]
    assert [row.case for row in kept] == ["ct_lesion_seg/1"]
    assert len(rows) == 13
