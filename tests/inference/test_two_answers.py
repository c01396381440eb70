"""One network that finds infection and tells consolidation from ground glass in it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from lungscore.anatomy import Lungs
from lungscore.cli.evaluate import _infection_bundle
from lungscore.errors import InputError
from lungscore.inference import Bundle, Segmenter, load_bundle, segment
from lungscore.inference.bundle import CARD, GRAPH, WEIGHTS, Card
from lungscore.inference.predict import predict_slice
from lungscore.inference.readings import THRESHOLDS
from lungscore.labels import CONSOLIDATION, GGO
from tests.inference.random_bundle import HEIGHT, WIDTH, card_of
from tests.inference.small_scans import scan_of

#: Grey levels from which the network calls a pixel infected, and infection consolidation. Density
#: would part them at 0.767 (−200 HU).
INFECTED, DENSE, STEEPNESS = 0.4, 0.6, 20.0


@pytest.fixture(scope="module")
def two_answers(tmp_path_factory) -> Bundle:
    """A bundle whose two probabilities rise with the grey level."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    numbers = {"infected": [INFECTED], "dense": [DENSE], "steepness": [STEEPNESS]}
    nodes = []
    for name in ("infected", "dense"):
        nodes += [
            helper.make_node("Sub", ["grey", name], [f"above_{name}"]),
            helper.make_node("Mul", [f"above_{name}", "steepness"], [f"logit_{name}"]),
        ]
    nodes += [
        helper.make_node("Concat", ["logit_infected", "logit_dense"], ["logits"], axis=1),
        helper.make_node("Sigmoid", ["logits"], ["classes"]),
    ]
    size = (HEIGHT, WIDTH)
    graph = helper.make_graph(
        nodes,
        "two-answers",
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, (1, 1, *size))],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, (1, 2, *size))],
        [
            helper.make_tensor(name, TensorProto.FLOAT, [1], value)
            for name, value in numbers.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    folder = tmp_path_factory.mktemp("models") / "two-answers"
    folder.mkdir()
    for name, content in {GRAPH: model.SerializeToString(), WEIGHTS: b"none"}.items():
        (folder / name).write_bytes(content)
    write(folder, outputs=("infection", "consolidation"), name="two-answers")
    return load_bundle(folder)


def write(folder: Path, **changes) -> None:
    card = card_of(folder, **changes)
    (folder / CARD).write_text(json.dumps(card.model_dump(mode="json")))


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def segmenter(request, two_answers) -> Segmenter:
    return Segmenter(two_answers, engine=request.param, threads=1)


def volume(*levels: float) -> tuple:
    """Slices of lung with a square of each grey level of the window, in HU, far apart."""
    values = np.full((len(levels), HEIGHT, WIDTH), -1350, np.int16)
    for index, level in enumerate(levels):
        values[index, 20:40, 30:60] = round(-1350 + 1500 * level)
    return scan_of(values), Lungs(np.ones(values.shape, np.uint8), sides_known=True)


def test_the_network_tells_the_classes_apart_and_no_density_does(segmenter):
    scan, lungs = volume(0.2, 0.45, 0.7, 0.95)
    lesions = segment(scan, lungs, segmenter)
    assert lesions.labels[:, 30, 45].tolist() == [0, GGO, CONSOLIDATION, CONSOLIDATION]
    assert not lesions.labels[:, :10].any()
    assert "hu-split" not in {notice.code for notice in lesions.notices}
    assert [model.name for model in lesions.models] == ["two-answers"]


def test_faint_infection_about_it_is_told_apart_by_density(segmenter):
    low = THRESHOLDS[0]
    # The network gives p at the grey level INFECTED + logit(p) / STEEPNESS.
    faint = INFECTED + np.log(0.3 / 0.7) / STEEPNESS
    scan, lungs = volume(faint, 0.95)
    found = segment(scan, lungs, segmenter, alternatives=True)
    assert low < 0.3 < 0.5
    assert not found.labels[0].any()
    lowest = np.zeros(scan.shape, np.uint8)
    lowest.put(found.alternatives.voxels, next(found.alternatives.lesions()))
    assert lowest[:, 30, 45].tolist() == [GGO, CONSOLIDATION]


def test_a_lone_slice_has_its_classes_from_the_network(segmenter):
    grey = np.tile(np.linspace(0, 255, 90).astype(np.uint8), (60, 1))
    prediction = predict_slice(scan_of(grey[None], sides_known=False), segmenter)
    np.testing.assert_array_equal(prediction.classes > 0, prediction.infection >= 128)
    columns = [prediction.classes[30, int(90 * level)] for level in (0.2, 0.5, 0.8)]
    assert columns == [0, GGO, CONSOLIDATION]


def test_a_network_for_lesions_that_is_given_decides_instead(two_answers, lesions_bundle):
    both = Segmenter(two_answers, lesions_bundle, threads=1)
    scan, lungs = volume(0.5, 0.95)
    alone = segment(scan, lungs, Segmenter(two_answers, threads=1))
    beside = segment(scan, lungs, both)
    np.testing.assert_array_equal(beside.labels > 0, alone.labels > 0)
    assert [model.name for model in beside.models] == ["two-answers", "random-lesions"]


def test_classes_are_averaged_over_neighbouring_slices_too(two_answers):
    scan, lungs = volume(0.95, 0.95, 0.58, 0.95, 0.95)
    scan = replace(scan, spacing_mm=(2.0, 4.0, 4.0))
    labels = segment(scan, lungs, Segmenter(two_answers, threads=1)).labels
    assert (labels[:, 30, 45] == CONSOLIDATION).all()


def test_a_card_says_which_of_the_three_it_is(two_answers):
    content = two_answers.card.model_dump(mode="json")
    assert two_answers.card.target == "classes"
    assert two_answers.card.separates_classes
    alone = Card.model_validate({**content, "outputs": ["infection"]})
    assert (alone.target, alone.separates_classes) == ("infection", False)
    for outputs in (["consolidation", "infection"], ["infection", "ggo"], []):
        with pytest.raises(ValidationError, match="no network"):
            Card.model_validate({**content, "outputs": outputs})
    with pytest.raises(ValidationError, match="greater than 0"):
        Card.model_validate({**content, "temperature": 0})
    for thresholds in ([0.5, 0.8], [0.2, 0.4], [0.8, 0.2], [0, 0.9]):
        with pytest.raises(ValidationError, match="below and above"):
            Card.model_validate({**content, "range_thresholds": thresholds})


def test_what_measures_models_for_infection_takes_it_too(two_answers, lesions_bundle):
    assert _infection_bundle(str(two_answers.folder)).card.name == "two-answers"
    with pytest.raises(InputError, match="is for lesions"):
        _infection_bundle(str(lesions_bundle.folder))


def test_old_cards_have_no_calibration_and_no_equal_precision(bundle):
    card = json.loads((bundle.folder / CARD).read_text(encoding="utf-8"))
    del card["temperature"], card["range_thresholds"], card["equal_precisions"]
    read = Card.model_validate(card)
    assert (read.temperature, read.range_thresholds, read.equal_precisions) == (1.0, None, ())
    assert hashlib.sha256((bundle.folder / GRAPH).read_bytes()).hexdigest() == read.sha256[GRAPH]
