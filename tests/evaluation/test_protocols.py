"""The protocols on made-up scans, whose lesions stand in for what a network finds."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lungscore.anatomy import Lungs
from lungscore.errors import InputError
from lungscore.evaluation import protocols
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG


@pytest.fixture
def lungs(monkeypatch):
    """Eight slices, lung in 1 to 6; what the "network" finds is the segmenter itself."""
    lungs = np.zeros((8, 10, 20), np.uint8)
    lungs[1:7, 2:8, 2:8], lungs[1:7, 2:8, 12:18] = RIGHT_LUNG, LEFT_LUNG
    scan = SimpleNamespace(
        shape=lungs.shape, voxel_ml=0.5, units="grey", values=lungs, spacing_mm=(5.0, 5.0, 5.0)
    )
    labels = Lungs(lungs, sides_known=True)
    monkeypatch.setattr(protocols, "read_scan", lambda path: scan)
    monkeypatch.setattr(protocols, "find_lungs", lambda scan: labels)
    monkeypatch.setattr(protocols, "find_lungs_of", lambda scan, loaded: labels)
    monkeypatch.setattr(
        protocols, "_found", lambda scan, lungs, lesions: (lungs, SimpleNamespace(labels=lesions))
    )
    return lungs


def test_each_half_of_a_healthy_person_is_measured_by_the_model_that_never_saw_it(lungs, tmp_path):
    cranial, caudal = np.zeros_like(lungs), np.zeros_like(lungs)
    cranial[1:4, 2:8, 2:8] = 1  # false alarms where it was trained, which do not count
    cranial[4, 2:8, 2:8] = 1
    cranial[5, 0] = 1  # outside the lungs
    caudal[4:7] = 1
    figures = protocols.on_healthy_halves(tmp_path, {"cranial": cranial, "caudal": caudal})
    assert figures["halves"]["caudal"]["infection_percent"] == pytest.approx(100 * 36 / (3 * 72))
    assert figures["halves"]["cranial"]["infection_percent"] == 0
    assert figures["halves"]["cranial"]["slices"] == figures["halves"]["caudal"]["slices"] == 3
    assert figures["infection_percent"] == pytest.approx(100 * 36 / (6 * 72))
    # Lungs of 0.2 litres are too small for a category.
    assert figures["category"] is None


def write_marks(tmp_path, marks: list[int]):
    rows = [f"{index},{mark},{mark},0,0,0,0" for index, mark in enumerate(marks)]
    path = tmp_path / "labels.csv"
    header = "slice_superior_to_inferior,infected,LLL,LUL,RLL,RML,RUL"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_marked_slices_and_the_marked_lung_are_compared_with_what_is_found(lungs, tmp_path):
    lesions = np.zeros_like(lungs)
    lesions[2:4, 2:8, 12:15] = 1  # left, in two marked slices
    lesions[5, 2:4, 2:8] = 2  # right, in a slice that nobody marked
    lesions[0] = 1  # outside the lungs
    labels = write_marks(tmp_path, [0, 0, 1, 1, 0, 0, 0, 0])
    figures = protocols.on_patient(tmp_path, labels, lesions)
    assert figures["slice_auc"]["auc"] == 1
    assert figures["slice_auc"]["positive"] == 2
    assert figures["left_percent_of_infection"] == pytest.approx(100 * 36 / 48)
    assert figures["infection_percent"] == pytest.approx(100 * 48 / (6 * 72))
    assert figures["infection_ml"] == pytest.approx(24)
    assert [row["marked"] for row in figures["slices"]] == [False] * 2 + [True] * 2 + [False] * 4
    assert figures["slices"][2]["infection_percent"] == pytest.approx(25)
    assert figures["slices"][0]["infection_percent"] == 0
    assert figures["lobes"]["marked_lobes"] == ["LLL"]
    assert figures["lobes"]["marked_percent_of_infection"] <= 75


def test_marks_of_another_number_of_slices_are_refused(lungs, tmp_path):
    with pytest.raises(InputError, match="7 rows for 8 slices") as caught:
        protocols.on_patient(tmp_path, write_marks(tmp_path, [0] * 7), lungs)
    assert caught.value.code == "dataset-incomplete"


@pytest.fixture
def predictor_that_knows(real_data, monkeypatch):
    """In place of a network, the truth of the slices of both parts; (slice, model) in turn."""
    truth, asked = {}, []
    for group in ("train", "test"):
        for sample in protocols.covid_semiseg.load(real_data / "covid-semiseg", group):
            infection = sample.infection.T.astype(np.uint8) * 255
            truth[sample.name] = SimpleNamespace(infection=infection, classes=sample.lesions.T)

    def predict(scan, model):
        asked.append((scan.name, model))
        return truth[scan.name]

    monkeypatch.setattr(protocols, "predict_slice", predict)
    monkeypatch.setattr(
        protocols, "read_scan", lambda path, name: SimpleNamespace(name=name, path=path)
    )
    return asked


@pytest.mark.data
@pytest.mark.slow
def test_annotated_slices_are_predicted_by_the_models_that_had_not_seen_them(
    real_data, predictor_that_knows
):
    figures = protocols.on_held_out_slices(real_data / "covid-semiseg", [0, 1, 2, 3, 4])
    assert (figures["dice"]["mean"], figures["dice"]["n"]) == (1, 50)
    file = Path(__file__).parents[2] / "experiments/benchmark/folds.json"
    folds = enumerate(json.loads(file.read_text())["folds"])
    assert dict(predictor_that_knows) == {name: fold for fold, names in folds for name in names}
    assert figures["lesions"]["consolidation"]["n"] == 39


@pytest.mark.data
def test_test_slices_are_compared_as_they_are_stored(real_data, predictor_that_knows):
    """A predictor that knows the truth scores 1, so files, truth and orientation fit together."""
    figures = protocols.on_test_slices(real_data / "covid-semiseg", None)
    assert (figures["dice"]["mean"], figures["dice"]["n"]) == (1, 24)
    assert figures["area_correlation"] == pytest.approx(1)
    assert figures["without_91"]["dice"]["n"] == 23
    for key in ("ggo", "consolidation"):
        figures_of_class, without = figures["lesions"][key], figures["without_91"]["lesions"][key]
        assert figures_of_class["dice"]["mean"] == 1
        assert 0 < figures_of_class["n"] == figures_of_class["dice"]["n"] <= 24
        assert figures_of_class["n"] + figures_of_class["absent"]["n"] == 24
        assert figures_of_class["n"] - without["n"] in (0, 1)
        assert "slices" in figures_of_class
        assert "slices" not in without


def test_labels_that_lack_a_column_are_refused_before_the_scan_is_read(tmp_path):
    labels = tmp_path / "labels.csv"
    for content in (b"infected;RUL\n1;0\n", b"infected,RUL\n", "Ä,infected\n".encode("latin-1")):
        labels.write_bytes(content)
        with pytest.raises(InputError) as refused:
            protocols.on_patient(tmp_path / "no scan", labels, None)
        assert refused.value.code == "table-invalid"
