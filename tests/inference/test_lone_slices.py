"""Which way the lungs of a lone slice lie, and whether it is a crop already."""

from pathlib import Path

import numpy as np
import pytest

from lungscore.anatomy import find_lungs
from lungscore.inference.views import lie_one_above_the_other, views
from lungscore.scan import read_scan

CROPS = "covid-semiseg/TrainingSet/LungInfection-Train/Doctor-label/Imgs"


def two_lungs(height: int, width: int) -> np.ndarray:
    """Two discs side by side."""
    rows, columns = np.mgrid[:height, :width]
    return np.logical_or(
        *(
            ((rows - height / 2) / (height / 2)) ** 2 + ((columns - at) / (width / 5)) ** 2 < 1
            for at in (width / 4, 3 * width / 4)
        )
    )


@pytest.mark.parametrize(("height", "width"), [(60, 90), (80, 80), (100, 80)])
def test_two_lungs_side_by_side_are_not_turned_whatever_the_shape(height, width):
    assert not lie_one_above_the_other(two_lungs(height, width))
    assert lie_one_above_the_other(two_lungs(height, width).T)


def test_one_round_lung_is_judged_by_its_box():
    lung = two_lungs(60, 90)[:, :45]
    assert lie_one_above_the_other(lung) == (lung.shape[0] > lung.shape[1])


@pytest.mark.data
@pytest.mark.slow
def test_training_crops_are_seen_whole_and_turned_and_full_slices_upright(real_data: Path):
    crops = sorted((real_data / CROPS).iterdir())
    assert len(crops) == 50
    whole = turned = upright = 0
    for path in crops:
        crop = read_scan(path)
        view = next(views(crop, find_lungs(crop)))
        whole += view.box == (0, crop.shape[1], 0, crop.shape[2])
        turned += view.turned
        full = read_scan(real_data / "medseg-slices/images" / f"{path.stem}.png")
        upright += not next(views(full, find_lungs(full))).turned
    assert whole == 50
    assert turned >= 49
    assert upright == 50
