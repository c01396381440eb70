"""Annotated slices as the networks of folds read them."""

import shutil

import numpy as np
import pytest

import held_out_readings
from held_out_readings import FOLDS, held_out_slices, run_of_fold, weights_of_folds
from lungscore.datasets import covid_semiseg
from lungscore.evaluation.metrics import dice
from lungscore.inference.bundle import models_folder
from lungscore.inference.readings import READINGS


@pytest.mark.slow
@pytest.mark.data
def test_readings_lie_as_the_annotations_do_and_are_kept(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGSCORE_DATA", str(real_data))
    samples = covid_semiseg.load(real_data / "covid-semiseg", "train")
    folds = dict.fromkeys((sample.name for sample in samples), FOLDS) | {samples[0].name: 3}
    monkeypatch.setattr(held_out_readings, "fold_of", lambda *_: folds)
    for fold in range(FOLDS):
        shutil.copytree(models_folder() / "infection", run_of_fold(tmp_path, fold))
    (held_out,) = held_out_slices(tmp_path)
    assert held_out.fold == 3
    for readings in (held_out.full, held_out.crop):
        assert readings.probability.shape == (READINGS, *readings.drawn.shape)
        assert dice((readings.probability[0] >= 0.5) & readings.counted, readings.drawn) > 0.6
        assert len(np.unique(readings.probability.reshape(READINGS, -1).sum(axis=1))) == READINGS
    assert held_out.crop.counted.all()
    assert 0.1 < held_out.full.counted.mean() < 0.6
    # Kept: no network is needed to read them again.
    monkeypatch.setattr(held_out_readings, "Segmenter", None)
    (again,) = held_out_slices(tmp_path)
    for kept, read in zip(
        (*again.full, *again.crop), (*held_out.full, *held_out.crop), strict=True
    ):
        np.testing.assert_array_equal(kept, read)
    assert len(set(weights_of_folds(tmp_path))) == 1
