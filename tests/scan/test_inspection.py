"""What inspect says of an input."""

import json
from pathlib import Path

import pytest

from lungscore.scan import inspect_input
from tests.scan import nifti_builder
from tests.scan.scan_builder import chest, write_series, write_slices

#: Nothing may be left behind in the temporary folder.
pytestmark = pytest.mark.usefixtures("temporary_folder")


# inspect


def test_inspect_of_a_series_is_json_and_writes_nothing(tmp_path: Path) -> None:
    write_series(tmp_path / "in", series_uid="1.2.3")
    before = sorted(tmp_path.rglob("*"))
    report = inspect_input(tmp_path / "in")
    text = json.dumps(report)
    assert sorted(tmp_path.rglob("*")) == before
    assert "canary" not in text.lower()
    assert report["kind"] == "dicom"
    assert report["series"][0]["chosen"]
    assert report["geometry"]["spacing_mm"] == pytest.approx([2, 0.7, 0.8])
    assert report["intensities"]["plausible"]
    assert report["rejection"] is None


def test_inspect_of_a_rejected_input_says_why(tmp_path: Path) -> None:
    write_series(tmp_path)[4].unlink()
    report = inspect_input(tmp_path)
    json.dumps(report)
    assert report["rejection"]["code"] == "slice-gap"
    assert report["series"][0]["slices"] == 11
    assert inspect_input(tmp_path / "nothing")["rejection"]["code"] == "input-not-found"


def test_inspect_of_other_kinds(tmp_path: Path) -> None:
    write_slices(tmp_path / "b")
    assert inspect_input(tmp_path / "b")["intensities"]["units"] == "grey"
    assert (
        inspect_input(nifti_builder.save(tmp_path / "a.nii", chest()))["geometry"]["slices"] == 12
    )
