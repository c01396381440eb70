"""COVID-CT-MD as a small tree in its own layout, whole and damaged."""

import csv
import shutil
from collections import Counter

import numpy as np
import pydicom
import pytest

from lungscore.datasets import covid_ct_md
from lungscore.datasets.covid_ct_md_labels import LOBE_ORDER
from lungscore.datasets.manifest import read_rows
from lungscore.datasets.prepare import patients_path, prepare
from tests.datasets.volumes_on_disk import found, prepared, told, truncate
from tests.scan.scan_builder import write_series

SLICES, DEPTH = 5, 8

#: The 44th case bears number 44: 43 is nobody's. Here the third bears number 3: 2 is nobody's.
INDEX = """Label Index,Diagnosis,Relative Path,Folder/ID
0,COVID-19,./COVID-19/,P001
1,COVID-19,./COVID-19/,P002
3,CAP,./CAP/,cap001
"""
CLINICAL = """,Diagnosis,Folder,Patient Gender,Patient Age,Weight,Cough
0,COVID-19,P001,M,039Y,80,1
1,COVID-19,P002,F,048Y,NA,0
2,COVID-19,P003,M,068Y,90,unknown
3,CAP,cap001,M,062Y,50,0
4,Normal,normal001,F,049Y,82,0
"""
PATIENTS = {
    "COVID-19 Cases": ("P001", "P002", "P003"),
    "Cap Cases": ("cap001",),
    "Normal Cases": ("normal001",),
}

#: Infected slices from superior to inferior of the three labelled patients.
INFECTED = {"P001": (1, 2), "P002": (0, 4), "cap001": (3,)}


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Infection of (case, slice) and (case, slice, lobe), three cases; all of it in one lobe."""
    lobes = np.zeros((len(INFECTED), DEPTH, len(LOBE_ORDER)), np.int64)
    for case, slices in enumerate(INFECTED.values()):
        lobes[case, list(slices), case] = 1
    return lobes.any(axis=2).astype(np.int64), lobes


def write_patient(folder, seed: int) -> None:
    """Slices IM0001.dcm…, the most inferior one first; every one has the SOPInstanceUID of all."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-1000, 400, (SLICES, 6, 8), dtype=np.int16)

    def edit(index, dataset) -> None:
        dataset.SliceLocation = str(-100 - 2 * index)
        dataset.PatientID, dataset.SOPInstanceUID = folder.name, "1.2.3"

    for index, path in enumerate(write_series(folder, values, edit=edit, prefix="T")):
        path.rename(folder / f"IM{SLICES - index:04d}.dcm")


@pytest.fixture
def root(tmp_path, monkeypatch):
    counts = {"Normal": 1, "CAP": 1, "COVID-19": 3}
    classes = {label: (folder, counts[label]) for label, (folder, _) in covid_ct_md.CLASSES.items()}
    monkeypatch.setattr(covid_ct_md, "CLASSES", classes)
    monkeypatch.setattr("lungscore.datasets.covid_ct_md_labels.LABELLED", 3)
    root = tmp_path / "COVID-CT-MD"
    patients = [f"{folder}/{who}" for folder in PATIENTS for who in PATIENTS[folder]]
    for seed, who in enumerate(patients):
        write_patient(root / who, seed)
    (root / "Index.csv").write_text(INDEX)
    (root / "Clinical-data.csv").write_text(CLINICAL)
    for name, array in zip(("Slice", "Lobe"), arrays(), strict=True):
        np.save(root / f"{name}-level-labels.npy", array)
    return root


def infected(rows) -> dict[str, tuple[int, ...]]:
    """patient -> which of its slices, from superior to inferior, are infected."""
    infected_slices: dict[str, list[int]] = {}
    for row in rows:
        below = SLICES - int(row.path[-8:-4])
        if row.slice_label == "infected":
            infected_slices.setdefault(row.patient, []).append(below)
    return {who: tuple(sorted(slices)) for who, slices in infected_slices.items()}


def test_a_whole_download_is_complete_with_labels_of_slices(root, tmp_path):
    checked, faults = found(covid_ct_md.DATASET, root)
    assert checked.complete
    assert not faults
    assert (checked.images, checked.cases, checked.patients) == (25, 5, 5)
    assert checked.classes == {"Normal": 1, "CAP": 1, "COVID-19": 3}
    rows = prepared(covid_ct_md.DATASET, root, tmp_path)
    assert {(row.patient, row.label, row.kind) for row in rows} == {
        ("normal001", "Normal", "dicom"),
        ("cap001", "CAP", "dicom"),
        *((f"P00{i}", "COVID-19", "dicom") for i in (1, 2, 3)),
    }
    assert infected(rows) == INFECTED
    labelled = {row.patient for row in rows if row.slice_label == "not-infected"}
    assert labelled == set(INFECTED)
    assert len({(row.patient, row.group) for row in rows}) == 5


def test_the_table_of_patients_has_symptoms_and_slices_by_lobe(root, tmp_path):
    prepared(covid_ct_md.DATASET, root, tmp_path)
    with open(patients_path(tmp_path / "manifest.csv"), newline="") as file:
        rows = {row["patient"]: row for row in csv.DictReader(file)}
    assert {key: rows["P002"][key] for key in ("label", "sex", "age", "weight", "cough")} == {
        "label": "COVID-19",
        "sex": "F",
        "age": "48.0",
        "weight": "",
        "cough": "0.0",
    }
    assert [rows["P002"][f"{name} slices"] for name in LOBE_ORDER] == ["0", "2", "0", "0", "0"]
    assert [rows["P003"][f"{name} slices"] for name in LOBE_ORDER] == [""] * 5
    assert rows["P003"]["cough"] == "unknown"


def test_arrays_with_a_case_for_every_number_are_read_by_number(root, tmp_path):
    for name, array in zip(("Slice", "Lobe"), arrays(), strict=True):
        np.save(root / f"{name}-level-labels.npy", np.insert(array, 2, 1, axis=0))
    assert infected(prepared(covid_ct_md.DATASET, root, tmp_path)) == INFECTED


def test_corrected_arrays_are_preferred(root, tmp_path):
    slices, lobes = arrays()
    slices[0, :3] = (1, 0, 0)
    np.save(root / "Slice-level-labels-updated-1.npy", slices)
    np.save(root / "Lobe-level-labels-updated-1.npy", lobes)
    rows = prepared(covid_ct_md.DATASET, root, tmp_path)
    assert infected(rows) == {**INFECTED, "P001": (0,)}


def test_folders_may_be_called_subjects(root):
    for folder in PATIENTS:
        (root / folder).rename(root / folder.replace("Cases", "subjects").replace("Cap", "CAP"))
    assert found(covid_ct_md.DATASET, root)[0].complete


def test_a_missing_class_is_named_with_its_patients(root):
    shutil.rmtree(root / "Cap Cases")
    checked, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"folder-missing": 1, "count-short": 1, "file-missing": 1}
    assert told(checked, "file-missing")[0][0] == "cap001"


def test_a_lost_slice_takes_the_labels_of_its_patient(root, tmp_path):
    (root / "COVID-19 Cases" / "P001" / "IM0003.dcm").unlink()
    (root / "COVID-19 Cases" / "P003" / "IM0002.dcm").unlink()
    checked, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"number-gap": 2, "table-values": 1}
    assert told(checked, "table-values")[0][1] == "not used for P001: slices are missing"
    rows = prepared(covid_ct_md.DATASET, root, tmp_path, partial=True)
    assert {row.slice_label for row in rows if row.patient == "P001"} == {None}


def test_numbers_beyond_measure_are_no_gaps_without_end(root):
    folder = root / "Normal Cases" / "normal001"
    (folder / "IM0005.dcm").rename(folder / "IM99999999999999.dcm")
    checked, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"number-gap": 1}
    assert told(checked, "number-gap")[0][1] == "no slice is numbered 5, 6, 7, 8, 9, 10"


def test_labels_behind_the_last_slice_are_not_used(root):
    slices, _ = arrays()
    slices[1, SLICES] = 1
    np.save(root / "Slice-level-labels.npy", slices)
    checked, _ = found(covid_ct_md.DATASET, root)
    text = "not used for P002: slice 6 is labelled as infected, there are 5 slices"
    assert told(checked, "table-values") == [("Slice-level-labels", text)]


@pytest.mark.parametrize("location", [None, "-100"])
def test_slices_without_an_order_get_no_labels(root, location):
    for path in sorted((root / "COVID-19 Cases" / "P001").iterdir())[:2]:
        dataset = pydicom.dcmread(path)
        dataset.SliceLocation = location
        dataset.save_as(path)
    checked, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"table-values": 1}
    assert "the slice locations" in told(checked, "table-values")[0][1]


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("Index.csv", INDEX.replace("Folder/ID", "Folder"), "table-columns", "Folder/ID"),
        ("Index.csv", INDEX + "4,CAP,./CAP/,cap001\n", "duplicate-patient", "cap001"),
        ("Index.csv", INDEX.replace("3,CAP", "x,CAP"), "table-values", "'x'"),
        ("Clinical-data.csv", CLINICAL.replace("Folder", "ID"), "table-columns", "Folder"),
        ("Clinical-data.csv", CLINICAL.replace("CAP,", "Cap,"), "class-unknown", "Cap"),
        (
            "Clinical-data.csv",
            CLINICAL + "5,CAP,cap001,M,062Y,50,0\n",
            "duplicate-patient",
            "cap001",
        ),
        (
            "Clinical-data.csv",
            CLINICAL.replace("3,CAP", "3,Normal"),
            "patient-in-two-classes",
            "Normal",
        ),
        ("Clinical-data.csv", CLINICAL.replace("P003", "P004"), "file-missing", "Clinical-data"),
    ],
)
def test_a_damaged_table_is_named(root, name, content, code, says):
    (root / name).write_text(content)
    checked, _ = found(covid_ct_md.DATASET, root)
    assert says in told(checked, code)[0][1]
    assert not checked.complete


def test_tables_in_another_encoding_are_named(root):
    for name in ("Index.csv", "Clinical-data.csv"):
        (root / name).write_bytes((root / name).read_bytes().replace(b"M", b"\xe9"))
    (root / "Index.csv").write_bytes(b"\xff\xfe" + INDEX.encode("utf-16-le"))
    assert found(covid_ct_md.DATASET, root)[1]["table-encoding"] == 2


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([[1, 0], [0, 1], None], dtype=object), "Python objects"),
        (np.zeros((3, 8, 2)), "its axes should be 2"),
        (np.full((3, 8), 2), "other values than 0 and 1"),
        (np.zeros((7, 8)), "it has 7 cases, Index.csv has 3"),
        (np.array([["a"]]), "its axes should be 2"),
    ],
)
def test_arrays_that_cannot_be_are_named_and_never_unpickled(root, array, says):
    np.save(root / "Slice-level-labels.npy", array, allow_pickle=True)
    checked, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"table-values": 1}
    assert says in told(checked, "table-values")[0][1]


def test_lobes_are_five(root):
    np.save(root / "Lobe-level-labels.npy", np.zeros((3, 8, 4)))
    checked, _ = found(covid_ct_md.DATASET, root)
    assert "(3, 8, 4)" in told(checked, "table-values")[0][1]


def test_arrays_that_are_missing_empty_or_cut_are_named(root):
    (root / "Lobe-level-labels.npy").write_bytes(b"")
    truncate(root / "Slice-level-labels.npy")
    _, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"table-values": 2}
    (root / "Slice-level-labels.npy").unlink()
    assert found(covid_ct_md.DATASET, root)[1] == {"table-values": 1, "table-missing": 1}


def test_damaged_slices_and_empty_folders_are_named(root):
    folder = root / "Normal Cases" / "normal001"
    (folder / "IM0001.dcm").write_bytes(b"")
    truncate(folder / "IM0002.dcm", 0.9)
    (folder / "IM0003.dcm").write_bytes(b"no DICOM at all")
    for path in (root / "Cap Cases" / "cap001").iterdir():
        path.unlink()
    assert found(covid_ct_md.DATASET, root)[1] == {
        "image-empty": 1,
        "image-unreadable": 2,
        "file-missing": 1,
    }


def test_a_patient_filed_under_two_classes_is_left_out_wholly(root, tmp_path):
    write_patient(root / "Cap Cases" / "P001", 77)
    _, faults = found(covid_ct_md.DATASET, root)
    assert faults == {"patient-in-two-classes": 1, "count-above": 1}
    rows = prepared(covid_ct_md.DATASET, root, tmp_path, partial=True)
    assert "P001" not in {row.patient for row in rows}


@pytest.mark.slow
@pytest.mark.data
def test_real_slices_get_the_radiologists_labels(real_data, tmp_path):
    source = real_data / "covid-ct-md"
    root = tmp_path / "COVID-CT-MD"
    for folder, who in (("COVID-19 Cases", "P002"), ("Normal Cases", "normal002")):
        (root / folder).mkdir(parents=True)
        (root / folder / who).symlink_to(source / who)
    (root / "Index.csv").write_text(INDEX.splitlines()[0] + "\n1,COVID-19,./COVID-19/,P002\n")
    with open(source / "P002_labels.csv", newline="") as file:
        labels = [
            [int(row[name]) for name in ("infected", *LOBE_ORDER)] for row in csv.DictReader(file)
        ]
    stored = np.zeros((1, 180, 6), np.uint8)
    stored[0, : len(labels)] = labels
    np.save(root / "Slice-level-labels.npy", stored[..., 0])
    np.save(root / "Lobe-level-labels.npy", stored[..., 1:])
    told_all = prepare(covid_ct_md.DATASET, root, tmp_path / "manifest.csv", partial=True)
    faults = Counter(problem.code for problem in told_all.problems)
    assert faults == {"table-missing": 1, "count-short": 4, "folder-missing": 1}
    rows = list(read_rows(tmp_path / "manifest.csv"))
    assert len(rows) == 300
    # Both patients are numbered from superior to inferior.
    told_of = [row.slice_label == "infected" for row in rows if row.patient == "P002"]
    assert told_of == [bool(row[0]) for row in labels]
    assert sum(told_of) == 68


@pytest.mark.data
@pytest.mark.slow
def test_folders_of_single_patients_are_known_by_their_names(real_data, tmp_path):
    manifest = tmp_path / "manifest.csv"
    told_all = prepare(covid_ct_md.DATASET, real_data / "covid-ct-md", manifest, partial=True)
    faults = Counter(problem.code for problem in told_all.problems)
    assert faults == {"table-missing": 1, "folder-missing": 1, "count-short": 4}
    rows = list(read_rows(manifest))
    assert len(rows) == 300
    classes = {(row.patient, row.label) for row in rows}
    assert classes == {("P002", "COVID-19"), ("normal002", "Normal")}
    assert Counter(row.slice_label for row in rows if row.patient == "P002") == {
        "infected": 68,
        "not-infected": 65,
    }
    assert {row.slice_label for row in rows if row.patient == "normal002"} == {None}


@pytest.mark.data
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.replace("\n1,0,", "\n1,2,"), "line 3"),
        pytest.param(
            lambda text: text.replace("\n7,", "\n8,", 1), "line 9", marks=pytest.mark.slow
        ),
        pytest.param(
            lambda text: text.replace("infected", "ill"),
            "no column 'infected'",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_damaged_table_of_one_patient_is_named(real_data, tmp_path, edit, says):
    source = real_data / "covid-ct-md"
    (tmp_path / "P002").symlink_to(source / "P002")
    (tmp_path / "P002_labels.csv").write_text(edit((source / "P002_labels.csv").read_text()))
    checked, faults = found(covid_ct_md.DATASET, tmp_path)
    assert faults["table-values"] + faults["table-columns"] == 1
    assert any(p.path == "P002_labels.csv" and says in p.found for p in checked.problems)
