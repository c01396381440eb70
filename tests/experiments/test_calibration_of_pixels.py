"""Temperatures out of fold."""

import numpy as np
import pytest

from calibration import AIM, TITLES, both_ways, cross_tempered, draw, pixels_of
from held_out_readings import FOLDS, Readings
from lungscore.evaluation.pixel_calibration import fit_temperature, tempered


def made_up(seed: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    right = 1 / (1 + np.exp(-rng.normal(-1, 2, 3000)))
    return tempered(right, 1 / temperature), rng.random(right.shape) < right


#: Two slices of each fold; those of the last are not sure enough, all others too sure.
SLICES = [made_up(seed, 2.0 if seed < 8 else 0.5) for seed in range(10)]
OF_FOLD = [seed // 2 for seed in range(10)]


def test_every_fold_has_the_temperature_of_the_others():
    mended, temperatures = cross_tempered(SLICES, OF_FOLD)
    assert len(temperatures) == FOLDS
    assert temperatures[4] == fit_temperature(SLICES[:8])
    assert temperatures[4] > max(temperatures[:4])
    np.testing.assert_array_equal(mended[9][0], tempered(SLICES[9][0], temperatures[4]))
    np.testing.assert_array_equal(mended[9][1], SLICES[9][1])


def test_the_figures_and_the_picture(tmp_path):
    figures = both_ways(SLICES, OF_FOLD)
    for name in ("as_trained", "tempered"):
        assert sum(row["share"] for row in figures[name]["table"]) == pytest.approx(1)
        assert figures[name]["error_by_slice"]["n"] == 10
    assert figures["as_trained"]["error_by_slice"]["mean"] > AIM
    draw(dict.fromkeys(TITLES, figures), tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes()[1:4] == b"PNG"


def test_pixels_are_those_that_count_in_the_reading_that_counts():
    probability = np.zeros((3, 2, 2), np.float32)
    probability[0] = [[0.1, 0.2], [0.3, 0.4]]
    counted = np.array([[True, False], [True, True]])
    drawn = np.array([[True, True], [False, True]])
    found, truth = pixels_of(Readings(probability, counted, drawn))
    np.testing.assert_allclose(found, [0.1, 0.3, 0.4])
    assert truth.tolist() == [True, False, True]
