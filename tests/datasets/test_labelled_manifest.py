"""The manifest of one's own labels: every row is checked, by itself and against the others."""

import hashlib

import pytest

from lungscore.datasets.labelled_manifest import (
    COLUMNS,
    LabelledRow,
    checksum,
    labelled_csv,
    read_labelled,
)
from lungscore.errors import InputError
from tests.datasets.own_data import manifest


def rejected(path) -> InputError:
    """The error with which a manifest is refused."""
    with pytest.raises(InputError) as caught:
        read_labelled(path)
    return caught.value


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = [
        LabelledRow(1, "a", "p1", "train", "i/a.png", "m/a.png", "ours", "0" * 64),
        LabelledRow(
            2,
            "b",
            None,
            "test",
            "i/b",
            None,
            "=theirs",
            "1" * 64,
            negative=True,
            first_slice=0,
            last_slice=12,
            weight=0.5,
        ),
        LabelledRow(
            3,
            "c, ü",
            "p1",
            "train",
            "i/c.nii",
            "m/c.nii",
            "ours",
            "2" * 64,
            mask_sha256="3" * 64,
            lungs="l/c.nii",
            labels="classes",
        ),
    ]
    path = tmp_path / "own.csv"
    path.write_text(labelled_csv(rows), encoding="utf-8")
    assert read_labelled(path) == rows


def test_the_seven_columns_are_enough(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(
        "case,patient,group,image,mask,source,sha256\n" + f"a,,train,a.png,m.png,x,{'0' * 64}\n"
    )
    (row,) = read_labelled(path)
    assert (row.labels, row.negative, row.weight, row.first_slice) == ("infection", False, 1, None)
    assert row.unit == "a"
    assert COLUMNS[:7] == ("case", "patient", "group", "image", "mask", "source", "sha256")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"case": ""}, "no case"),
        ({"case": "a/b"}, "case is 'a/b'"),
        ({"case": "nul"}, "case is 'nul'"),
        ({"source": ""}, "no source"),
        ({"image": ""}, "no image"),
        ({"sha256": ""}, "no sha256"),
        ({"sha256": "abc"}, "sha256 is 'abc'"),
        ({"mask_sha256": "0" * 63}, "mask_sha256"),
        ({"group": "training"}, "group is 'training'"),
        ({"labels": "lungs"}, "labels is 'lungs'"),
        ({"negative": "1"}, "negative is '1'"),
        ({"mask": ""}, "no mask"),
        ({"weight": "0"}, "weight is '0'"),
        ({"weight": "nan"}, "weight is 'nan'"),
        ({"weight": "much"}, "weight is 'much'"),
        ({"first_slice": "-1"}, "first_slice is '-1'"),
        ({"last_slice": "1.5"}, "last_slice is '1.5'"),
        ({"first_slice": "7", "last_slice": "3"}, "end (3) before they begin (7)"),
        ({"source": "a\x07b"}, "control characters"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, wrong, told):
    error = rejected(manifest(tmp_path / "own.csv", {}, wrong))
    assert error.code == "manifest-invalid"
    assert "own.csv, row 2" in error.message
    assert told in error.message


def test_a_case_and_an_image_occur_once(tmp_path):
    error = rejected(manifest(tmp_path / "own.csv", {"case": "a"}, {"case": "A"}))
    assert "row 2: the case A is in row 1" in error.message
    same = {"sha256": "a" * 64}
    error = rejected(manifest(tmp_path / "own.csv", same, {}, same))
    assert "row 3: its image is that of row 1" in error.message


@pytest.mark.parametrize("patient", ["p", ""])
def test_a_patient_is_in_one_group(tmp_path, patient):
    rows = {"patient": patient, "case": "p"}, {"patient": "p", "group": "test"}
    error = rejected(manifest(tmp_path / "own.csv", *rows))
    assert error.code == "patient-on-both-sides"
    assert "row 2 (case-1): its patient is in test, and in train in row 1" in error.message


def test_all_faulty_rows_are_told_where_somebody_listens(tmp_path):
    path = manifest(tmp_path / "own.csv", {"group": "x"}, {}, {"weight": "x"})
    told = []
    rows = read_labelled(path, refused=lambda number, case, error: told.append((number, case)))
    assert [row.case for row in rows] == ["case-1"]
    assert told == [(1, "case-0"), (3, "case-2")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"case,patient,group,path\n", "no column image"),
        (b"", "no column case"),
        (b"\xff\xfe", "not CSV in UTF-8"),
        (b"case,patient,group,image,mask,source,sha256\na,b\n", "row 1"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, told):
    path = tmp_path / "own.csv"
    path.write_bytes(content)
    error = rejected(path)
    assert (error.code, told in error.message) == ("manifest-invalid", True), error.message


def test_a_manifest_that_is_not_there_or_not_csv_is_told(tmp_path):
    assert rejected(tmp_path / "own.csv").code == "input-not-found"
    assert rejected(tmp_path / "own.parquet").code == "manifest-invalid"


def test_the_checksum_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "s" / "b").mkdir(parents=True)
    (tmp_path / "s" / "b" / "1").write_bytes(b"one")
    (tmp_path / "s" / "a").write_bytes(b"two")
    first, second = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two"))
    lines = f"{second}  a\n{first}  b/1\n".encode()
    assert checksum(tmp_path / "s") == hashlib.sha256(lines).hexdigest()
    assert checksum(tmp_path / "s" / "a") == second
