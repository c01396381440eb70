"""From entries to rows: the order, and what only several of them together show."""

import shutil
import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from lungscore.datasets import examine as examine_module
from lungscore.datasets.examine import examine, open_visit
from lungscore.datasets.integrity import look
from lungscore.datasets.records import Entry
from lungscore.datasets.split import group_of
from lungscore.errors import InputError
from tests.datasets.made_dataset import made, make_tree, of_entries, picture, save, told


def examined(dataset, root, **options):
    """(rows, visit)."""
    visit = open_visit(root)
    return list(examine(dataset, visit, **options)), visit


def slices(root, *told: tuple[str, dict]) -> list[Entry]:
    """Entries of pictures, each another one unless ``same`` names the seed."""
    entries = []
    for seed, (path, facts) in enumerate(told):
        facts = dict(facts)
        save(root / path, picture(facts.pop("same", seed)))
        entries.append(Entry(path, facts.pop("case", path), "slice", **facts))
    return entries


def test_every_whole_image_is_a_row(tmp_path):
    rows, visit = examined(made(), make_tree(tmp_path))
    assert [row.path for row in rows] == [
        f"{label}/p{patient}/s1/{index}.png"
        for label, patients in (("mild", (0, 2)), ("severe", (1, 3)))
        for patient in patients
        for index in (0, 1)
    ]
    first = rows[0]
    assert (first.case, first.patient, first.label) == ("mild/p0/s1", "p0", "mild")
    assert (first.source, first.kind, first.mask) == ("made", "slice", None)
    assert first.group == group_of("made", "p0")
    assert visit.problems == []


def test_the_order_is_kept_with_several_threads(tmp_path, monkeypatch):
    """The first of two looks is only done when the second one is."""
    second = threading.Event()

    def slow_first(root, entry):
        if entry.path.endswith("/0.png"):
            assert second.wait(10)
        else:
            second.set()
        return look(root, entry)

    monkeypatch.setattr(examine_module, "look", slow_first)
    rows, _ = examined(made(), make_tree(tmp_path, patients=1), threads=2)
    assert [row.path[-5:] for row in rows] == ["0.png", "1.png"]


@pytest.mark.parametrize("threads", [2, 4])
def test_threads_make_no_difference(tmp_path, threads):
    root = make_tree(tmp_path, patients=12, slices=5)
    (root / "mild/p0/s1/3.png").write_bytes(b"x")
    shutil.copy(root / "mild/p2/s1/1.png", root / "severe/p3/s1/9.png")
    (root / "mild/p4/s1/left.txt").touch()
    rows, visit = examined(made(), root)
    threaded_rows, threaded_visit = examined(made(), root, threads=threads)
    assert threaded_rows == rows
    assert threaded_visit.told() == visit.told()
    assert len(visit.problems) == 3


def test_an_examination_that_is_given_up_ends_its_threads(tmp_path):
    before = set(threading.enumerate())
    root = make_tree(tmp_path, patients=4, slices=30)
    rows = examine(made(), open_visit(root), threads=2)
    next(rows)
    assert set(threading.enumerate()) - before
    rows.close()
    assert not set(threading.enumerate()) - before


def test_few_files_are_looked_at_ahead(tmp_path):
    asked = []

    def endless(visit):
        for index in range(10_000):
            asked.append(index)
            yield Entry("a.png", f"case-{index}", "slice")

    save(tmp_path / "a.png", picture(0))
    rows = examine(made(endless), open_visit(tmp_path), threads=2)
    next(rows)
    assert len(asked) < 100
    rows.close()


def test_a_damaged_image_is_no_row_and_the_others_are(tmp_path):
    root = make_tree(tmp_path)
    (root / "mild/p0/s1/0.png").write_bytes(b"")
    rows, visit = examined(made(), root)
    assert len(rows) == 7
    assert told(visit.problems) == [("image-empty", "mild/p0/s1/0.png")]


def test_an_unknown_class_is_no_row(tmp_path):
    entries = slices(
        tmp_path,
        ("a.png", {"label": "mild"}),
        ("b.png", {"label": "worse"}),
        ("c.png", {"slice_label": "odd"}),
        ("d.png", {"slice_label": "even"}),
    )
    rows, visit = examined(of_entries(*entries, slice_labels=("even",)), tmp_path)
    assert [row.path for row in rows] == ["a.png", "d.png"]
    assert told(visit.problems) == [("class-unknown", "b.png"), ("class-unknown", "c.png")]


def test_a_patient_in_two_classes_is_told_once_a_scan(tmp_path):
    entries = slices(
        tmp_path,
        ("a1.png", {"patient": "p", "label": "mild", "case": "a"}),
        ("b1.png", {"patient": "p", "label": "severe", "case": "b"}),
        ("b2.png", {"patient": "p", "label": "severe", "case": "b"}),
        ("c1.png", {"patient": "p", "label": "severe", "case": "c"}),
        ("d1.png", {"patient": "q", "label": "severe", "case": "d"}),
    )
    rows, visit = examined(of_entries(*entries), tmp_path)
    assert [row.path for row in rows] == ["a1.png", "d1.png"]
    assert told(visit.problems) == [
        ("patient-in-two-classes", "b1.png"),
        ("patient-in-two-classes", "c1.png"),
    ]
    assert visit.in_conflict == {"p"}


def test_a_patient_without_a_class_is_in_none(tmp_path):
    facts = [{"patient": "p", "label": label} for label in (None, "mild", None)]
    entries = slices(tmp_path, *zip(("a.png", "b.png", "c.png"), facts, strict=True))
    rows, visit = examined(of_entries(*entries), tmp_path)
    assert (len(rows), visit.problems) == (3, [])


def test_a_patient_on_both_sides_of_the_official_split(tmp_path):
    entries = slices(
        tmp_path,
        ("a.png", {"patient": "p", "group": "train"}),
        ("b.png", {"patient": "p", "group": "test"}),
        ("c.png", {"patient": "p", "group": "train"}),
    )
    rows, visit = examined(of_entries(*entries), tmp_path)
    assert [row.path for row in rows] == ["a.png", "c.png"]
    assert told(visit.problems) == [("patient-on-both-sides", "b.png")]
    assert visit.in_conflict == {"p"}


def test_a_case_without_a_patient_is_on_one_side_too(tmp_path):
    entries = slices(
        tmp_path,
        ("a.png", {"case": "one", "group": "train"}),
        ("b.png", {"case": "one", "group": "validation"}),
    )
    _, visit = examined(of_entries(*entries), tmp_path)
    assert visit.in_conflict == {"one"}


def test_one_image_under_two_patients(tmp_path):
    entries = slices(
        tmp_path,
        ("a.png", {"patient": "p", "same": 7}),
        ("b.png", {"patient": "q", "same": 7}),
        ("c.png", {"patient": "q"}),
    )
    rows, visit = examined(of_entries(*entries), tmp_path)
    assert [row.path for row in rows] == ["a.png", "c.png"]
    assert told(visit.problems) == [("duplicate-image", "b.png")]
    assert visit.in_conflict == {"p", "q"}


def test_a_copy_within_a_patient_is_a_note(tmp_path):
    entries = slices(
        tmp_path, ("a.png", {"patient": "p", "same": 7}), ("b.png", {"patient": "p", "same": 7})
    )
    rows, visit = examined(of_entries(*entries), tmp_path)
    assert len(rows) == 2
    assert told(visit.problems) == [("duplicate-copy", "b.png")]
    assert not visit.in_conflict
    assert not visit.problems[0].blocking


def test_patients_are_asked_before_the_walk(tmp_path):
    asked = []

    def patients(visit):
        asked.append("patients")
        yield {"patient": "p", "label": "mild", "age": 50.0}

    def walk(visit):
        asked.append("walk")
        assert visit.patients == [{"patient": "p", "label": "mild", "age": 50.0}]
        yield from ()

    make_tree(tmp_path)
    examined(replace(made(walk), patients=patients), tmp_path)
    assert asked == ["patients", "walk"]


def test_progress_is_told_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(examine_module, "_EVERY", 3)
    counts = []
    examined(made(), make_tree(tmp_path), report=counts.append)
    assert counts == [3, 6]
    assert all(b - a == 3 for a, b in pairwise(counts))


def test_there_must_be_a_folder_with_something_in_it(tmp_path):
    for path, code in ((tmp_path / "none", "input-not-found"), (tmp_path, "input-empty")):
        with pytest.raises(InputError) as caught:
            open_visit(path)
        assert caught.value.code == code
