"""How much dense disease is found, by a network that finds all of it."""

import numpy as np
import pytest

import dense_phantoms
from dense_phantoms import AIM, PARTS, SEEDS, SPARSE, share, summary, with_model
from lungscore.inference import Segmenter, load_bundle
from lungscore.labels import LOBE_ORDER


def test_all_that_is_dense_inside_the_lungs_is_found(monkeypatch, stand_in_model):
    monkeypatch.setattr(dense_phantoms, "SHAPE", (24, 96, 96))
    monkeypatch.setattr(dense_phantoms, "SEEDS", SEEDS[:1])
    monkeypatch.setattr(dense_phantoms, "LOBE_ORDER", LOBE_ORDER[-1:])
    segmenter = Segmenter(load_bundle(stand_in_model), threads=1)
    (row,) = dense_phantoms.dense_phantoms(segmenter)
    assert row["percent_of_lobe"] == pytest.approx(100 * PARTS[0], abs=2)
    assert 0.3 < row["in_lungs"] <= 1
    assert row["called_infected"] == pytest.approx(row["in_lungs"], abs=0.02)
    assert 0.8 * row["called_infected"] < row["called_consolidation"] <= row["called_infected"]
    assert 0 < row["false_percent"] < 30  # vessels


def rows(called: list[float]) -> tuple[list[dict], list[dict]]:
    dense = [
        {"lobe": lobe, "in_lungs": 1.0, "called_infected": part, "called_consolidation": part / 2}
        for part in called
        for lobe in LOBE_ORDER
    ]
    sparse = [{"preset": preset} | dict.fromkeys(LOBE_ORDER, 0.5) for preset in SPARSE]
    return dense, sparse


def test_the_summary_has_the_means_of_every_lobe_and_the_worst_phantom():
    figures = summary(*rows([0.5, 1.0]))
    assert figures["dense"]["RML"]["called_infected"]["mean"] == pytest.approx(0.75)
    assert figures["dense"]["RML"]["called_consolidation"]["n"] == 2
    assert figures["least_called_infected"] == 0.5
    assert figures["false_percent"]["healthy"]["LUL"]["mean"] == 0.5


def test_models_stand_side_by_side_unless_the_phantoms_are_others(monkeypatch):
    content = with_model({}, "1", {"a": 1})
    both = with_model(dense_phantoms.plain(content), "2", {"a": 2})
    assert both["models"] == {"1": {"a": 1}, "2": {"a": 2}}
    assert with_model(dense_phantoms.plain(both), "1", {"a": 3})["models"]["1"] == {"a": 3}
    monkeypatch.setattr(dense_phantoms, "PARTS", (0.5,))
    assert with_model(dense_phantoms.plain(both), "3", {})["models"] == {"3": {}}
    assert both["aim"] == AIM


def test_a_share_is_of_the_region_alone():
    mask, region = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert share(mask, region) == 0.5
