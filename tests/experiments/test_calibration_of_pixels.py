"""Temperatures out of fold, from maps as a training keeps them."""

import numpy as np
import pytest

from calibration import FOLDS, cross_fitted, figures, maps_of, maps_of_folds
from lungscore.datasets import covid_semiseg
from lungscore.evaluation.metrics import dice
from lungscore.evaluation.pixel_calibration import fit_temperature, tempered
from lungscore.inference.bundle import models_folder


def made_up(seed: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    right = 1 / (1 + np.exp(-rng.normal(-1, 2, (50, 60))))
    return tempered(right, 1 / temperature), rng.random(right.shape) < right


def test_each_fold_is_mended_by_the_others():
    slices = [made_up(seed, 2.0 if seed < 8 else 0.5) for seed in range(10)]
    folds = [seed // 2 for seed in range(10)]
    mended, temperatures = cross_fitted(slices, folds)
    assert len(temperatures) == FOLDS
    assert temperatures[4] == fit_temperature(slices[:8])
    assert temperatures[4] > max(temperatures[:4])  # its own slices are not sure enough
    np.testing.assert_array_equal(mended[9][0], tempered(slices[9][0], temperatures[4]))
    np.testing.assert_array_equal(mended[9][1], slices[9][1])


def test_the_table_adds_up():
    found = figures([made_up(seed, 1.0) for seed in range(4)])
    assert sum(row["share"] for row in found["table"]) == pytest.approx(1)
    assert found["error_by_slice"]["n"] == 4
    assert found["error_together"] < found["error_by_slice"]["mean"] < 0.05


def test_levels_are_read_in_the_middle_of_their_step(tmp_path):
    levels = np.array([[[[0, 127, 128, 255]]]], np.uint8)
    np.savez(tmp_path / "maps.npz", **{"arm/names": np.array(["7"]), "arm/single": levels})
    (maps,) = maps_of(tmp_path / "maps.npz", "arm").values()
    np.testing.assert_allclose(maps[0, 0] * 256, [0.5, 127.5, 128.5, 255.5])
    assert (maps >= 0.5).tolist() == [[[False, False, True, True]]]


@pytest.mark.data
def test_maps_of_bundles_lie_as_the_samples_do(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("LUNGSCORE_DATA", str(real_data))
    for fold in range(FOLDS):
        (tmp_path / f"fold{fold}").symlink_to(models_folder() / "infection")
    (sample, *_) = covid_semiseg.load(real_data / "covid-semiseg", "train")
    (maps,) = maps_of_folds(tmp_path, [sample]).values()
    assert maps.shape == (1, *sample.infection.shape)
    assert dice(maps[0] >= 0.5, sample.infection) > 0.6
