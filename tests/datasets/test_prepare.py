"""A manifest is complete, or it is not written; a partial one lists what it lacks."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lungscore.datasets.manifest import read_rows
from lungscore.datasets.prepare import left_out_path, patients_path, prepare
from lungscore.errors import LungscoreError, ResourceError, UsageError
from tests.datasets.made_dataset import made, make_tree, told

SUFFIXES = (".csv", ".parquet")


@pytest.fixture
def root(tmp_path):
    return make_tree(tmp_path / "made")


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def patients(visit):
    yield {"patient": "p0", "label": "mild", "age": 61.0, "note": 'says "no", twice'}
    yield {"patient": "p1", "label": "severe", "age": None, "sex": "F"}


def refused(code: str, *args, **options) -> str:
    with pytest.raises(LungscoreError) as caught:
        prepare(*args, **options)
    assert caught.value.code == code
    return caught.value.message


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def damage(root: Path) -> None:
    """An image that ends too early; a note besides."""
    path = root / "mild/p0/s1/0.png"
    path.write_bytes(path.read_bytes()[:-5])
    (root / "left.zip").touch()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_whole_dataset_is_written(root, out, suffix):
    prepared = prepare(made(), root, out / f"m{suffix}")
    rows = list(read_rows(out / f"m{suffix}"))
    assert len(rows) == sum(prepared.groups.values()) == 8
    assert (prepared.problems, prepared.patients) == ((), None)
    assert [count.found for count in prepared.counts] == [8]
    assert names(out) == [f"m{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_two_preparations_give_the_same_bytes(root, out, suffix):
    for name, threads in (("a", 1), ("b", 2)):
        prepare(made(), root, out / f"{name}{suffix}", threads=threads)
    assert (out / f"a{suffix}").read_bytes() == (out / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_is_written_where_anything_is_damaged(root, out, suffix):
    damage(root)
    message = refused(
        "dataset-faulty", replace(made(), patients=patients), root, out / f"m{suffix}"
    )
    assert "image-unreadable (1)" in message
    assert "mild/p0/s1/0.png" in message
    assert "archive-left" not in message
    assert names(out) == []


def test_a_refusal_leaves_an_earlier_manifest_as_it_was(root, out):
    prepare(made(), root, out / "m.csv")
    before = (out / "m.csv").read_bytes()
    damage(root)
    refused("dataset-faulty", made(), root, out / "m.csv", overwrite=True)
    assert (out / "m.csv").read_bytes() == before
    assert names(out) == ["m.csv"]


def test_an_interruption_leaves_nothing(root, out):
    def interrupted(visit):
        yield from list(made().walk(visit))[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(made(interrupted), root, out / "m.parquet")
    assert names(out) == []


def test_notes_do_not_stop_anything(root, out):
    shutil.copy(root / "mild/p0/s1/0.png", root / "mild/p0/s1/7.png")
    (root / "left.zip").touch()
    prepared = prepare(made(), root, out / "m.csv")
    assert told(prepared.problems) == [
        ("archive-left", "left.zip"),
        ("duplicate-copy", "mild/p0/s1/7.png"),
    ]
    assert names(out) == ["m.csv"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_partial_manifest_leaves_out_what_is_damaged_and_lists_it(root, out, suffix):
    damage(root)
    prepared = prepare(made(), root, out / f"m{suffix}", partial=True)
    rows = list(read_rows(out / f"m{suffix}"))
    assert len(rows) == sum(prepared.groups.values()) == 7
    assert not any(row.path.endswith("mild/p0/s1/0.png") for row in rows)
    assert set(names(out)) == {"m.left-out.csv", f"m{suffix}"}
    assert table(out / "m.left-out.csv") == [
        {
            "problem": "image-unreadable",
            "path": "mild/p0/s1/0.png",
            "found": "it ends too early",
        }
    ]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_partial_manifest_leaves_out_patients_in_conflict_wholly(root, out, suffix):
    shutil.copy(root / "mild/p0/s1/0.png", root / "severe/p3/s1/9.png")
    prepared = prepare(made(), root, out / f"m{suffix}", partial=True)
    assert {row.patient for row in read_rows(out / f"m{suffix}")} == {"p1", "p2"}
    assert sum(prepared.groups.values()) == 4
    assert set(names(out)) == {"m.left-out.csv", f"m{suffix}"}


def test_a_partial_manifest_of_nothing_is_not_written(root, out):
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    refused("dataset-incomplete", made(), root, out / "m.csv", partial=True)
    assert names(out) == []


def test_where_all_are_in_conflict_nothing_is_written(tmp_path, out):
    root = make_tree(tmp_path / "two", patients=2)
    shutil.copy(root / "mild/p0/s1/0.png", root / "severe/p1/s1/9.png")
    refused("dataset-incomplete", made(), root, out / "m.csv", partial=True)
    assert names(out) == []


def test_the_table_of_patients_lies_beside(root, out):
    prepared = prepare(replace(made(), patients=patients), root, out / "m.parquet")
    assert names(out) == ["m.parquet", "m.patients.csv"]
    assert patients_path(out / "m.parquet") == out / "m.patients.csv"
    assert table(out / "m.patients.csv") == [
        {"patient": "p0", "label": "mild", "age": "61.0", "note": 'says "no", twice', "sex": ""},
        {"patient": "p1", "label": "severe", "age": "", "note": "", "sex": "F"},
    ]
    assert len(prepared.patients) == 2


# What is there already


@pytest.mark.parametrize("name", ["m.csv", "m.patients.csv", "m.left-out.csv"])
def test_nothing_is_overwritten_unasked(root, out, name):
    (out / name).write_text("precious")
    assert name in refused("output-exists", made(), root, out / "m.csv")
    assert (out / name).read_text() == "precious"
    assert names(out) == [name]


def test_a_whole_manifest_takes_the_place_of_a_partial_one_and_of_what_lay_beside(root, out):
    whole = (root / "mild/p0/s1/0.png").read_bytes()
    damage(root)
    dataset = replace(made(), patients=patients)
    prepare(dataset, root, out / "m.csv", partial=True)
    assert left_out_path(out / "m.csv").is_file()
    (root / "mild/p0/s1/0.png").write_bytes(whole)
    prepare(made(), root, out / "m.csv", overwrite=True)
    assert names(out) == ["m.csv"]
    assert len(list(read_rows(out / "m.csv"))) == 8


def test_a_manifest_may_lie_in_the_dataset_s_folder(root):
    for _ in range(2):
        prepared = prepare(replace(made(), patients=patients), root, root / "m.csv", overwrite=True)
        assert prepared.problems == ()
    assert next(iter(read_rows(root / "m.csv"))).path == "mild/p0/s1/0.png"


def test_folders_on_the_way_are_made(root, tmp_path):
    prepare(made(), root, tmp_path / "deep" / "down" / "m.csv")
    assert names(tmp_path / "deep" / "down") == ["m.csv"]


def test_a_name_without_a_format_is_refused_before_anything_is_read(root, out):
    def walk(visit):
        pytest.fail("the dataset was walked through")

    with pytest.raises(UsageError):
        prepare(made(walk), root, out / "manifest")


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="there is no /dev/full")
def test_a_full_disk_is_an_error_of_its_own(root, out, monkeypatch):
    def full(rows, path):
        with open("/dev/full", "w") as file:
            file.write("x" * 100_000)

    monkeypatch.setattr("lungscore.datasets.prepare.write_rows", full)
    with pytest.raises(ResourceError) as caught:
        prepare(made(), root, out / "m.csv")
    assert caught.value.code == "disk-full"
    assert names(out) == []
