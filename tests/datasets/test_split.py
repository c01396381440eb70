"""Patients on sides: one each, the same everywhere, and about as many as there should be."""

import subprocess
import sys
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.datasets.catalogue import NAMES
from lungscore.datasets.examine import examine, open_visit
from lungscore.datasets.records import Entry
from lungscore.datasets.split import group_of
from tests.datasets.made_dataset import CLASSES, made, picture, save


def test_ten_thousand_patients_fall_70_15_15():
    counts = Counter(group_of("made", f"patient-{number}") for number in range(10_000))
    # Three standard deviations of a binomial share are 0.014 and 0.011.
    for group, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert counts[group] / 10_000 == pytest.approx(share, abs=0.014)


@pytest.mark.parametrize("name", NAMES)
def test_numbered_patients_of_any_dataset_fall_so_too(name):
    counts = Counter(group_of(name, str(number)) for number in range(2000))
    for group, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert counts[group] / 2000 == pytest.approx(share, abs=0.04)


@given(st.text(), st.text())
def test_everybody_has_a_side(dataset, patient):
    assert group_of(dataset, patient) in ("train", "validation", "test")
    assert group_of(dataset, patient) == group_of(dataset, patient)


def test_sides_are_these_for_ever():
    """A changed rule would put patients who trained among those who test."""
    expected = {
        "1": "validation",
        "2": "train",
        "25": "train",
        "P001": "train",
        "7": "validation",
        "8": "train",
    }
    groups = {patient: group_of("cc-ccii", patient) for patient in expected}
    assert groups == expected


def test_another_process_says_the_same():
    code = (
        "from lungscore.datasets.split import group_of\n"
        "print(*(group_of('made', str(n)) for n in range(50)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [group_of("made", str(n)) for n in range(50)]


def test_datasets_are_split_each_by_itself():
    sides = [[group_of(name, str(n)) for n in range(100)] for name in ("a", "b")]
    assert sides[0] != sides[1]


#: patient -> scans, each so many slices.
crowds = st.dictionaries(
    st.text("abcdef0123456789-_ .üß", min_size=1, max_size=8).filter(lambda name: name.strip(" .")),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    min_size=1,
    max_size=12,
)


@pytest.fixture(scope="module")
def one_picture(tmp_path_factory):
    """A folder with one picture; files need not differ where only sides are looked at."""
    root = tmp_path_factory.mktemp("one")
    save(root / "a.png", picture(0))
    return root


def sides(root, crowd, left_out=()) -> dict[str, set[str]]:
    """patient -> sides that rows of it are on."""

    def walk(visit):
        for patient, scans in crowd.items():
            for scan, slices in enumerate(scans if patient not in left_out else ()):
                for _ in range(slices):
                    label = CLASSES[len(patient) % 2]
                    case = f"{patient}/{scan}"
                    yield Entry("a.png", case, "slice", patient=patient, label=label)

    groups = defaultdict(set)
    dataset = made(walk)
    visit = open_visit(root)
    with pytest.MonkeyPatch.context() as patch:
        # One picture stands for all: that it does is not what is tested here.
        patch.setattr("lungscore.datasets.examine._Conflicts._one_patient", lambda self, row: True)
        for row in examine(dataset, visit):
            groups[row.patient].add(row.group)
    return groups


@given(crowd=crowds, data=st.data())
def test_a_patient_s_rows_are_on_one_side_and_nobody_else_changes_it(one_picture, crowd, data):
    groups = sides(one_picture, crowd)
    assert groups.keys() == crowd.keys()
    assert {len(of_patient) for of_patient in groups.values()} == {1}
    left_out = data.draw(st.sets(st.sampled_from(sorted(crowd))))
    fewer = sides(one_picture, crowd, left_out)
    assert fewer == {who: side for who, side in groups.items() if who not in left_out}
