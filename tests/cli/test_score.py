"""lungscore score: from masks, without a network."""

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lungscore.cli.main import call
from lungscore.result import Result
from lungscore.scan.phantom import Phantom


@pytest.fixture(scope="module")
def masks(
    tmp_path_factory: pytest.TempPathFactory, small_phantom: Callable[[str], Phantom]
) -> list[str]:
    """The options that name the phantom's own masks."""
    phantom, folder = small_phantom("moderate"), tmp_path_factory.mktemp("masks")
    options = []
    for name in ("lungs", "lesions", "lobes"):
        labels = phantom.scan.geometry.to_source(getattr(phantom, name)).copy()
        nib.save(nib.Nifti1Image(labels, phantom.scan.geometry.affine), folder / f"{name}.nii.gz")
        options += [f"--{name}", str(folder / f"{name}.nii.gz")]
    return options


def test_the_table_is_printed_and_nothing_is_written(
    masks: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["score", *masks]) == 0
    assert "CT-SS" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_json_is_a_valid_result(masks: list[str], capsys: pytest.CaptureFixture) -> None:
    assert call(["score", *masks, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    content = json.loads(line)
    assert content["schema"] == "lungscore.result/1"
    assert Result.model_validate(content).scores.pho is None


def test_a_folder_is_written_when_asked_for(
    masks: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = ["score", *masks, "-o", str(tmp_path), "--case-id", "reader 1"]
    assert call(command) == 0
    assert f"Report: {tmp_path / 'reader 1' / 'report.html'}" in capsys.readouterr().out
    assert (tmp_path / "reader 1" / "result.json").is_file()
    given = np.asarray(nib.load(masks[3]).dataobj)
    written = np.asarray(nib.load(tmp_path / "reader 1" / "lesions.nii.gz").dataobj)
    np.testing.assert_array_equal(written, given)
    assert call(command) == 2
    assert "error [output-exists]" in capsys.readouterr().err
    assert call([*command, "--overwrite"]) == 0


def test_a_ct_gives_the_numbers_that_need_one(
    masks: list[str], phantom_file: Path, capsys: pytest.CaptureFixture
) -> None:
    assert call(["score", *masks, "--ct", str(phantom_file), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["scores"]["pho"] > 0
    assert content["case"] == "chest"


def test_masks_that_are_swapped_or_missing_are_rejected(
    masks: list[str], capsys: pytest.CaptureFixture
) -> None:
    lungs, lesions, lobes = masks[1::2]
    assert call(["score", "--lungs", lobes, "--lesions", lesions]) == 3
    assert "error [mask-labels] lobes.nii.gz" in capsys.readouterr().err
    assert call(["score", "--lungs", lungs, "--lesions", "none.nii.gz"]) == 3
    assert "error [input-not-found]" in capsys.readouterr().err
