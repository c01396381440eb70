"""Infection told apart by a second network, which sees what the first one found."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lungscore import analyze
from lungscore.anatomy import Lungs
from lungscore.cli.main import call
from lungscore.errors import ResourceError, UsageError
from lungscore.inference import EngineUsed, Segmenter, segment
from lungscore.inference import bundle as bundle_module
from lungscore.inference.predict import predict_slice
from lungscore.inference.views import views
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.result import to_result
from lungscore.scan import Scan
from lungscore.scan.window import resize
from tests.inference.random_bundle import (
    LESIONS_HEIGHT,
    LESIONS_WIDTH,
    LESIONS_WINDOW_HU,
    images_of,
)
from tests.inference.small_scans import scan_of


@pytest.fixture(scope="module")
def both(bundle, lesions_bundle) -> Segmenter:
    """The two random bundles in the default engine."""
    return Segmenter(bundle, lesions_bundle, threads=2)


# With real engines


def test_infection_is_the_same_with_and_without_a_network_for_lesions(
    phantom, lungs, segmenter, both
):
    by_density = segment(phantom.scan, lungs, segmenter)
    by_network = segment(phantom.scan, lungs, both)
    np.testing.assert_array_equal(by_network.labels > 0, by_density.labels > 0)
    for label in (GGO, CONSOLIDATION):
        assert ((by_network.labels == label) & (by_density.labels != label)).any()


def test_both_models_are_named_and_no_threshold_is(phantom, lungs, both, bundle, lesions_bundle):
    lesions = segment(phantom.scan, lungs, both)
    assert lesions.models == (bundle.used, lesions_bundle.used)
    assert lesions.engine == EngineUsed("openvino", "f32")
    assert [notice.code for notice in lesions.notices] == ["solid-lung"]


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_every_engine_gives_the_same_classes(phantom, lungs, both, engine):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    alike = Segmenter(both.bundle, both.lesions, engine=engine, threads=1)
    expected = segment(phantom.scan, lungs, both).labels
    labels = segment(phantom.scan, lungs, alike).labels
    torch.set_num_threads(before)
    assert (labels == expected)[expected > 0].mean() > 0.999


def test_a_transposed_crop_has_the_transposed_classes(both):
    crop = (255 * resize(images_of(4)[3], 75, 130)).astype(np.uint8)
    shown = predict_slice(scan_of(crop[None], sides_known=False), both)
    turned = np.ascontiguousarray(crop.T)[None]
    stored = predict_slice(scan_of(turned, sides_known=False), both)
    np.testing.assert_array_equal(stored.classes.T, shown.classes)
    np.testing.assert_array_equal(shown.classes > 0, shown.infection >= 128)
    assert set(np.unique(shown.classes)) == {0, GGO, CONSOLIDATION}


def test_the_result_names_both_models(phantom_file: Path, both: Segmenter):
    result = to_result(analyze(phantom_file, segmenter=both))
    assert [model.name for model in result.models] == ["random", "random-lesions", "lungs"]
    assert result.models[0].sha256 != result.models[1].sha256
    assert "hu-split" not in {warning.code for warning in result.warnings}


# With engines whose answers are known


class Known:
    """Stands in for the engines of every segmenter made while it does.

    The first network finds infected what is grey above one half. The second calls consolidation
    what it sees above three quarters, as surely as ``certainty``, and remembers what it was shown.
    """

    def __init__(self) -> None:
        self.shown: list[tuple[np.ndarray, np.ndarray]] = []
        self.certainty = 1.0

    def make_engine(self, bundle, **_):
        run = self.lesions if bundle.card.target == "lesions" else self.infection
        return run, EngineUsed("known", "f32")

    def infection(self, slices) -> Iterator[np.ndarray]:
        for (grey,) in slices:
            yield grey[None]

    def lesions(self, slices) -> Iterator[np.ndarray | None]:
        for inputs in slices:
            if inputs is None:
                yield None
                continue
            self.shown.append(inputs)
            grey, _ = inputs
            # Background is the likeliest of the three, and plays no part.
            lean = self.certainty * np.clip((grey - 0.75) / 4, -0.2, 0.2)
            yield np.stack([np.full_like(grey, 0.6), 0.2 - lean, 0.2 + lean])


@pytest.fixture
def known(monkeypatch) -> Known:
    known = Known()
    # The package's ``segment`` is the function of that name.
    monkeypatch.setattr(sys.modules[Segmenter.__module__], "make_engine", known.make_engine)
    return known


@pytest.fixture
def pair(bundle, lesions_bundle, known) -> Segmenter:
    return Segmenter(bundle, lesions_bundle)


def volume(levels: list[float]) -> tuple[Scan, Lungs]:
    """Slices of lung with a square of each grey level of the infection window, in HU."""
    values = np.full((len(levels), 64, 96), -1350, np.int16)
    for index, level in enumerate(levels):
        values[index, 20:40, 30:60] = round(-1350 + 1500 * level)
    return scan_of(values), Lungs(np.ones(values.shape, np.uint8), sides_known=True)


def test_only_slices_with_infection_are_shown_to_the_second_network(known, pair):
    scan, lungs = volume([0.3, 0.6, 0.2, 0.45, 0.9, 0.0])
    labels = segment(scan, lungs, pair).labels
    assert len(known.shown) == 2
    assert [bool(plane.any()) for plane in labels] == [False, True, False, False, True, False]


def test_a_healthy_volume_is_not_shown_at_all(known, pair):
    scan, lungs = volume([0.1, 0.3, 0.49])
    assert not segment(scan, lungs, pair).labels.any()
    assert known.shown == []


def test_the_second_network_sees_its_own_window_and_size_and_the_first_ones_map(known, pair):
    scan, lungs = volume([0.0, 0.6])
    segment(scan, lungs, pair)
    ((grey, prior),) = known.shown
    assert grey.shape == prior.shape == (LESIONS_HEIGHT, LESIONS_WIDTH)
    lower, upper = LESIONS_WINDOW_HU
    assert grey.max() == pytest.approx((-1350 + 1500 * 0.6 - lower) / (upper - lower), abs=1e-3)
    assert prior.max() == pytest.approx(0.6, abs=1e-3)
    assert prior.min() == 0
    assert ((prior > 0.3) == (grey > grey.max() / 2)).mean() > 0.99  # at the same place


def test_the_likelier_of_the_two_wins_inside_infection_and_outside_there_is_nothing(pair):
    scan, lungs = volume([0.6, 0.95])
    labels = segment(scan, lungs, pair).labels
    # In the window of the second network 0.6 is 0.46 and 0.95 is 0.90, against 0.75.
    assert set(np.unique(labels[0])) == {0, GGO}
    assert labels[1, 30, 45] == CONSOLIDATION
    assert not labels[0, :10].any()
    assert not labels[1, :10].any()


def test_equal_probabilities_are_ground_glass(known, pair):
    known.certainty = 0
    scan, lungs = volume([0.95])
    assert set(np.unique(segment(scan, lungs, pair).labels)) == {0, GGO}


def test_a_lone_slice_is_shown_in_the_views_of_the_first_network(known, pair):
    crop = np.tile(np.linspace(0, 255, 90).astype(np.uint8), (60, 1))
    scan = scan_of(np.ascontiguousarray(crop.T)[None], sides_known=False)
    (finding,) = pair.find(scan, None)
    seen = list(views(scan, None))
    assert len(known.shown) == len(seen) == 6
    spec = pair.lesions.card.input
    for view, (grey, prior) in zip(seen, known.shown, strict=True):
        np.testing.assert_array_equal(grey, view.of(scan, spec))
        # The first network gave back what it saw, but for the seam where the slice ends.
        assert np.quantile(np.abs(grey - prior), 0.9) < 0.03
    # Turned back, mirrored back and averaged: dense is where the picture is bright.
    assert finding.dense.shape == scan.shape[1:]
    assert not finding.dense[:64].any()
    assert finding.dense[71:88, 2:-2].all()


# Which models are used


@pytest.fixture
def installed(bundle, lesions_bundle, known, tmp_path, monkeypatch) -> Path:
    """A package that ships both bundles, which need no engine to be told from one another."""
    for name, source in (("infection", bundle), ("lesions", lesions_bundle)):
        shutil.copytree(source.folder, tmp_path / "models" / name)
    monkeypatch.setattr(bundle_module, "models_folder", lambda: tmp_path / "models")
    return tmp_path / "models"


def named(segmenter: Segmenter) -> list[str]:
    return [bundle.card.name for bundle in segmenter.bundles]


@pytest.mark.usefixtures("installed")
def test_the_shipped_models_are_used_together():
    assert named(Segmenter()) == ["random", "random-lesions"]


def test_without_a_shipped_model_for_lesions_density_tells_the_two_apart(
    installed, tmp_path, monkeypatch, phantom, lungs
):
    shutil.rmtree(installed / "lesions")
    shutil.copytree(installed / "infection", tmp_path / "work" / "lesions")
    monkeypatch.chdir(tmp_path / "work")  # a folder of that name here is none of ours
    segmenter = Segmenter()
    assert named(segmenter) == ["random"]
    lesions = segment(phantom.scan, lungs, segmenter)
    assert [notice.code for notice in lesions.notices] == ["hu-split"]


def test_a_damaged_model_for_lesions_is_not_passed_over(installed):
    (installed / "lesions" / "model.onnx").write_bytes(b"one bit off")
    with pytest.raises(ResourceError) as caught:
        Segmenter()
    assert caught.value.code == "model-damaged"


@pytest.mark.usefixtures("installed")
def test_models_of_ones_own_are_used_as_they_are_given(bundle, lesions_bundle):
    assert named(Segmenter(bundle)) == ["random"]
    assert named(Segmenter(bundle, lesions_bundle)) == ["random", "random-lesions"]
    assert named(Segmenter(lesions=lesions_bundle)) == ["random", "random-lesions"]


def test_a_model_for_something_else_is_refused(bundle, lesions_bundle):
    for models, wrong in (((lesions_bundle,), "random-lesions"), ((bundle, bundle), "random")):
        with pytest.raises(UsageError, match=f"The model {wrong} gives") as caught:
            Segmenter(*models)
        assert caught.value.code == "usage"


@pytest.mark.usefixtures("known")
def test_evaluate_slices_tells_of_infection_and_of_both_classes(
    bundle, lesions_bundle, tmp_path, monkeypatch
):
    """Which models gave the figures, and for whose card each of them is."""
    dice = {"mean": 0.7, "low": 0.6, "high": 0.8, "n": 20}
    lesions = {key: {"dice": dice} for key in ("ggo", "consolidation")}
    figures = {"dice": dice, "toolbox_dice": dice, "lesions": lesions}
    used = []
    monkeypatch.setattr(
        "lungscore.evaluation.protocols.on_test_slices",
        lambda root, segmenter: used.extend(named(segmenter)) or figures,
    )
    monkeypatch.setenv("LUNGSCORE_DATA", str(tmp_path))
    models = ["--model", str(bundle.folder), "--lesions-model", str(lesions_bundle.folder)]
    assert call(["evaluate", "slices", "-o", str(tmp_path / "slices.json"), *models]) == 0
    assert used == ["random", "random-lesions"]
    result = json.loads((tmp_path / "slices.json").read_text())
    sums = [model["weights_sha256"] for model in result["models"]]
    assert sums == [model.used.sha256 for model in (bundle, lesions_bundle)]
    targets = [line.get("target") for line in result["card"]]
    assert targets == [None, None, "lesions", "lesions"]
    assert all("n = 20" in line["text"] for line in result["card"])


@pytest.mark.usefixtures("installed")
def test_both_models_are_listed_and_verified(capsys: pytest.CaptureFixture):
    assert call(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert "random 0" in text
    assert "random-lesions 0" in text
    assert call(["models", "verify"]) == 0
    assert capsys.readouterr().out.splitlines() == ["random: verified", "random-lesions: verified"]
