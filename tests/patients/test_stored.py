"""Models as JSON: what was written is read again, anything else is refused."""

import json

import numpy as np
import pytest

from lungscore.errors import ResourceError
from lungscore.patients.clinical import train_clinical
from lungscore.patients.defaults import CLINICAL_FEATURES
from lungscore.patients.detection import train_detector
from lungscore.patients.stored import ClinicalModel, Detector, read_model
from tests.patients.made_up import COVARIATES, LABELS, clinical, detection


@pytest.fixture(scope="module")
def detector() -> Detector:
    return train_detector(detection(), labels=LABELS, name="mine")


@pytest.fixture(scope="module")
def model() -> ClinicalModel:
    return train_clinical(clinical(), covariates=COVARIATES, name="mine")


def test_a_model_that_was_read_predicts_the_same(detector, model, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(detector.to_json(), encoding="utf-8")
    again, sha256 = read_model(path, Detector)
    values = detection().columns(detector.names)
    assert (again.model.probability(values) == detector.model.probability(values)).all()
    assert len(sha256) == 64
    assert next(iter(json.loads(path.read_text()))) == "schema"
    path.write_text(model.to_json(), encoding="utf-8")
    values = clinical().columns((*CLINICAL_FEATURES, *COVARIATES))
    reread = read_model(path, ClinicalModel)[0].model.probabilities(values)
    assert np.array_equal(reread, model.model.probabilities(values))


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "lungscore.detector/2"},
        {"features": []},
        {"intercept": "much"},
        {"intercept": None},
        {"extra": 1},
    ],
)
def test_what_is_no_detector_is_refused(detector, tmp_path, change):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(json.loads(detector.to_json()) | change))
    with pytest.raises(ResourceError, match=r"m\.json is none") as refused:
        read_model(path, Detector)
    assert refused.value.code == "model-damaged"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"schema": NaN}', b"[" * 100_000]
)
def test_what_is_no_json_is_refused(tmp_path, content):
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(ResourceError) as refused:
        read_model(path, Detector)
    assert refused.value.code == "model-damaged"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "0", "-1"])
def test_a_scale_that_cannot_be_is_refused(detector, tmp_path, value):
    path = tmp_path / "m.json"
    content = json.loads(detector.to_json())
    content["features"][0]["scale"] = "HERE"
    path.write_text(json.dumps(content).replace('"HERE"', value))
    with pytest.raises(ResourceError) as refused:
        read_model(path, Detector)
    assert refused.value.code == "model-damaged"


@pytest.mark.parametrize("thresholds", [[1.0], [4.0, 3, 2, 1], []])
def test_thresholds_that_part_no_classes_are_refused(model, tmp_path, thresholds):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(json.loads(model.to_json()) | {"thresholds": thresholds}))
    with pytest.raises(ResourceError) as refused:
        read_model(path, ClinicalModel)
    assert refused.value.code == "model-damaged"


def test_a_clinical_model_is_no_detector(model, tmp_path):
    path = tmp_path / "m.json"
    path.write_text(model.to_json())
    with pytest.raises(ResourceError):
        read_model(path, Detector)
    with pytest.raises(ResourceError) as refused:
        read_model(tmp_path / "none.json", Detector)
    assert refused.value.code == "model-missing"
