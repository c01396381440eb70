"""Two cases, however they are given."""

from collections.abc import Callable
from pathlib import Path

import pytest

import lungscore
from lungscore.errors import InputError, UsageError
from lungscore.followup import compare, comparison_name
from lungscore.inference import Segmenter
from lungscore.report.outputs import write_outputs
from lungscore.result import Analysis
from lungscore.scan.phantom import Phantom
from lungscore.scan.write import write_nifti


def test_analyses_and_folders_compare_alike(
    severe: Analysis, mild: Analysis, tmp_path: Path
) -> None:
    folders = [
        write_outputs(analysis, tmp_path / name)
        for name, analysis in (("first", severe), ("second", mild))
    ]
    of_folders = lungscore.compare(*folders).comparison
    assert of_folders == lungscore.compare(severe, mild).comparison
    assert of_folders.case == f"{severe.scan.name}-to-{mild.scan.name}"


def test_scans_are_analysed_by_one_model_loaded_once(
    folder: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter, tmp_path: Path
) -> None:
    for name in ("severe", "mild"):
        write_nifti(small_phantom(name).scan, tmp_path / f"{name}.nii.gz")
    loaded = []

    def load() -> Segmenter:
        loaded.append(1)
        return segmenter

    scans = [tmp_path / "severe.nii.gz", tmp_path / "mild.nii.gz"]
    follow_up = compare(*scans, segmenter=load)
    assert len(loaded) == 1
    assert follow_up.comparison.case == "severe-to-mild"
    assert follow_up.comparison.changes["burden.infection_percent"].direction == "less"
    compare(folder, folder, segmenter=load)
    assert len(loaded) == 1


def test_the_name_may_be_chosen(severe: Analysis, mild: Analysis) -> None:
    assert compare(severe, mild, name="P1/first").comparison.case == "P1_first"


def test_a_name_is_known_before_anything_is_analysed(folder: Path) -> None:
    assert comparison_name(folder, Path("next.nii.gz")) == f"{folder.name}-to-next"


def test_a_ct_beside_a_scan_is_a_misunderstanding(severe: Analysis, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its own CT"):
        compare(severe, severe, earlier_ct=tmp_path / "ct.nii.gz")


def test_nothing_at_the_path_is_said(severe: Analysis, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        compare(severe, tmp_path / "nothing")
    assert caught.value.code == "input-not-found"
