"""What a check says, also against an earlier manifest."""

import json
import shutil

import pytest

from lungscore.datasets.check import check
from lungscore.datasets.prepare import prepare
from lungscore.datasets.records import Entry
from lungscore.errors import InputError
from tests.datasets.made_dataset import made, make_tree, picture, save, told


@pytest.fixture
def root(tmp_path):
    return make_tree(tmp_path / "made")


@pytest.fixture(params=[".csv", ".parquet"])
def manifest(root, tmp_path, request):
    """A manifest of the whole dataset."""
    path = tmp_path / f"m{request.param}"
    prepare(made(), root, path)
    return path


def test_a_whole_dataset_is_counted(root):
    checked = check(made(), root)
    assert checked.complete
    assert (checked.images, checked.cases, checked.patients) == (8, 4, 4)
    assert checked.classes == {"mild": 2, "severe": 2}
    assert checked.problems == ()


def test_notes_leave_it_complete_and_problems_do_not(root):
    (root / "left.zip").touch()
    assert check(made(), root).complete
    (root / "left.zip.part").touch()
    checked = check(made(), root)
    assert not checked.complete
    assert told(checked.problems) == [
        ("archive-left", "left.zip"),
        ("download-unfinished", "left.zip.part"),
    ]


def test_for_programs_all_is_told(root):
    (root / "mild/p0/s1/0.png").write_bytes(b"")
    content = json.loads(json.dumps(check(made(), root).to_content()))
    assert content == {
        "dataset": "made",
        "complete": False,
        "images": 7,
        "cases": 4,
        "patients": 4,
        "classes": {"mild": 2, "severe": 2},
        "counts": [{"name": "slices", "found": 8, "published": None}],
        "problems": [
            {
                "code": "image-empty",
                "blocking": True,
                "path": "mild/p0/s1/0.png",
                "found": "the file holds no bytes",
            }
        ],
    }


def test_a_check_changes_nothing(root):
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*"))
    check(made(), root)
    assert sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*")) == before


# Against a manifest


def test_what_the_manifest_was_made_of_is_the_same(root, manifest):
    assert check(made(), root, against=manifest).problems == ()


def test_a_changed_file_is_named(root, manifest):
    save(root / "mild/p0/s1/0.png", picture(99))
    checked = check(made(), root, against=manifest)
    assert told(checked.problems) == [("content-changed", "mild/p0/s1/0.png")]
    assert not checked.complete


def test_a_missing_file_is_named(root, manifest):
    (root / "mild/p0/s1/0.png").unlink()
    checked = check(made(), root, against=manifest)
    assert told(checked.problems) == [("file-missing", "mild/p0/s1/0.png")]


def test_a_damaged_file_is_named_once(root, manifest):
    (root / "mild/p0/s1/0.png").write_bytes(b"")
    checked = check(made(), root, against=manifest)
    assert told(checked.problems) == [("image-empty", "mild/p0/s1/0.png")]


def test_a_file_that_is_new_since_is_no_problem(root, manifest):
    save(root / "mild/p0/s1/9.png", picture(99))
    assert check(made(), root, against=manifest).problems == ()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: save(path, picture(6)), ("content-changed", "m.png")),
        (lambda path: path.unlink(), ("file-missing", "m.png")),
        (lambda path: path.write_bytes(b""), ("image-empty", "m.png")),
        (lambda path: save(path, picture(5, (3, 4))), ("sizes-differ", "m.png")),
    ],
)
def test_a_mask_that_is_not_the_same_is_named_and_its_image_is_not(tmp_path, damage, problem):
    root = tmp_path / "masked"
    dataset = made(lambda visit: iter([Entry("a.png", "a", "slice", mask="m.png")]))
    save(root / "a.png", picture(0))
    save(root / "m.png", picture(5))
    prepare(dataset, root, tmp_path / "m.csv")
    damage(root / "m.png")
    assert told(check(dataset, root, against=tmp_path / "m.csv").problems) == [problem]


def test_a_manifest_of_another_folder_misses_all(root, manifest, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    shutil.rmtree(root)
    missing = check(made(), tmp_path / "copy", against=manifest).problems
    assert {problem.code for problem in missing} == {"file-missing"}
    assert len(missing) == 8


def test_a_manifest_that_is_none_is_refused_before_anything_is_read(root, tmp_path):
    def walk(visit):
        pytest.fail("the dataset was walked through")

    (tmp_path / "m.csv").write_text("case\n")
    with pytest.raises(InputError) as caught:
        check(made(walk), root, against=tmp_path / "m.csv")
    assert caught.value.code == "manifest-invalid"
