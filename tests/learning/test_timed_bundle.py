"""A network with two outputs from its training folder to the masks of every engine."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from lungscore.anatomy import Lungs
from lungscore.errors import InputError
from lungscore.inference import Segmenter, segment
from lungscore.inference.engines import ENGINE_MODULES
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.learning import card as card_module
from lungscore.learning.card import GREY_SPLIT, make_bundle
from lungscore.learning.timed.plan import Run
from lungscore.learning.timed.work import FACTS, WEIGHTS, save_half
from lungscore.networks import InfectionAndConsolidation, SlimInfNet, normalise
from tests.inference.random_bundle import images_of
from tests.inference.small_scans import scan_of

HEIGHT, WIDTH, TEMPERATURE = 64, 96, 2.0

pytest.importorskip("onnxscript")


@pytest.fixture
def network(tiny) -> SlimInfNet:
    """Random weights, as undecided about infection as about consolidation."""
    torch.manual_seed(0)
    network = SlimInfNet("tiny")
    greys = torch.stack([torch.from_numpy(image)[None] for image in images_of(4, HEIGHT, WIDTH)])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.train()(normalise(greys))
    return network.eval()


@pytest.fixture
def run(network, tmp_path):
    """The folder that a timed training leaves."""
    folder = tmp_path / "iterated-all"
    folder.mkdir()
    save_half(network, folder / WEIGHTS)
    made = asdict(Run("iterated", "iterated", "all", "tiny", teachers=("teacher",)))
    size = {"height": HEIGHT, "width": WIDTH}
    (folder / FACTS).write_text(json.dumps({"run": made, "input": size, "steps": 7}))
    return folder


def facts_of(folder, **contents):
    """A file of facts for the card, and the result files it names."""
    lines = ["data_terms: ours"]
    for key, content in contents.items():
        (folder / f"{key}.json").write_text(json.dumps(content))
        lines.append(f"{key}: {key}.json")
    (folder / "facts.yaml").write_text("\n".join(lines))
    return folder / "facts.yaml"


@pytest.mark.slow
def test_every_engine_gives_both_probabilities_and_the_classes(run, network, tmp_path):
    facts = facts_of(
        tmp_path,
        calibration={"infection": {"temperature": TEMPERATURE}},
        ranges={"chosen_on_all": [0.12, 0.9]},
    )
    bundle = make_bundle(run, tmp_path / "bundle", version="1", facts=facts)
    card = bundle.card
    assert (card.name, card.target, card.network) == ("infection", "classes", "slim-inf-net")
    assert (card.temperature, card.experiment["steps"]) == (TEMPERATURE, 7)
    assert card.range_thresholds == (0.12, 0.9)
    assert (card.input.height, card.input.width) == (HEIGHT, WIDTH)
    assert card.input.grey_split == GREY_SPLIT

    (grey,) = images_of(1, HEIGHT, WIDTH)
    with torch.no_grad():
        plain = InfectionAndConsolidation(network)(torch.from_numpy(grey)[None, None])[0].numpy()
    expected = plain.copy()
    odds = (plain[0] / (1 - plain[0])) ** (1 / TEMPERATURE)
    expected[0] = odds / (1 + odds)
    assert np.abs(expected[0] - plain[0]).max() > 0.01  # so that a forgotten one would be seen

    values = np.stack([-1350 + 1500 * image for image in images_of(3, HEIGHT, WIDTH)])
    scan = scan_of(values.astype(np.int16))
    lungs = Lungs(np.ones(scan.shape, np.uint8), sides_known=True)
    labels = {}
    for engine in ENGINE_MODULES:
        pytest.importorskip(engine)
        segmenter = Segmenter(bundle, engine=engine, threads=1)
        (maps,) = segmenter.run([(grey,)])
        np.testing.assert_allclose(maps, expected, atol=5e-3)  # weights are kept in fp16
        lesions = segment(scan, lungs, segmenter)
        assert "hu-split" not in {notice.code for notice in lesions.notices}
        labels[engine] = lesions.labels
    assert set(np.unique(labels["torch"])) >= {GGO, CONSOLIDATION}
    for found in labels.values():
        assert (found == labels["torch"]).mean() > 0.999


@pytest.fixture
def not_exported(monkeypatch):
    """Bundles whose graph is no graph: to export one takes seconds."""

    def export(network, folder, **options):
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("model.onnx", "weights.safetensors"):
            (folder / file).write_text(type(network).__name__)

    monkeypatch.setattr(card_module, "export_bundle", export)


@pytest.mark.usefixtures("not_exported")
def test_a_precision_counts_for_the_weights_it_was_measured_with(run, tmp_path):
    bundle = make_bundle(run, tmp_path / "bundle", version="1")
    assert bundle.card.equal_precisions == ()
    assert (bundle.card.temperature, bundle.card.range_thresholds) == (1.0, None)
    sha256 = bundle.card.sha256[WEIGHTS]
    for equal in (True, False):
        result = {
            "model": {"sha256": sha256},
            "precisions": {"bf16": {"equal_to_f32": equal}, "int8": {"equal_to_f32": True}},
        }
        facts = facts_of(tmp_path, precision=result)
        card = make_bundle(run, tmp_path / "bundle", version="1", facts=facts).card
        assert card.equal_precisions == (("bf16",) if equal else ())
    result["model"]["sha256"] = "0" * 64
    facts = facts_of(tmp_path, precision=result)
    with pytest.raises(InputError, match="other weights"):
        make_bundle(run, tmp_path / "bundle", version="1", facts=facts)


@pytest.mark.parametrize("content", ["{", "{}", '{"run": {"kind": "slim"}}'])
def test_a_run_that_does_not_say_what_it_trained_is_refused(run, tmp_path, content):
    (run / FACTS).write_text(content)
    with pytest.raises(InputError, match="what was trained"):
        make_bundle(run, tmp_path / "bundle", version="1")


def test_a_result_file_of_another_kind_is_refused(run, tmp_path):
    facts = facts_of(tmp_path, ranges={"infection": {"temperature": 2.0}})
    with pytest.raises(InputError, match=r"ranges.json is of another kind") as caught:
        make_bundle(run, tmp_path / "bundle", version="1", facts=facts)
    assert caught.value.code == "config-invalid"
