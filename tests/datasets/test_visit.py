"""What a walk may ask of a folder, and what nobody used."""

import os
from pathlib import Path

import pytest

from lungscore.datasets.records import Count
from lungscore.datasets.visit import VOLUMES, Visit, files_in, partner, stem
from tests.datasets.made_dataset import picture, save, told


@pytest.fixture
def visit(tmp_path):
    return Visit(tmp_path)


def touch(root: Path, *places: str) -> None:
    for path in places:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_files_come_in_the_order_in_which_people_count(visit):
    touch(visit.root, *(f"a/{name}" for name in ("10.png", "9.PNG", "x.jpeg", ".b.png", "c.txt")))
    (visit.root / "a" / "folder.png").mkdir()
    assert [path.name for path in visit.files("a")] == ["x.jpeg", "9.PNG", "10.png"]
    touch(visit.root, "a/v.nii.gz", "a/w.nii", "a/u.gz")
    assert [path.name for path in visit.files("a", VOLUMES)] == ["v.nii.gz", "w.nii"]
    assert files_in(visit.root / "a", (".txt",)) == [visit.root / "a" / "c.txt"]


def test_folders_come_in_that_order_too(visit):
    touch(visit.root, "s/10/x", "s/9/x", "s/.hidden/x", "s/file")
    assert [path.name for path in visit.folders("s")] == ["9", "10"]


def test_a_missing_folder_is_told(visit):
    touch(visit.root, "file")
    assert visit.files("a/b") == visit.folders("c") == visit.files("file") == []
    assert told(visit.problems) == [("folder-missing", path) for path in ("a/b", "c", "file")]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may open any folder")
def test_a_folder_that_cannot_be_opened_is_told(visit):
    (visit.root / "a").mkdir(mode=0)
    assert visit.files("a") == []
    assert told(visit.problems) == [("folder-missing", "a")]


def test_fewer_or_more_than_published_is_told(visit):
    for count, published in ((3, 3), (2, 3), (4, 3), (5, None)):
        visit.count(f"{count}", count, published)
    assert told(visit.problems) == [("count-above", "4"), ("count-short", "2")]
    assert visit.counts[-1] == Count("5", 5, None)


# Pairs


def pairs(visit: Visit) -> list[tuple[str, str]]:
    images, masks = visit.files("i"), visit.files("m")
    paired = [(visit.relative(a), visit.relative(b)) for a, b in visit.pairs(images, masks)]
    for pair in paired:  # as an entry would
        visit.use(*pair)
    visit.leftovers()
    return paired


def test_images_and_labels_are_paired_by_name(visit):
    touch(visit.root, "i/1.jpg", "i/10.jpg", "m/10.png", "m/1.png")
    assert pairs(visit) == [("i/1.jpg", "m/1.png"), ("i/10.jpg", "m/10.png")]


def test_what_has_no_partner_names_the_file_that_is_not_there(visit):
    touch(visit.root, "i/1.jpg", "i/2.jpg", "m/2.png", "m/3.png")
    assert pairs(visit) == [("i/2.jpg", "m/2.png")]
    assert told(visit.problems) == [("file-missing", "i/3.jpg"), ("file-missing", "m/1.png")]


def test_a_missing_folder_is_told_once_and_not_file_by_file(visit):
    touch(visit.root, "i/1.jpg", "i/2.jpg")
    assert pairs(visit) == []
    assert told(visit.problems) == [("folder-missing", "m")]


def test_a_folder_that_holds_none_is_told_file_by_file(visit):
    touch(visit.root, "i/1.jpg", "i/2.jpg")
    (visit.root / "m").mkdir()
    assert pairs(visit) == []
    assert told(visit.problems) == [("file-missing", "i/1.jpg"), ("file-missing", "i/2.jpg")]


def test_a_second_label_of_one_name_is_left_over(visit):
    touch(visit.root, "i/1.jpg", "m/1.png", "m/1.jpg")
    assert len(pairs(visit)) == 1
    assert [code for code, _ in told(visit.problems)] == ["file-unknown"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.nii.gz", "a"), ("a.b.png", "a.b"), ("A.JPG", "A"), ("a.mha", "a"), ("a.txt", "a.txt")],
)
def test_a_stem_loses_what_pictures_and_volumes_end_in(name, expected):
    assert stem(Path(name)) == expected


def test_a_partner_is_named_like_the_others():
    masks = [Path("m/7.nii.gz"), Path("m/8.nii")]
    assert partner(Path("i/12.nii"), masks) == Path("m/12.nii.gz")


# Leftovers


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.png", "file-unknown"),
        ("deep/down/a.nii.gz", "file-unknown"),
        ("notes.xlsx", "file-unknown"),
        ("a.png.part", "download-unfinished"),
        ("a.zip.crdownload", "download-unfinished"),
        ("a.zip.aria2", "download-unfinished"),
        ("a.zip", "archive-left"),
        ("A.TAR.GZ", "archive-left"),
        ("sub/a.7z", "archive-left"),
        ("a.rar", "archive-left"),
    ],
)
def test_what_nobody_used_is_told(visit, name, code):
    touch(visit.root, name)
    visit.leftovers()
    assert told(visit.problems) == [(code, name)]


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "sub/Thumbs.db",
        "README.md",
        "LICENSE",
        "._a.png",
        "__MACOSX/sub/._a.png",
        ".git/config",
        "licence.txt",
    ],
)
def test_what_lies_beside_any_download_is_not(visit, name):
    touch(visit.root, name)
    visit.leftovers()
    assert visit.problems == []


def test_what_was_used_is_not(visit):
    touch(visit.root, "a/b.csv", "c.png", "d.png")
    visit.use(visit.root / "a" / "b.csv", "c.png", None)
    visit.leftovers()
    assert told(visit.problems) == [("file-unknown", "d.png")]


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX only")
def test_a_name_that_is_no_utf8_is_told_in_characters_that_can_be_written(visit):
    save(visit.root / os.fsdecode(b"caf\xe9.png"), picture(0), format="PNG")
    visit.leftovers()
    assert told(visit.problems) == [("file-unknown", "caf?.png")]


def test_problems_are_told_by_path_whatever_the_order_in_which_they_were_met(visit):
    for path, code in (("b", "file-missing"), ("a", "x-ray"), ("a", "image-empty")):
        visit.problem(code, path, "")
    assert [(p.path, p.code) for p in visit.told()] == [
        ("a", "image-empty"),
        ("a", "x-ray"),
        ("b", "file-missing"),
    ]


def test_an_unknown_code_is_a_mistake_of_ours(visit):
    with pytest.raises(ValueError, match="unknown problem"):
        visit.problem("no-such-code", "a", "")
