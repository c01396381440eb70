"""Real scans: each ends in a valid result or in a rejection with its code."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lungscore.analysis import analyze, assess
from lungscore.cli.main import call
from lungscore.errors import REJECTIONS
from lungscore.inference.lesions import Lesions
from lungscore.labels import RIGHT_LUNG
from lungscore.result import Result

pytestmark = pytest.mark.data

QUICK = [
    "lungmask-testdata",
    "covid-semiseg/TestingSet/LungInfection-Test/Imgs",
]
SLOW = [
    "chest-imaging-platform/ct-64.nrrd",
    "lung-pet-ct-dx",
    "ictcf-volume-jpg",
    "covid-ct-md/P002",
    "covid-ct-md/normal002",
]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_a_real_input_ends_in_a_result_or_a_rejection(
    real_data: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture
) -> None:
    path = real_data / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    if path.name == "Imgs":
        path = sorted(path.iterdir())[0]  # a lone crop
    code = call(["analyze", str(path), "-o", str(tmp_path), "--json"])
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    (line,) = output.out.splitlines()
    content = json.loads(line)
    if code == 3:
        assert content["error"]["code"] in REJECTIONS
        assert list(tmp_path.iterdir()) == []
        return
    assert code == 0
    result = Result.model_validate(content)
    folder = tmp_path / result.case
    assert json.loads((folder / "result.json").read_text()) == content
    assert (folder / "report.html").stat().st_size > 10_000
    assert len(result.slices) == result.input.slices
    percents = [result.burden.infection_percent, *(s.infection_percent for s in result.slices)]
    assert all(0 <= percent <= 100 for percent in percents if percent is not None)
    assert result.burden.infection_percent is not None
    if result.input.spacing_mm is None:
        assert result.lungs.volume_ml is None


@pytest.mark.slow
def test_a_real_crop_is_predicted_at_its_own_size(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "covid-semiseg/TestingSet/LungInfection-Test/Imgs"
    if not folder.exists():
        pytest.skip("the slices are not here")
    crop = sorted(folder.iterdir())[0]
    assert call(["predict", str(crop), "-o", str(tmp_path)]) == 0
    with Image.open(crop) as image, Image.open(tmp_path / f"{crop.stem}_classes.png") as classes:
        assert classes.size == image.size
        assert set(np.unique(np.asarray(classes))) <= {0, 1, 2}


@pytest.mark.slow
def test_what_a_reader_clears_in_one_lung_lies_in_the_ranges_stated_before(real_data: Path) -> None:
    """The right lung of P002: the network sees 1 % there."""
    path = real_data / "covid-ct-md" / "P002"
    if not path.exists():
        pytest.skip("P002 is not here")
    before = analyze(path)
    cleared = np.where(before.lungs.labels == RIGHT_LUNG, 0, before.lesions.labels)
    lesions = Lesions(cleared.astype(np.uint8), (), None)
    after = assess(before.scan, before.lungs, lesions, lobes=before.lobes)
    for name in ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones"):
        low, high = before.severity.ranges.scores[name]
        assert low <= getattr(after.severity, name).total <= high, name
