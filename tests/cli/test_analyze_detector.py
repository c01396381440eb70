"""lungscore analyze --detector: the probability that a user's detector gives."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lungscore.cli.main import call
from lungscore.patients.detection import train_detector
from lungscore.result import Result
from lungscore.result.detection import Detection
from lungscore.scan.phantom import Phantom
from tests.patients.made_up import LABELS, detection

Analyze = Callable[..., int]
Phantoms = Callable[[str], Phantom]


def told(folder: Path) -> Detection:
    return Result.model_validate_json((folder / "result.json").read_text()).detection


def crop(phantom: Phantom, path: Path) -> Path:
    """The upper half of a phantom."""
    scan = phantom.scan
    half = scan.values[: len(scan.values) // 2]
    image = nib.Nifti1Image(half.T[::-1, ::-1, ::-1].copy(), np.diag([3.75, 3.75, 17.5, 1]))
    nib.save(image, path)
    return path


@pytest.mark.slow
def test_a_detector_gives_the_probability_that_applying_it_later_gives(
    analyze: Analyze, out: Path, phantom_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    detector = train_detector(detection(), labels=LABELS, name="mine")
    path = tmp_path / "mine.json"
    path.write_text(detector.to_json(), encoding="utf-8")
    assert analyze(phantom_file, "--detector", path) == 0
    assert "(detector mine, trained on 200 patients)" in capsys.readouterr().out
    verdict = told(out / "chest")
    assert verdict.detector is not None
    assert verdict.detector.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert verdict.probability is not None
    assert 0 < verdict.probability < 1
    table = tmp_path / "table.csv"
    assert call(["detection", "apply", str(path), str(out), "-o", str(table)]) == 0
    row = dict(zip(*(line.split(",") for line in table.read_text().splitlines()), strict=True))
    assert float(row["probability"]) == pytest.approx(verdict.probability, abs=1e-4)


def test_a_scan_that_cannot_say_gets_no_probability(
    analyze: Analyze, out: Path, small_phantom: Phantoms, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(train_detector(detection(), labels=LABELS, name="mine").to_json())
    upper = crop(small_phantom("moderate"), tmp_path / "upper.nii.gz")
    assert analyze(upper, "--detector", path) == 0
    verdict = told(out / "upper")
    assert (verdict.infected, verdict.probability) == (None, None)
    assert verdict.detector is not None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"schema": "lungscore.clinical/1"}'])
def test_a_detector_that_is_none_is_said_before_any_work(
    analyze: Analyze,
    phantom_file: Path,
    tmp_path: Path,
    no_network: None,
    content: bytes | None,
    capsys: pytest.CaptureFixture,
) -> None:
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    assert analyze(phantom_file, "--detector", path) == 4
    assert f"[model-{'missing' if content is None else 'damaged'}]" in capsys.readouterr().err
