"""STOIC2021 as a small tree in its own layout, whole and damaged."""

import csv
import shutil

import pytest

from lungscore.datasets import stoic2021
from lungscore.datasets.prepare import patients_path
from tests.datasets.volumes_on_disk import ct, found, metaimage, prepared, told, truncate

TABLE = "PatientID,probCOVID,probSevere\n6,1,0\n17,0,0\n22,1,1\n23,0,0\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(stoic2021, "PATIENTS", 4)
    root = tmp_path / "stoic2021"
    (root / "data" / "mha").mkdir(parents=True)
    (root / "metadata").mkdir()
    for who, age in ((6, "035Y"), (17, "055Y"), (22, "085Y"), (23, "")):
        stated = {"PatientID": str(who), "PatientAge": age, "PatientSex": "M" if age else ""}
        (root / "data" / "mha" / f"{who}.mha").write_bytes(metaimage(ct(who), **stated))
    write_table(root, TABLE)
    return root


def write_table(root, text: str) -> None:
    (root / "metadata" / "reference.csv").write_text(text, encoding="utf-8")


def with_second_block(text: str = TABLE) -> str:
    """The table as copies have it: beside it a drawing of other patients, under the same names."""
    beside = ["0.23,,7814,1,0,1485", "0.37,,6206,0,0,1199", "0.91,,,,,", "0.35,,,,,"]
    header, *rows = text.splitlines()
    wide = [f"{row},{more}" for row, more in zip(rows, beside, strict=True)]
    more = ",Trimmed (n=400),PatientID,probCOVID,probSevere,Row"
    return "\n".join([f"{header},{more}", *wide]) + "\n"


@pytest.mark.parametrize("table", [TABLE, with_second_block()])
def test_a_whole_download_is_complete_with_pcr_and_outcome(root, tmp_path, table):
    write_table(root, table)
    checked, faults = found(stoic2021.DATASET, root)
    assert checked.complete
    assert not faults
    assert checked.classes == {"non-severe": 1, "negative": 2, "severe": 1}
    rows = prepared(stoic2021.DATASET, root, tmp_path)
    assert [(row.patient, row.label, row.kind, row.mask) for row in rows] == [
        ("6", "non-severe", "volume", None),
        ("17", "negative", "volume", None),
        ("22", "severe", "volume", None),
        ("23", "negative", "volume", None),
    ]
    assert rows[0].path == "stoic2021/data/mha/6.mha"


def test_the_table_of_patients_has_outcome_age_and_sex(root, tmp_path):
    prepared(stoic2021.DATASET, root, tmp_path)
    with open(patients_path(tmp_path / "manifest.csv"), newline="") as file:
        rows = {row.pop("patient"): row for row in csv.DictReader(file)}
    assert rows["22"] == {
        "label": "severe",
        "covid": "1.0",
        "severe": "1.0",
        "age": "85.0",
        "sex": "M",
    }
    assert (rows["23"]["age"], rows["23"]["sex"]) == ("", "")


def test_a_renamed_column_is_never_taken_from_the_second_block(root):
    write_table(root, with_second_block().replace("PatientID", "Patient", 1))
    checked, faults = found(stoic2021.DATASET, root)
    assert faults == {"table-columns": 1, "count-short": 1}
    assert not checked.classes


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (TABLE.replace("probSevere", "severe").encode(), "table-columns", "probSevere"),
        (TABLE.encode("utf-16"), "table-encoding", "utf-8"),
        (TABLE.replace("17,0,0", "17,0,1").encode(), "class-unknown", "probCOVID '0'"),
        (TABLE.replace("17,0,0", "17,0,2").encode(), "class-unknown", "probSevere '2'"),
        (TABLE.replace("17,0,0", "A17,0,0").encode(), "table-values", "A17"),
        (TABLE.replace("17,0,0", "6,0,0").encode(), "duplicate-patient", "6 stands twice"),
    ],
)
def test_a_damaged_table_is_named(root, content, code, says):
    (root / "metadata" / "reference.csv").write_bytes(content)
    checked, _ = found(stoic2021.DATASET, root)
    assert says in told(checked, code)[0][1]
    assert not checked.complete


def test_a_missing_table_is_named(root):
    (root / "metadata" / "reference.csv").unlink()
    assert found(stoic2021.DATASET, root)[1] == {"table-missing": 1, "count-short": 1}


def test_missing_scans_are_named_each(root):
    shutil.rmtree(root / "data" / "mha")
    checked, faults = found(stoic2021.DATASET, root)
    assert faults == {"folder-missing": 1, "count-short": 1, "file-missing": 4}
    assert told(checked, "file-missing")[0][0] == "data/mha/6.mha"


def test_a_scan_that_the_table_lacks_is_named_and_left_out(root, tmp_path):
    (root / "data" / "mha" / "99.mha").write_bytes(metaimage(ct(99)))
    assert found(stoic2021.DATASET, root)[1] == {"table-values": 1, "count-above": 1}
    assert len(prepared(stoic2021.DATASET, root, tmp_path, partial=True)) == 4


def test_damaged_scans_are_each_named(root):
    scans = root / "data" / "mha"
    (scans / "6.mha").write_bytes(b"")
    truncate(scans / "17.mha", 0.95)
    (scans / "22.mha").write_bytes(metaimage(ct(22) * 0))
    (scans / "22.mha.part").write_bytes(b"1")
    assert found(stoic2021.DATASET, root)[1] == {
        "image-empty": 1,
        "image-unreadable": 1,
        "image-constant": 1,
        "download-unfinished": 1,
    }


def test_one_image_under_two_patients_is_named(root):
    shutil.copy(root / "data" / "mha" / "6.mha", root / "data" / "mha" / "17.mha")
    assert found(stoic2021.DATASET, root)[1] == {"duplicate-image": 1}


@pytest.mark.data
def test_the_published_table_is_read_past_its_second_block(real_data, tmp_path):
    (tmp_path / "data" / "mha").mkdir(parents=True)
    (tmp_path / "metadata").mkdir()
    published = real_data / "stoic2021" / "reference.csv"
    shutil.copy(published, tmp_path / "metadata" / "reference.csv")
    checked, faults = found(stoic2021.DATASET, tmp_path)
    assert faults == {"count-short": 1, "file-missing": 2000}
    assert checked.counts[0].found == 2000


@pytest.mark.data
def test_the_published_table_alone_names_every_scan_that_is_not_there(real_data):
    checked, faults = found(stoic2021.DATASET, real_data / "stoic2021")
    assert faults == {"folder-missing": 1, "count-short": 1, "file-missing": 2000}
    assert checked.counts[0].found == 2000
