"""Lobes that are missing by the shape of their lung."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from lungscore.anatomy import divide_lungs
from lungscore.anatomy.missing import FARTHEST, MARGIN, LungShapes, load_shapes, missing_lobes
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from tests.anatomy.test_lobes import two_lungs


def shapes():
    """Whole lungs lie at 0, those without each of two lobes at ±10 along one of two modes."""
    middles = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    return LungShapes(np.zeros(2), np.eye(2), middles, np.eye(2))


@pytest.mark.parametrize(
    ("shape", "index"), [((0, 0), None), ((10, 0), 0), ((1, 9), 1), ((4.9, 0), None)]
)
def test_the_lobe_without_which_the_lung_has_its_shape(shape, index):
    assert shapes().missing(np.array(shape, float)) == index


def test_what_is_unlike_every_lung_lacks_no_lobe():
    beyond = 10 + np.sqrt(FARTHEST) + 0.1
    assert shapes().missing(np.array([beyond, 0.0])) is None


def test_a_whole_lung_must_be_clearly_worse():
    # At x the distances are x² and (10 − x)².
    tie = (100 + MARGIN) / 20
    assert shapes().missing(np.array([tie - 0.01, 0.0])) is None
    assert shapes().missing(np.array([tie + 0.01, 0.0])) == 0


def test_made_up_lungs_and_one_lung_lack_nothing():
    lungs = two_lungs()
    alone = np.where(lungs == LEFT_LUNG, lungs, 0).astype(np.uint8)
    for labels in (lungs, alone):
        assert missing_lobes(divide_lungs(labels, (5.0, 5.0, 5.0))) == ()


@pytest.mark.data
@pytest.mark.parametrize("name", ["RUL", "RLL", "LLL"])
def test_a_lobe_taken_out_of_real_lungs_is_named(real_data, monkeypatch, name):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "experiments"))
    masks = importlib.import_module("fit_lobe_atlas")
    path = sorted((real_data / "luna16-lobes").glob("*.nrrd"))[1]
    lobes, spacing_mm = masks.read_lobes(path)
    lungs = masks.lungs_of(lobes)
    assert missing_lobes(divide_lungs(lungs, spacing_mm)) == ()
    lungs[lobes == LOBES[name]] = 0
    # The shapes know this mask: this holds file, axes and shapes together, no more.
    assert missing_lobes(divide_lungs(lungs, spacing_mm)) == (name,)
    assert set(load_shapes()) == {RIGHT_LUNG, LEFT_LUNG}
