"""The shipped model, from files to files."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore import analyze
from lungscore.cli.main import call
from lungscore.inference import Segmenter, list_bundles, load_bundle
from lungscore.result import Result, to_result
from lungscore.scan.phantom import Phantom, make_phantom
from lungscore.scan.write import write_nifti

#: In the order in which they are used; the second need not be installed.
SHIPPED = ("infection", "lesions", "lungs")


@pytest.fixture(scope="module")
def shipped() -> Segmenter:
    return Segmenter()


def test_a_scan_is_analysed_by_the_shipped_model(phantom_file: Path, shipped: Segmenter) -> None:
    analysis = analyze(phantom_file, segmenter=shipped)
    result = to_result(analysis)
    infection = result.models[0]
    assert [model.name for model in result.models] == [
        name for name in SHIPPED if name in list_bundles()
    ]
    assert infection.name == "infection"
    assert infection.sha256 == load_bundle().card.sha256["weights.safetensors"]
    assert infection.data_terms
    assert result.engine is not None
    assert result.burden.infection_percent is not None
    assert 0 <= result.burden.infection_percent <= 100
    assert not analysis.lesions.labels[analysis.lungs.labels == 0].any()


def test_slices_are_predicted_by_the_shipped_model(
    tmp_path: Path, small_phantom: Callable[[str], Phantom]
) -> None:
    hu = small_phantom("dense").scan.values[9].astype(np.float32)
    grey = (np.clip((hu + 1350) / 1500, 0, 1) * 255).round().astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "full.png")
    Image.fromarray(grey[20:76, 12:84].T.copy()).save(tmp_path / "crop.png")
    inputs = [str(tmp_path / name) for name in ("full.png", "crop.png")]
    assert call(["predict", *inputs, "-o", str(tmp_path / "out")]) == 0
    for name in ("full", "crop"):
        with Image.open(tmp_path / "out" / f"{name}.png") as probability:
            infection = np.asarray(probability)
        with Image.open(tmp_path / "out" / f"{name}_classes.png") as palette:
            classes = np.asarray(palette)
        with Image.open(tmp_path / f"{name}.png") as image:
            assert infection.shape == classes.shape == image.size[::-1]
        np.testing.assert_array_equal(classes > 0, infection >= 128)


@pytest.mark.slow
def test_the_demo_prints_the_truth_beside_what_it_found(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lungscore", "demo", "-o", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "truth" in done.stdout
    assert "measured" in done.stdout
    folder = tmp_path / "demo" / "phantom-several-patches-0"
    Result.model_validate_json((folder / "result.json").read_text())
    assert str(folder / "report.html") in done.stdout
    assert json.loads((folder / "run.json").read_text())["seconds_total"] > 0
    # A second demo does not replace the first unasked.
    again = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert again.returncode == 2
    assert "output-exists" in again.stderr


@pytest.mark.slow
def test_more_disease_is_found_where_there_is_more(tmp_path: Path, shipped: Segmenter) -> None:
    percents = []
    for preset in ("healthy", "moderate", "severe"):
        phantom = make_phantom(preset, shape=(56, 192, 192))
        write_nifti(phantom.scan, tmp_path / f"{preset}.nii.gz")
        analysis = analyze(tmp_path / f"{preset}.nii.gz", segmenter=shipped)
        percents.append(to_result(analysis).burden.infection_percent or 0.0)
    assert percents == sorted(percents)
    assert percents[0] < percents[2]
