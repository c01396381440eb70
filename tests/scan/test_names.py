"""Case names are safe folder names on every system."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lungscore.scan.names import MAX_BYTES, RESERVED, case_name, safe_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/P002", "P002"),
        ("scan.nii.gz", "scan"),
        ("SCAN.NII.GZ", "SCAN"),
        ("scan.2", "scan.2"),
        ("IM0001.dcm", "IM0001"),
        ("12.mha", "12"),
        ("12.mhd", "12"),
        (".nii.gz", "nii.gz"),
        ("Müller 7.zip", "Müller 7"),
    ],
)
def test_name_is_the_file_name_without_its_format(path: str, name: str) -> None:
    assert case_name(Path(path)) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-rf", "rf"),
        ("..", "case"),
        ("../../etc", "_.._etc"),
        ("a/b\\c", "a_b_c"),
        ("a\nb\0c", "a_b_c"),
        ("", "case"),
        ("CON", "_CON"),
        ("lpt1.txt", "_lpt1.txt"),
        ("name. ", "name"),
        ("right\u202eleft", "right_left"),
        ("bad\udcff", "bad_"),
    ],
)
def test_unsafe_names_become_safe(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_given_name_goes_before_the_file_name() -> None:
    assert case_name(Path("P002"), "study/7") == "study_7"


def test_the_current_folder_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert case_name(Path(".")) == tmp_path.name


@given(st.text(max_size=300))
def test_every_name_is_one_safe_folder(text: str) -> None:
    name = safe_name(text)
    assert name
    assert not set('/\\:*?"<>|\0\n') & set(name)
    assert name[0] not in "-. "
    assert name[-1] not in ". "
    assert len(name.encode()) <= MAX_BYTES
    assert name.split(".")[0].lower() not in RESERVED
    assert safe_name(name) == name


def test_long_names_stay_different() -> None:
    assert safe_name("x" * 200 + "1") != safe_name("x" * 200 + "2")
