"""Infected or not, of single slices: features, folds over two sources, figures."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from slice_detection import (
    FEATURES,
    PEAK_PIXELS,
    blocks,
    called,
    features,
    figures,
    fit_logistic,
    out_of_fold,
)

LUNGS = np.zeros((64, 96), bool)
LUNGS[8:56, 8:40] = LUNGS[8:56, 56:88] = True


def of(probability: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, features(probability, LUNGS), strict=True))


def test_a_map_of_nothing_is_at_the_floor():
    values = of(np.zeros(LUNGS.shape))
    assert values == {"burden": pytest.approx(-3), "peak": 0, "lungs_affected": 0}


def test_burden_is_the_infected_share_of_the_lungs_and_sides_are_counted():
    maps = np.zeros(LUNGS.shape)
    maps[8:56, 8:40] = 0.9
    maps[:8] = 1  # outside the lungs nothing counts
    values = of(maps)
    assert 10 ** values["burden"] == pytest.approx(0.5)
    assert values["lungs_affected"] == 1
    assert values["peak"] == pytest.approx(0.9)
    maps[8:56, 56:60] = 0.5
    assert of(maps)["lungs_affected"] == 2


def test_a_peak_is_a_mean_so_that_one_pixel_is_none():
    maps = np.zeros(LUNGS.shape)
    maps[30, 20] = 1
    assert of(maps)["peak"] == pytest.approx(1 / PEAK_PIXELS**2)


def test_every_slice_is_held_out_and_never_trains_where_it_is():
    folds, halves = np.array([0, 1, 2, 0, 1]), np.array([0, 0, 1, 1])
    trainings = list(blocks(folds, halves))
    assert len(trainings) == 6
    for block in trainings:
        for (train, out), whole in ((block.infected, 5), (block.healthy, 4)):
            assert not set(train) & set(out)
            assert set(train) | set(out) == set(range(whole))
        assert set(folds[block.infected[1]]) == {block.fold}
        assert set(halves[block.healthy[1]]) == {block.half}


def test_a_planted_difference_is_found_and_noise_is_not():
    rng = np.random.default_rng(2)
    folds, halves = np.arange(60) % 5, np.arange(60) // 30
    well, ill = rng.normal(0, 1, (60, 3)), rng.normal(0, 1, (60, 3))
    infected = np.arange(120) < 60
    noise = out_of_fold(ill, well, folds, halves, regularisation=1.0)
    assert 0.3 < roc_auc_score(infected, noise) < 0.7
    planted = out_of_fold(ill + np.array([2, 0, 0]), well, folds, halves, regularisation=1.0)
    assert roc_auc_score(infected, planted) > 0.85


def test_a_model_that_could_learn_every_slice_by_heart_gains_nothing():
    """More features of noise than slices: whoever trained on a slice would know it."""
    rng = np.random.default_rng(4)
    ill, well = rng.normal(0, 1, (60, 300)), rng.normal(0, 1, (60, 300))
    folds, halves = np.arange(60) % 5, np.arange(60) // 30
    infected = np.arange(120) < 60
    model = fit_logistic(ill, well, regularisation=1.0)
    by_heart = model.predict_proba(np.concatenate([ill, well]))[:, 1]
    assert roc_auc_score(infected, by_heart) == 1
    held_out = out_of_fold(ill, well, folds, halves, regularisation=1.0)
    assert 0.3 < roc_auc_score(infected, held_out) < 0.7


def test_figures_agree_with_another_library_and_say_n():
    rng = np.random.default_rng(3)
    infected = rng.random(80) < 0.5
    probability = np.clip(0.5 * infected + rng.random(80) * 0.6, 0, 1)
    estimates = figures(probability, infected)
    assert estimates["auc"]["value"] == pytest.approx(roc_auc_score(infected, probability))
    assert estimates["auc"]["low"] < estimates["auc"]["value"] < estimates["auc"]["high"]
    assert estimates["auc"]["n"] == 80
    point = estimates["at_one_half"]
    assert point["sensitivity"]["value"] == pytest.approx((probability >= 0.5)[infected].mean())
    assert point["specificity"]["n"] == int((~infected).sum())


def test_verdicts_are_counted_by_what_is_true():
    rates = called(np.array([True, False, True, False]), np.array([True, True, False, False]))
    assert rates["sensitivity"]["value"] == rates["specificity"]["value"] == 0.5
