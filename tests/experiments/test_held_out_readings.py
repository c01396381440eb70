"""Annotated slices as the networks of folds read them."""

import numpy as np
import pytest

import held_out_readings
from held_out_readings import FOLDS, bundles_of_folds, held_out_slices
from lungscore.datasets import covid_semiseg
from lungscore.evaluation.metrics import dice
from lungscore.inference.bundle import models_folder
from lungscore.inference.readings import READINGS


@pytest.mark.data
def test_readings_lie_as_the_annotations_do(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGSCORE_DATA", str(real_data))
    samples = covid_semiseg.load(real_data / "covid-semiseg", "train")[:1]
    monkeypatch.setattr(held_out_readings.covid_semiseg, "load", lambda *_: samples)
    for fold in range(FOLDS):
        (tmp_path / f"fold{fold}-seed0").symlink_to(models_folder() / "infection")
    (held_out,) = held_out_slices(bundles_of_folds(tmp_path))
    for readings in (held_out.full, held_out.crop):
        assert readings.probability.shape == (READINGS, *readings.drawn.shape)
        assert dice((readings.probability[0] >= 0.5) & readings.counted, readings.drawn) > 0.6
        assert len(np.unique(readings.probability.reshape(READINGS, -1).sum(axis=1))) == READINGS
    assert held_out.crop.counted.all()
    assert 0.1 < held_out.full.counted.mean() < 0.6
    assert held_out.fold in range(FOLDS)
