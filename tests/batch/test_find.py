"""Which cases lie below a folder, and what they are called."""

import gzip
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from lungscore.batch.case import COHORT_FILES, components_of, distinct, joined
from lungscore.batch.find import find_cases
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series

NIFTI = bytes(344) + b"n+1\0"


def touch(path: Path, content: bytes = b"text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def nifti(path: Path) -> Path:
    return touch(path, gzip.compress(NIFTI) if path.suffix == ".gz" else NIFTI)


def slices(folder: Path, count: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(np.full((8, 8), index, np.uint8)).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dicom") / "series"
    write_dicom_series(make_phantom("healthy", shape=(3, 32, 32)).scan, folder)
    return folder


def dicom(series: Path, folder: Path, patient: str, study: str) -> None:
    folder.mkdir(parents=True)
    for path in sorted(series.iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.PatientID, dataset.StudyInstanceUID = patient, study
        dataset.save_as(folder / path.name)


def cases_in(root: Path) -> dict[str, str]:
    """Name -> place of all cases, in order; the code instead where a case is refused."""
    return {
        case.name: case.error.code if case.error else case.path.relative_to(root).as_posix()
        for case in find_cases(root)
    }


# One scan


@pytest.mark.parametrize("kind", ["file", "nothing", "empty", "text", "one volume", "slices"])
def test_what_is_one_scan_stays_the_input_itself(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "scan.1"
    if kind == "file":
        root = nifti(tmp_path / "scan.1.nii.gz")
    elif kind == "empty":
        root.mkdir()
    elif kind == "text":
        touch(root / "read me.txt")
    elif kind == "one volume":
        nifti(root / "deep" / "a.nii")
        touch(root / "table.csv")
    elif kind == "slices":
        slices(root / "deep" / "er", 5)
    (case,) = find_cases(root)
    assert (case.name, case.path, case.error) == ("scan.1", root, None)


def test_one_study_in_several_folders_is_one_scan(tmp_path: Path, series: Path) -> None:
    for name in ("lung", "soft", "deep/er"):
        dicom(series, tmp_path / "exam" / name, "P1", "1.2")
    assert cases_in(tmp_path / "exam") == {"exam": "."}


def test_dicom_goes_before_the_volumes_and_pictures_beside_it(tmp_path: Path, series: Path) -> None:
    dicom(series, tmp_path / "exam", "P1", "1.2")
    nifti(tmp_path / "exam" / "a.nii")
    nifti(tmp_path / "exam" / "masks" / "b.nii")
    slices(tmp_path / "exam" / "pictures")
    assert cases_in(tmp_path / "exam") == {"exam": "."}


# Several


def test_volumes_and_archives_are_a_case_each_in_natural_order(tmp_path: Path) -> None:
    for name in ("scan10.nii", "scan9.nii.gz", "scan2/ct.nrrd"):
        nifti(tmp_path / name)
    touch(tmp_path / "packed.zip", b"PK\x03\x04")
    touch(tmp_path / "notes.txt")
    touch(tmp_path / "docs" / "notes.txt")
    slices(tmp_path, 1)  # a picture beside volumes
    assert list(cases_in(tmp_path).items()) == [
        ("packed", "packed.zip"),
        ("scan2__ct", "scan2/ct.nrrd"),
        ("scan9", "scan9.nii.gz"),
        ("scan10", "scan10.nii"),
    ]


def test_a_lone_archive_in_a_folder_is_the_scan(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "packed.zip", b"PK\x03\x04")
    assert cases_in(tmp_path) == {"packed": "a/packed.zip"}


def test_patients_with_one_study_are_one_case_and_with_two_are_two(
    tmp_path: Path, series: Path
) -> None:
    dicom(series, tmp_path / "P1" / "lung", "P1", "1.1")
    dicom(series, tmp_path / "P1" / "soft", "P1", "1.1")
    dicom(series, tmp_path / "P2" / "May", "P2", "1.2")
    dicom(series, tmp_path / "P2" / "June", "P2", "1.3")
    slices(tmp_path / "P3" / "slices")
    assert cases_in(tmp_path) == {
        "P1": "P1",
        "P2__June": "P2/June",
        "P2__May": "P2/May",
        "P3__slices": "P3/slices",
    }


def test_files_that_name_no_study_are_of_one_only_in_one_folder(
    tmp_path: Path, series: Path
) -> None:
    dicom(series, tmp_path / "a", "", "")
    dicom(series, tmp_path / "b", "", "")
    assert cases_in(tmp_path) == {"a": "a", "b": "b"}


def test_dicom_files_without_an_ending_are_looked_at(tmp_path: Path, series: Path) -> None:
    for patient in ("P1", "P2"):
        dicom(series, tmp_path / patient, patient, "1.2")
        for path in sorted((tmp_path / patient).iterdir()):
            path.rename(path.with_name(f"1.2.{path.stem}"))
        touch(tmp_path / patient / "0 info.txt")
    touch(tmp_path / "DICOMDIR", bytes(128) + b"DICM")
    assert cases_in(tmp_path) == {"P1": "P1", "P2": "P2"}


@pytest.mark.parametrize("beside", ["dicom", "slices"])
def test_slices_beside_folders_of_scans_are_refused_and_the_folders_taken(
    tmp_path: Path, series: Path, beside: str
) -> None:
    root = tmp_path / "root"
    if beside == "dicom":
        dicom(series, root, "P1", "1.1")
        dicom(series, root / "other", "P2", "1.2")
    else:
        slices(root)
        slices(root / "other")
    assert cases_in(root) == {"root__": "several-inputs", "other": "other"}


def test_faulty_scans_are_cases_and_hidden_names_and_results_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "cut" / "1.dcm")
    touch(tmp_path / "void.nii.gz", b"")
    touch(tmp_path / "text.nrrd")
    (tmp_path / "nothing").mkdir()
    nifti(tmp_path / "._scan.nii")
    nifti(tmp_path / ".tmp-1" / "lungs.nii")
    nifti(tmp_path / "done" / "lesions.nii.gz")
    nifti(tmp_path / "done" / "lungs.nii.gz")
    touch(tmp_path / "done" / "result.json", b"{}")
    assert cases_in(tmp_path) == {
        "cut": "cut",
        "nothing": "nothing",
        "text": "text.nrrd",
        "void": "void.nii.gz",
    }


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
def test_links_to_folders_and_pipes_are_left_alone(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii")
    nifti(tmp_path / "b.nii")
    (tmp_path / "circle").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.nii")
    assert cases_in(tmp_path) == {"a": "a.nii", "b": "b.nii"}


def test_cases_are_found_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        nifti(tmp_path / name / "1.nii")
    listed = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(Path(path).name) or real(path))
    next(find_cases(tmp_path))
    assert "c" not in listed


# Names


def test_names_are_never_alike_on_any_file_system(tmp_path: Path) -> None:
    places = ["a__b/c.nii", "a/b__c.nii", "a/b/c.nii", "a_/b.nii", "a/_b.nii", "a/b.nii"]
    places += ["a/b.nrrd", "A.nii", "a.nrrd", "cohort.csv/x.nii", "cohort.csv.nii"]
    for path in places:
        nifti(tmp_path / path)
    names = [case.name for case in find_cases(tmp_path)]
    assert len(names) == len(places)
    assert len({name.casefold() for name in names}) == len(names)
    assert not {name.casefold() for name in names} & set(COHORT_FILES)


def test_a_name_depends_on_the_path_and_its_siblings_alone(tmp_path: Path) -> None:
    nifti(tmp_path / "one" / "scan.nii")
    nifti(tmp_path / "two" / "scan.nii")
    before = cases_in(tmp_path)
    shutil.copytree(tmp_path / "one", tmp_path / "three")
    assert before.items() < cases_in(tmp_path).items()
    assert set(before) == {"one__scan", "two__scan"}


def test_digits_follow_where_parts_would_be_alike() -> None:
    components = components_of(["scan.nii", "scan.nrrd", "other", "x__y"])
    assert components["other"] == "other"
    assert all(
        len(components[name].rsplit("-", 1)[1]) == 8 for name in ("scan.nii", "scan.nrrd", "x__y")
    )
    assert len(joined(["long" * 20] * 5).encode()) <= 120


def test_names_of_a_table_get_digits_only_where_folders_would_be_alike() -> None:
    names = distinct(["NCP/1/10", "NCP_1_10", "P1", unicodedata.normalize("NFD", "é"), "é"])
    assert names["P1"] == "P1"
    assert len({name.casefold() for name in names.values()}) == 5
    assert distinct(["NCP/1/10"]) == {"NCP/1/10": "NCP_1_10"}
