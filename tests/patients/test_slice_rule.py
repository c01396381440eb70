"""The rule by slices: its edges, its truth, and its figures."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from lungscore.patients.slice_rule import class_of_slice, slice_rule


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (0, 0),
        (np.nextafter(1, 0), 0),
        (1, 1),
        (np.nextafter(1, 2), 1),
        (np.nextafter(50, 0), 1),
        (50, 2),
        (np.nextafter(50, 51), 2),
        (100, 2),
    ],
)
def test_every_edge_belongs_to_the_bin_above_it(percent, expected):
    assert class_of_slice(np.array([percent])).tolist() == [expected]


@pytest.mark.parametrize("percent", [-0.1, 100.1])
def test_more_than_the_whole_lung_is_refused(percent):
    with pytest.raises(ValueError, match="0–100"):
        class_of_slice(np.array([percent]))


def test_the_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    classes = rng.choice(["none", "mild", "moderate", "severe", "critical"], 40)
    slices = [rng.uniform(0, 100, rng.integers(1, 9)) * rng.choice([0.01, 1]) for _ in classes]
    figures = slice_rule(slices, classes, [f"p{n}" for n in range(40)])
    truth = [{"severe": 1, "critical": 2}.get(name, 0) for name in classes]
    of_slices = [t for t, percents in zip(truth, slices, strict=True) for _ in percents]
    by_rule = [0 if p < 1 else 1 if p < 50 else 2 for percents in slices for p in percents]
    worst = [0 if max(e) < 1 else 1 if max(e) < 50 else 2 for e in slices]

    micro = f1_score(of_slices, by_rule, average="micro")
    assert micro == pytest.approx(accuracy_score(of_slices, by_rule))
    assert figures["slices"]["micro_f1"]["value"] == pytest.approx(micro, abs=1e-6)
    assert figures["slices"]["micro_f1"]["n"] == len(of_slices)
    assert figures["slices"]["confusion"] == confusion_matrix(of_slices, by_rule).tolist()
    patients = figures["patients_by_worst_slice"]
    assert patients["micro_f1"]["value"] == pytest.approx(accuracy_score(truth, worst), abs=1e-6)
    assert patients["confusion"] == confusion_matrix(truth, worst).tolist()
    assert patients["always_0"]["value"] == pytest.approx(np.mean(np.array(truth) == 0), abs=1e-6)


def test_the_interval_over_slices_is_clustered_by_patient():
    """Ten slices that agree in every patient are worth one."""
    classes = ["none"] * 15 + ["severe"] * 15
    many = slice_rule([[0.0] * 10] * 30, classes, [str(n) for n in range(30)])
    few = slice_rule([[0.0]] * 30, classes, [str(n) for n in range(30)])
    assert many["slices"]["micro_f1"]["low"] == few["slices"]["micro_f1"]["low"]
    assert few["slices"]["micro_f1"]["high"] - few["slices"]["micro_f1"]["low"] > 0.3
