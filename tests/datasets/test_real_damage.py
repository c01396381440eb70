"""`data check` on the real trees at hand, and on copies of them that were damaged in one place."""

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore.datasets.catalogue import dataset
from lungscore.datasets.check import check
from lungscore.datasets.covid_semiseg import DATASET as COVID_SEMISEG
from lungscore.datasets.records import Problem
from tests.sampling import sampled

pytestmark = pytest.mark.data

DOCTOR = "TrainingSet/LungInfection-Train/Doctor-label"
PSEUDO = "TrainingSet/LungInfection-Train/Pseudo-label"
CLASSES = "TrainingSet/MultiClassInfection-Train"
TEST = "TestingSet/LungInfection-Test"

#: Unlabelled slices that a copy keeps: enough to be damaged, and quick.
KEPT = 6


def linked(source: Path, to: Path, keep: Callable[[Path], bool] = lambda path: True) -> Path:
    """A copy of a tree whose files are links: what is damaged is replaced, never written into."""
    for folder, _, names in os.walk(source):
        for name in names:
            path = Path(folder, name)
            if keep(path):
                link = to / path.relative_to(source)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path)
    return to


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def rewrite(path: Path, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """The picture with other pixels."""
    with Image.open(path) as picture:
        values, form = np.asarray(picture), picture.format
    path.unlink()
    Image.fromarray(edit(values).astype(np.uint8)).save(path, format=form)


def problems_of(name: str, root: Path) -> set[tuple[str, str]]:
    return {(p.code, p.path) for p in check(dataset(name), root).problems}


# What is truly missing from the trees at hand


@pytest.mark.slow
def test_covid_semiseg_lacks_24_test_slices_and_nothing_else(real_data):
    checked = check(COVID_SEMISEG, real_data / "covid-semiseg", threads=2)
    assert checked.problems == (Problem("count-short", "test slices", "24 of 48"),)
    assert checked.images == 1674


def test_medseg_lacks_24_slices_and_nothing_else(real_data):
    checked = check(dataset("medseg"), real_data / "medseg-slices")
    assert {(p.code, p.found) for p in checked.problems} == {("count-short", "76 of 100")}
    assert checked.images == 76


def test_mosmed_has_its_registry_alone_and_every_study_is_named(real_data):
    problems = check(dataset("mosmed"), real_data / "mosmed").problems
    missing = [p.path for p in problems if p.code == "file-missing"]
    assert len([path for path in missing if path.startswith("studies/")]) == 1110
    assert len([path for path in missing if path.startswith("masks/")]) == 50
    assert {p.code for p in problems} == {"file-missing", "folder-missing", "count-short"}


# COVID-SemiSeg, damaged


@pytest.fixture
def semiseg(real_data, tmp_path):
    source = real_data / "covid-semiseg"
    unlabelled = sorted((source / PSEUDO / "Imgs").iterdir())[:KEPT]
    stems = {path.stem for path in unlabelled}
    return linked(
        source, tmp_path / "copy", lambda path: PSEUDO not in str(path) or path.stem in stems
    )


BASELINE = {("count-short", "test slices"), ("count-short", "slices without radiologists' labels")}


def no_folder(root):
    shutil.rmtree(root / CLASSES / "Prior")
    return {("folder-missing", f"{CLASSES}/Prior")}


def no_mask(root):
    (root / DOCTOR / "GT/17.png").unlink()
    return {("file-missing", f"{DOCTOR}/GT/17.png")}


def no_image(root):
    (root / DOCTOR / "Imgs/17.jpg").unlink()
    return {("file-missing", f"{DOCTOR}/Imgs/17.jpg"), ("count-short", "training slices")}


def cut_image(root):
    path = root / DOCTOR / "Imgs/5.jpg"
    replace(path, path.read_bytes()[:-2000])
    return {("image-unreadable", f"{DOCTOR}/Imgs/5.jpg")}


def cut_mask(root):
    path = root / DOCTOR / "GT/5.png"
    replace(path, path.read_bytes()[:-40])
    return {("image-unreadable", f"{DOCTOR}/GT/5.png")}


def empty_file(root):
    replace(root / TEST / "GT" / sorted(os.listdir(root / TEST / "GT"))[0], b"")
    return {("image-empty", f"{TEST}/GT/{sorted(os.listdir(root / TEST / 'GT'))[0]}")}


def wrong_values(root):
    rewrite(root / DOCTOR / "GT/10.png", lambda values: values // 2)
    return {("label-values", f"{DOCTOR}/GT/10.png")}


def wrong_class(root):
    with Image.open(root / CLASSES / "GT/10.png") as picture:
        values = np.asarray(picture).copy()
    values[0, 0] = 3
    (root / CLASSES / "GT/10.png").unlink()
    Image.fromarray(values).save(root / CLASSES / "GT/10.png")
    return {("label-values", f"{CLASSES}/GT/10.png")}


def wrong_size(root):
    rewrite(root / DOCTOR / "Edge/10.png", lambda values: values[1:])
    return {("sizes-differ", f"{DOCTOR}/Edge/10.png")}


def constant(root):
    rewrite(root / DOCTOR / "Imgs/3.jpg", lambda values: np.full_like(values, 90))
    return {("image-constant", f"{DOCTOR}/Imgs/3.jpg")}


def text_for_image(root):
    replace(root / DOCTOR / "Imgs/3.jpg", b"<html>404 Not Found</html>" * 40)
    return {("image-unreadable", f"{DOCTOR}/Imgs/3.jpg")}


def unfinished(root):
    (root / TEST / "Imgs/40.jpg.part").write_bytes(b"\xff\xd8\xff")
    return {("download-unfinished", f"{TEST}/Imgs/40.jpg.part")}


def archive(root):
    (root / "TestingSet.zip").write_bytes(b"PK\x03\x04")
    return {("archive-left", "TestingSet.zip")}


def stranger(root):
    (root / "TrainingSet/results.xlsx").write_bytes(b"PK")
    return {("file-unknown", "TrainingSet/results.xlsx")}


DAMAGES = (
    no_folder,
    no_mask,
    no_image,
    cut_image,
    cut_mask,
    empty_file,
    wrong_values,
    wrong_class,
    wrong_size,
    constant,
    text_for_image,
    unfinished,
    archive,
    stranger,
)


def test_the_copy_is_as_whole_as_the_tree(semiseg):
    assert problems_of("covid-semiseg", semiseg) == BASELINE


@pytest.mark.parametrize("damage", sampled(DAMAGES, every=3), ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_named_and_nothing_else_is(semiseg, damage):
    expected = damage(semiseg)
    assert problems_of("covid-semiseg", semiseg) - BASELINE == expected


def test_a_training_slice_among_the_test_slices_is_named(semiseg):
    """With its labels, so that nothing else is wrong with it."""
    name = sorted(path.stem for path in (semiseg / TEST / "GT").iterdir())[0]
    test_classes = "TestingSet/MultiClassInfection-Test"
    for own, copied in (
        (f"{DOCTOR}/Imgs/0.jpg", f"{TEST}/Imgs/{name}.jpg"),
        (f"{DOCTOR}/GT/0.png", f"{TEST}/GT/{name}.png"),
        (f"{CLASSES}/Imgs/0.jpg", f"{test_classes}/Imgs/{name}.jpg"),
        (f"{CLASSES}/GT/0.png", f"{test_classes}/GT/{name}.png"),
    ):
        replace(semiseg / copied, (semiseg / own).read_bytes())
    for kind in ("GT-1", "GT-2"):
        with Image.open(semiseg / CLASSES / "GT/0.png") as picture:
            mask = np.asarray(picture) == int(kind[-1])
        (semiseg / test_classes / kind / f"{name}.png").unlink()
        Image.fromarray(mask).save(semiseg / test_classes / kind / f"{name}.png")
    expected = {("duplicate-image", f"{TEST}/Imgs/{name}.jpg")}
    assert problems_of("covid-semiseg", semiseg) - BASELINE == expected


# MedSeg's slices and the tables of MosMed, damaged


@pytest.fixture
def medseg(real_data, tmp_path):
    return linked(real_data / "medseg-slices", tmp_path / "medseg")


def test_the_same_image_under_two_slices_is_named(medseg):
    first, second = sorted((medseg / "images").iterdir())[:2]
    replace(second, first.read_bytes())
    told = dict(problems_of("medseg", medseg))
    assert told["duplicate-image"] == f"images/{second.name}"
    assert told.keys() == {"duplicate-image", "count-short"}


def test_effusion_is_a_class_and_a_fifth_one_is_none(medseg):
    label = sorted((medseg / "labels").iterdir())[0]
    rewrite(label, lambda values: np.where(values == values.max(), 4, values))
    assert ("label-values", f"labels/{label.name}") in problems_of("medseg", medseg)


def registry(real_data, tmp_path, edit: Callable[[str], str], encoding: str = "utf-8") -> Path:
    text = (real_data / "mosmed/dataset_registry.csv").read_text("utf-8-sig")
    (tmp_path / "dataset_registry.csv").write_text(edit(text), encoding=encoding)
    return tmp_path


def rows(edit: Callable[[list[list[str]]], None]) -> Callable[[str], str]:
    def change(text: str) -> str:
        table = list(csv.reader(text.splitlines()))
        edit(table)
        return "\n".join(",".join(row) for row in table) + "\n"

    return change


@pytest.mark.parametrize(
    ("edit", "encoding", "code"),
    [
        (lambda text: text.replace("category", "class"), "utf-8", "table-columns"),
        (rows(lambda table: table[5].__setitem__(1, "CT-7")), "utf-8", "class-unknown"),
        (rows(lambda table: table.append(list(table[5]))), "utf-8", "duplicate-patient"),
        (rows(lambda table: table[9].append("more")), "utf-8", "table-values"),
        (lambda text: text.replace("CT-0", "КТ-0"), "cp1251", "table-encoding"),
    ],
    ids=["renamed column", "unknown class", "patient twice", "ragged row", "not UTF-8"],
)
def test_a_damaged_registry_is_named(real_data, tmp_path, edit, encoding, code):
    told = problems_of("mosmed", registry(real_data, tmp_path, edit, encoding))
    assert (code, "dataset_registry.csv") in told


# COVID-CT-MD's slices and the table of STOIC2021, damaged


@pytest.fixture
def ct_md(real_data, tmp_path):
    """The first ten slices of the healthy person, and what is missing of all others."""
    source = real_data / "covid-ct-md"
    root = tmp_path / "covid-ct-md"
    linked(source / "normal002", root / "normal002", lambda path: path.stem <= "IM0010")
    return root, problems_of("covid-ct-md", root)


def cut_slice(root):
    path = root / "normal002/IM0004.dcm"
    replace(path, path.read_bytes()[:-5000])
    return {("image-unreadable", "normal002/IM0004.dcm")}


def empty_slice(root):
    replace(root / "normal002/IM0004.dcm", b"")
    return {("image-empty", "normal002/IM0004.dcm")}


def no_dicom(root):
    replace(root / "normal002/IM0004.dcm", b"<html>404 Not Found</html>" * 40)
    return {("image-unreadable", "normal002/IM0004.dcm")}


def no_slice(root):
    (root / "normal002/IM0004.dcm").unlink()
    return {("number-gap", "normal002")}


def unfinished_slice(root):
    (root / "normal002/IM0011.dcm.part").write_bytes(b"DICM")
    return {("download-unfinished", "normal002/IM0011.dcm.part")}


def slice_of_another(root):
    """Under a patient who has a slice of their own, too."""
    (root / "normal003").mkdir()
    (root / "normal003/IM0001.dcm").symlink_to((root / "normal002/IM0010.dcm").resolve())
    (root / "normal002/IM0010.dcm").unlink()
    (root / "normal003/IM0002.dcm").symlink_to((root / "normal002/IM0003.dcm").resolve())
    return {("duplicate-image", "normal003/IM0002.dcm")}


@pytest.mark.parametrize(
    "damage",
    [cut_slice, empty_slice, no_dicom, no_slice, unfinished_slice, slice_of_another],
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_slice_is_named_and_nothing_else_is(ct_md, damage):
    root, before = ct_md
    expected = damage(root)
    assert problems_of("covid-ct-md", root) - before == expected


@pytest.mark.parametrize(
    ("old", "new", "encoding", "code"),
    [
        ("probSevere", "probDeath", "utf-8", "table-columns"),
        ("\n17,0,0,", "\n17,0,1,", "utf-8", "class-unknown"),
        ("\n17,0,0,", "\n6,0,0,", "utf-8", "duplicate-patient"),
        ("\n17,0,0,", "\nseventeen,0,0,", "utf-8", "table-values"),
        ("Original", "Örtlich", "latin-1", "table-encoding"),
    ],
)
def test_a_damaged_table_of_stoic_is_named(real_data, tmp_path, old, new, encoding, code):
    text = (real_data / "stoic2021/reference.csv").read_text("utf-8-sig")
    assert old in text
    table = tmp_path / "reference.csv"
    table.write_text(text)
    before = problems_of("stoic2021", tmp_path)
    table.write_text(text.replace(old, new), encoding=encoding)
    # Scans whose row cannot be used are missed no more: what is told besides is the table alone.
    told = problems_of("stoic2021", tmp_path) - before
    assert {problem for problem in told if problem[0] != "count-short"} == {(code, "reference.csv")}
