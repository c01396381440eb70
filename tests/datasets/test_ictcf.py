"""iCTCF in its original layout, whole and damaged; and one scan of it."""

import csv
import shutil

import pytest

from lungscore.datasets import ictcf
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

NAME = "ictcf"
HEADER = (
    ",Hospital,Age,Gender,Body temperature,Underlying diseases,SARS-CoV-2 nucleic acids,"
    "Computed tomography (CT),Morbidity outcome,Mortality outcome,C-reactive protein,TNF-α,"
    "Urine colour"
)
ROWS = (
    'Patient 1,Union,62,Male,36.5°C,"Hypertension, diabetes",Positive,Positive,Severe,Cured,'
    "<0.5,3.1↑,yellow",
    "Patient 2,Liyuan,41,Female,37.2°C,No underlying disease,Negative,Negative,Control,Unknown,"
    ",2.0,",
    "Patient 10,Union,,Male,,No underlying disease,Positive,,Critically ill,Deceased,120↑,-,red",
)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Three patients, two of them with a CT of three slices, and two sorted slices of each kind."""
    monkeypatch.setattr(ictcf, "PATIENTS", 3)
    monkeypatch.setattr(ictcf, "SORTED", dict.fromkeys(ictcf.SORTED, 2))
    root = tmp_path / "HUST-19"
    for patient in (1, 2):
        for index in (1, 2, 3):
            path = root / f"Patient {patient}/CT/IMG-0001-{index:05}.jpg"
            picture(path, 10 * patient + index)
    for seed, kind in enumerate(ictcf.SORTED):
        for index in (1, 2):
            picture(root / kind / f"{kind}{index}.jpg", 100 + 10 * seed + index)
    text(root / "clinical.csv", HEADER, *ROWS)
    return root


@pytest.fixture
def patients(root):
    """Patient -> their row of the table that goes with the manifest."""

    def read(*, partial: bool = False) -> dict[str, dict[str, str]]:
        prepared(NAME, root, partial=partial)
        with open(root.parent / "manifest.patients.csv", newline="") as file:
            return {row["patient"]: row for row in csv.DictReader(file)}

    return read


def test_a_whole_one_is_complete_and_gives_the_right_rows(root):
    assert checked(NAME, root).problems == ()
    rows = {row.path.removeprefix("HUST-19/"): row for row in prepared(NAME, root)}
    assert len(rows) == 12
    slice_ = rows["Patient 1/CT/IMG-0001-00002.jpg"]
    assert (slice_.case, slice_.patient, slice_.label) == ("Patient 1", "Patient 1", "Severe")
    assert len({row.group for row in rows.values() if row.case == "Patient 1"}) == 1
    kept = rows["pCT/pCT2.jpg"]
    assert (kept.case, kept.patient, kept.label) == ("pCT/pCT2", None, None)
    # It may be of any patient: it must never test.
    assert (kept.slice_label, kept.group) == ("pCT", "train")


def test_the_table_of_patients_has_numbers_and_empty_cells(patients):
    table = patients()
    assert list(table) == ["Patient 1", "Patient 2", "Patient 10"]
    assert table["Patient 1"] == {
        "patient": "Patient 1",
        "label": "Severe",
        "hospital": "Union",
        "age": "62.0",
        "sex": "male",
        "body_temperature": "36.5",
        "underlying_diseases": "Hypertension, diabetes",
        "nucleic_acids": "Positive",
        "ct_reading": "Positive",
        "mortality": "Cured",
        "C-reactive protein": "0.5",
        "TNF-α": "3.1",
        "Urine colour": "yellow",
    }
    assert (table["Patient 10"]["age"], table["Patient 10"]["TNF-α"]) == ("", "")
    assert table["Patient 10"]["C-reactive protein"] == "120.0"
    assert table["Patient 2"]["C-reactive protein"] == ""


def test_patients_may_lie_together_in_one_folder_and_be_called_by_number(root, patients):
    for patient in (1, 2):
        shutil.move(root / f"Patient {patient}", root / f"CT/Patient {patient}")
    replaced(root / "clinical.csv", "Patient 10", "10")
    assert codes(NAME, root) == {}
    assert "Patient 10" in patients()


def test_a_missing_folder_of_sorted_slices_is_told(root):
    shutil.rmtree(root / "NiCT")
    assert codes(NAME, root) == {"folder-missing": 1, "count-short": 1}
    with pytest.raises(InputError, match="folder-missing"):
        prepared(NAME, root)


def test_no_patient_at_all_is_told(root):
    for patient in (1, 2):
        shutil.rmtree(root / f"Patient {patient}")
    assert told(NAME, root, "folder-missing") == [("Patient 1", "there is no folder of a patient")]


def test_a_ct_that_was_read_but_is_not_here_is_told(root):
    shutil.rmtree(root / "Patient 2")
    (root / "Patient 3.zip.part").write_bytes(b"PK")
    assert told(NAME, root, "file-missing") == [
        ("Patient 2", "clinical.csv gives the reading of a CT that is not here")
    ]
    assert codes(NAME, root)["download-unfinished"] == 1


def test_a_ct_without_slices_or_without_its_folder_is_told(root):
    for path in (root / "Patient 1/CT").iterdir():
        path.unlink()
    (root / "Patient 2/CT").rename(root / "Patient 2/scan")
    counts = codes(NAME, root)
    assert (counts["file-missing"], counts["folder-missing"], counts["file-unknown"]) == (1, 1, 3)


def test_a_patient_that_the_table_does_not_have_is_told_and_left_out(root):
    shutil.copytree(root / "Patient 1", root / "Patient 7")
    assert codes(NAME, root)["table-values"] == 1
    assert "Patient 7" not in {row.patient for row in prepared(NAME, root, partial=True)}


def test_one_patient_in_two_places_is_told(root):
    shutil.copytree(root / "Patient 1", root / "more/Patient 1")
    assert codes(NAME, root) == {"duplicate-patient": 1, "file-unknown": 3}


@pytest.mark.parametrize(
    ("old", "new", "code", "told_of"),
    [
        ("Morbidity outcome", "Morbiditiy_outcom", "table-columns", "'Morbidity outcome'"),
        ("Severe", "Very ill", "class-unknown", "Patient 1 is 'Very ill'"),
        ("62,Male", "62,M", "class-unknown", "'M'"),
        ("Patient 2,", "Patient 1,", "duplicate-patient", "lines 2 and 3"),
        ("Patient 2,", "Lee,", "table-values", "line 3: the first cell is not a patient"),
        ("62,Male", "sixty,Male", "table-values", "1 cells of 'Age'"),
        (",2.0,", ",haemolytic,", "table-values", "line 3: 'haemolytic'"),
        (",2.0,", ",2.0", "table-values", "line 3 has 12 cells"),
    ],
)
def test_damage_in_the_table_is_told(root, old, new, code, told_of):
    if told_of.endswith("'haemolytic'"):  # most cells of a column say what it holds
        replaced(root / "clinical.csv", "120↑,-,red", "120↑,7.0,red")
    replaced(root / "clinical.csv", old, new)
    assert any(told_of in said for _, said in told(NAME, root, code))
    assert not checked(NAME, root).complete


def test_patients_of_an_unknown_class_are_left_out(root, patients):
    replaced(root / "clinical.csv", "Severe", "Very ill")
    assert patients(partial=True)["Patient 1"]["label"] == ""
    assert "Patient 1" not in {row.patient for row in prepared(NAME, root, partial=True)}


def test_another_encoding_and_a_missing_table_are_told(root):
    content = (root / "clinical.csv").read_text()
    (root / "clinical.csv").write_bytes(content.encode("gb18030"))
    assert codes(NAME, root) == {"table-encoding": 1}
    (root / "clinical.csv").unlink()
    assert codes(NAME, root) == {"table-missing": 1}
    assert {row.label for row in prepared(NAME, root, partial=True)} == {None}


def test_damaged_slices_are_named(root):
    truncated(root / "Patient 1/CT/IMG-0001-00001.jpg")
    (root / "pCT/pCT1.jpg").write_bytes(b"")
    picture(root / "nCT/nCT1.jpg", 1, values=(7,))
    assert codes(NAME, root) == {"image-unreadable": 1, "image-empty": 1, "image-constant": 1}


def test_a_sorted_slice_that_is_a_patients_is_kept_once_with_the_patient(root):
    shutil.copy(root / "Patient 1/CT/IMG-0001-00001.jpg", root / "pCT/pCT1.jpg")
    assert codes(NAME, root) == {"duplicate-copy": 1}
    assert "pCT/pCT1" not in {row.case for row in prepared(NAME, root)}


def test_one_sorted_slice_of_two_kinds_is_told_of_one_kind_kept_once(root):
    shutil.copy(root / "nCT/nCT1.jpg", root / "nCT/nCT2.jpg")
    assert codes(NAME, root) == {"duplicate-copy": 1}
    shutil.copy(root / "nCT/nCT1.jpg", root / "pCT/pCT1.jpg")
    assert codes(NAME, root) == {"duplicate-copy": 1, "duplicate-image": 1}


def test_what_stands_in_place_of_a_patient_is_not_repeated(root):
    replaced(root / "clinical.csv", "Patient 2,", "Lee Minho,")
    assert "Lee" not in str(checked(NAME, root).to_content())


@pytest.mark.data
def test_a_real_scan_is_read_whole(root, real_data):
    shutil.rmtree(root / "Patient 1/CT")
    shutil.copytree(real_data / "ictcf-volume-jpg", root / "Patient 1/CT")
    result = checked(NAME, root)
    assert result.problems == ()
    rows = [row for row in prepared(NAME, root) if row.case == "Patient 1"]
    assert len(rows) == 50
    assert [row.path for row in rows] == sorted(row.path for row in rows)
