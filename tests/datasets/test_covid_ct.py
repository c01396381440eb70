"""COVID-CT in its original layout, whole and damaged."""

import shutil

import pytest

from lungscore.datasets import covid_ct
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

NAME = "covid-ct"
SIDES = ("train", "val", "test")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Two images of each class on each side of the split; the two are of one patient."""
    few = {"train": 2, "validation": 2, "test": 2}
    classes = tuple(kind._replace(published=few) for kind in covid_ct.CLASSES)
    monkeypatch.setattr(covid_ct, "CLASSES", classes)
    root = tmp_path / "COVID-CT"
    covid, healthy = ["File name,Patient ID,Age,Severity"], [",image name,patient id"]
    for number, side in enumerate(SIDES):
        names = [f"2020.02.10.20021584-p6-52%{2 * number + index}.png" for index in range(2)]
        numbers = [f"{2 * number + index}.jpg" for index in range(2)]
        for index in range(2):
            picture(root / "Images-processed/CT_COVID" / names[index], 10 * number + index)
            picture(
                root / "Images-processed/CT_NonCOVID" / numbers[index], 50 + 10 * number + index
            )
        text(root / f"Data-split/COVID/{side}CT_COVID.txt", *names)
        text(root / f"Data-split/NonCOVID/{side}CT_NonCOVID.txt", *numbers)
        covid += [f'{name},Patient {number + 1},41,"mild, then well"' for name in names]
        healthy += [f"{index},{name},Patient {number + 1}" for index, name in enumerate(numbers)]
    text(root / "COVID-CT-MetaInfo.csv", *covid)
    text(root / "NonCOVID-CT-MetaInfo.csv", *healthy)
    (root / "COVID-CT-MetaInfo.xlsx").write_bytes(b"PK spreadsheet")
    text(root / "baseline methods/DenseNet169/DenseNet_predict.py", "pass")
    text(root / "Data-split/COVID/old_split/trainCT_COVID.txt", "2020.02.10.20021584-p6-52%0.png")
    return root


def test_a_whole_one_is_complete_and_keeps_the_authors_split(root):
    assert checked(NAME, root).problems == ()
    rows = {row.case: row for row in prepared(NAME, root)}
    assert len(rows) == 12
    sick, well = rows["COVID/2020.02.10.20021584-p6-52%3"], rows["NonCOVID/4"]
    assert (sick.label, sick.patient, sick.group) == ("COVID", "COVID Patient 2", "validation")
    assert (well.label, well.patient, well.group) == ("NonCOVID", "NonCOVID Patient 3", "test")


def test_a_name_without_its_suffix_in_the_table_is_found(root):
    replaced(root / "COVID-CT-MetaInfo.csv", "52%0.png", "52%0")
    assert codes(NAME, root) == {}
    assert all(row.patient for row in prepared(NAME, root))


def test_an_image_that_no_table_names_has_no_patient_and_is_counted(root):
    table = root / "COVID-CT-MetaInfo.csv"
    text(table, *table.read_text().splitlines()[:-1])
    result = checked(NAME, root)
    assert result.complete
    counts = {count.name: count.found for count in result.counts}
    assert counts["COVID images whose patient is known"] == 5
    assert [row.group for row in prepared(NAME, root) if row.patient is None] == ["test"]


def test_the_spreadsheet_alone_is_told_how_to_export(root):
    (root / "COVID-CT-MetaInfo.csv").unlink()
    ((path, said),) = told(NAME, root, "table-missing")
    assert path == "COVID-CT-MetaInfo.csv"
    assert "sheet positive_captions of COVID-CT-MetaInfo.xlsx" in said
    (root / "COVID-CT-MetaInfo.xlsx").unlink()
    assert told(NAME, root, "table-missing") == [(path, "there is no such table")]


def test_a_missing_folder_is_one_problem_beside_its_count(root):
    shutil.rmtree(root / "Images-processed/CT_COVID")
    assert codes(NAME, root) == {"folder-missing": 1, "count-short": 1}


def test_a_missing_image_is_named_by_list_and_table(root):
    (root / "Images-processed/CT_NonCOVID/4.jpg").unlink()
    problems = told(NAME, root, "file-missing")
    assert {path for path, _ in problems} == {"Images-processed/CT_NonCOVID/4.jpg"}
    assert [text.split(" names")[0] for _, text in problems] == [
        "Data-split/NonCOVID",
        "NonCOVID-CT-MetaInfo.csv",
    ]
    assert told(NAME, root, "count-short") == [("NonCOVID images", "5 of 6")]


def test_a_missing_list_is_one_problem(root):
    (root / "Data-split/COVID/valCT_COVID.txt").unlink()
    assert codes(NAME, root) == {"table-missing": 1}


def test_an_image_on_two_sides_or_on_none_is_left_out(root):
    lists = root / "Data-split/NonCOVID"
    text(lists / "testCT_NonCOVID.txt", "4.jpg", "0.jpg")
    assert told(NAME, root, "table-values") == [
        (
            "Images-processed/CT_NonCOVID/0.jpg",
            "2 lists in Data-split/NonCOVID name it; it was left out",
        ),
        (
            "Images-processed/CT_NonCOVID/5.jpg",
            "0 lists in Data-split/NonCOVID name it; it was left out",
        ),
    ]
    cases = {row.case for row in prepared(NAME, root, partial=True)}
    assert len(cases) == 10
    assert not cases & {"NonCOVID/0", "NonCOVID/5"}


def test_a_patient_on_both_sides_is_told(root):
    replaced(root / "COVID-CT-MetaInfo.csv", "52%5.png,Patient 3", "52%5.png,Patient 1")
    assert codes(NAME, root) == {"patient-on-both-sides": 1}
    with pytest.raises(InputError, match="patient-on-both-sides"):
        prepared(NAME, root)
    patients = {row.patient for row in prepared(NAME, root, partial=True)}
    assert "COVID Patient 1" not in patients


def test_an_image_of_two_patients_is_told(root):
    with open(root / "COVID-CT-MetaInfo.csv", "a") as table:
        table.write("2020.02.10.20021584-p6-52%0.png,Patient 3,,\n")
    assert codes(NAME, root) == {"duplicate-patient": 1}
    patients = {row.patient for row in prepared(NAME, root, partial=True)}
    assert not patients & {"COVID Patient 1", "COVID Patient 3"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("Patient ID", "Patient", "table-columns"),
        ("52%0.png,Patient 1", "52%0.png,", "table-values"),
    ],
)
def test_damage_in_a_table_is_told(root, old, new, code):
    replaced(root / "COVID-CT-MetaInfo.csv", old, new)
    assert codes(NAME, root) == {code: 1}


def test_another_encoding_is_told(root):
    replaced(root / "NonCOVID-CT-MetaInfo.csv", "Patient 1", "Pätient 1", encoding="latin-1")
    replaced(root / "Data-split/COVID/valCT_COVID.txt", "52%2", "52é2", encoding="latin-1")
    assert codes(NAME, root) == {"table-encoding": 2}


def test_damaged_images_and_strangers_are_named(root):
    folder = root / "Images-processed/CT_COVID"
    truncated(folder / "2020.02.10.20021584-p6-52%0.png")
    (folder / "2020.02.10.20021584-p6-52%1.png").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    (root / "Images-processed/CT_COVID.zip").write_bytes(b"PK")
    assert codes(NAME, root) == {
        "image-unreadable": 1,
        "image-empty": 1,
        "file-unknown": 1,
        "archive-left": 1,
    }


def test_one_figure_in_both_classes_is_told(root):
    images = root / "Images-processed"
    shutil.copy(images / "CT_COVID/2020.02.10.20021584-p6-52%0.png", images / "CT_NonCOVID/0.png")
    (images / "CT_NonCOVID/0.jpg").unlink()
    for path in ("Data-split/NonCOVID/trainCT_NonCOVID.txt", "NonCOVID-CT-MetaInfo.csv"):
        replaced(root / path, "0.jpg", "0.png")
    assert codes(NAME, root) == {"duplicate-image": 1}
