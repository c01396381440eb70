"""Objects of a saved review name its reader; verifying them is that person's choice."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from lungscore.cli.main import call
from lungscore.pacs.objects import person_name
from lungscore.pacs.write import folder_name
from lungscore.report.settings import ReportSettings
from lungscore.review import saving
from lungscore.review.opened_case import open_case
from lungscore.review.requests import parse_edit
from lungscore.review.session import Session

pytest.importorskip("highdicom", reason="highdicom is not here: pip install lungscore[dicom]")

READER = "Dr. A^B Müller"


@pytest.fixture
def review(
    made: Callable[[str], tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Series and folder of a saved review."""
    series, folder = made("axial")
    case = Path(shutil.copytree(folder, tmp_path / "case"))
    monkeypatch.setattr(saving, "DEFAULT", ReportSettings("none"))
    session = Session(open_case(case, lambda result: series), READER)
    body = {"version": 0, "tool": "clear", "layer": "lesions", "slices": [0, 9]}
    session.edit(parse_edit(json.dumps(body).encode()))
    session.save(1, "corrected", "")
    session.close()
    return series, next((case / "reviews").glob("[!.]*"))


def test_segments_and_report_name_the_reader(review, tmp_path):
    series, folder = review
    assert call(["dicom", str(folder), "--source", str(series)]) == 0
    lesions = pydicom.dcmread(folder / "dicom" / "lesions.dcm")
    assert lesions.ContentCreatorName == "Dr. A B Müller^"
    kinds = {segment.SegmentAlgorithmType for segment in lesions.SegmentSequence}
    assert kinds == {"SEMIAUTOMATIC"}
    report = pydicom.dcmread(folder / "dicom" / "measurements.dcm")
    assert report.VerificationFlag == "UNVERIFIED"
    people = [
        str(item.PersonName)
        for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "121008"
    ]
    assert people == ["Dr. A B Müller^"]


def test_a_reader_may_verify(review):
    series, folder = review
    command = ["dicom", str(folder), "--source", str(series), "--verified-for", "Hospital"]
    assert call(command) == 0
    report = pydicom.dcmread(folder / "dicom" / "measurements.dcm")
    assert report.VerificationFlag == "VERIFIED"
    (observer,) = report.VerifyingObserverSequence
    assert str(observer.VerifyingObserverName) == "Dr. A B Müller^"
    assert observer.VerifyingOrganization == "Hospital"


def test_objects_of_a_review_are_named_after_case_and_reader(review, tmp_path):
    series, folder = review
    out = tmp_path / "objects"
    command = ["dicom", str(folder), "--source", str(series), "-o", str(out)]
    assert call(command) == 0
    assert [path.name for path in out.iterdir()] == [f"case-{folder.name}"]


def test_a_folder_of_objects_is_called_after_its_case_however_it_is_given(tmp_path, monkeypatch):
    review = tmp_path / "scan 1" / "reviews" / "Ann"
    review.mkdir(parents=True)
    assert folder_name(review) == "scan 1-Ann"
    assert folder_name(review.parents[1]) == "scan 1"
    monkeypatch.chdir(review)
    assert folder_name(Path()) == "scan 1-Ann"
    assert folder_name(Path("../..")) == "scan 1"


@pytest.mark.slow
def test_nobody_can_verify_what_nobody_reviewed(made, tmp_path, capsys):
    series, folder = made("axial")
    command = ["dicom", str(folder), "--source", str(series), "-o", str(tmp_path / "out")]
    assert call([*command, "--verified-for", "Hospital"]) == 2
    assert "nobody reviewed" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_names_hold_no_separators():
    assert person_name("A^B=C\\D") == "A B C D^"
