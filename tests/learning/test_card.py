import json

import numpy as np
import pytest

from lungscore.cli.main import call
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import load_infected
from lungscore.errors import InputError
from lungscore.learning import card as card_module
from lungscore.learning.card import GREY_SPLIT, grey_split, make_bundle
from lungscore.learning.checkpoints import save_weights
from lungscore.networks import InfNet, make_network
from tests.learning.tiny_training import experiment


def sample(dense_grey: int, hazy_grey: int) -> Sample:
    """GGO and consolidation of one grey level each."""
    lesions = np.zeros((20, 20), np.uint8)
    lesions[2:8], lesions[10:14] = 1, 2
    image = np.select([lesions == 1, lesions == 2], [hazy_grey, dense_grey], 250).astype(np.uint8)
    return Sample(image, lesions > 0, "a", "synthetic", lesions=lesions)


def test_the_grey_split_lies_between_the_two_classes():
    split = 255 * grey_split([sample(200, 120), sample(190, 130)])
    assert 130 < split <= 190


def test_slices_without_classes_do_not_count():
    plain = Sample(np.zeros((4, 4), np.uint8), np.ones((4, 4), bool), "b", "synthetic")
    assert grey_split([sample(200, 120), plain]) == grey_split([sample(200, 120)])


def rejected(code: str, *args, **options) -> str:
    """The message with which a bundle is refused."""
    with pytest.raises(InputError) as caught:
        make_bundle(*args, name="x", version="1", **options)
    assert caught.value.code == code
    return caught.value.message


def test_an_unfinished_run_makes_no_bundle(tmp_path):
    message = rejected("checkpoint-mismatch", tmp_path, tmp_path / "out")
    assert "Finish the training" in message


def test_weights_must_say_which_experiment_made_them(tmp_path):
    save_weights(InfNet(), tmp_path / "weights.safetensors")
    message = rejected("checkpoint-mismatch", tmp_path, tmp_path / "out")
    assert "which experiment" in message


@pytest.mark.parametrize("text", ["- a", "surprise: 1", "a: ["])
def test_facts_of_a_card_are_checked_before_anything_is_written(tmp_path, text):
    config = experiment("resnet18").model_dump(mode="json")
    save_weights(InfNet(), tmp_path / "weights.safetensors", config=config)
    (tmp_path / "facts.yaml").write_text(text)
    rejected("config-invalid", tmp_path, tmp_path / "out", facts=tmp_path / "facts.yaml")
    rejected("input-not-found", tmp_path, tmp_path / "out", facts=tmp_path / "none.yaml")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def exported(monkeypatch):
    """What was exported: the graph is the business of the tests of inference, and takes long."""
    calls = []

    def export(network, folder, **options):
        calls.append((type(network).__name__, options))
        folder.mkdir(parents=True)
        for file in ("model.onnx", "weights.safetensors"):
            (folder / file).write_text(str(options))

    monkeypatch.setattr(card_module, "export_bundle", export)
    return calls


def run_of(folder, **network) -> dict:
    """A finished run for lesions in ``folder``; returns its experiment."""
    config = experiment("resnet18").model_dump(mode="json")
    config["network"].update(network)
    config |= {"name": "lesions-test", "target": "lesions"}
    config["data"]["priors"] = {"experiment": "infection"}
    made = make_network(
        config["network"]["name"],
        encoder=config["network"]["encoder"],
        base_width=config["network"]["base_width"],
    )
    save_weights(made, folder / "weights.safetensors", config=config)
    return config


@pytest.mark.parametrize(
    ("network", "encoder", "base_width"),
    [("lesion-inf-net", "resnet18", 64), ("multi-inf-net", "none", 4)],
)
def test_a_run_for_lesions_becomes_a_bundle_for_lesions(
    tmp_path, exported, monkeypatch, network, encoder, base_width
):
    monkeypatch.delenv("LUNGSCORE_DATA", raising=False)  # no slices are needed
    run_of(tmp_path, name=network, base_width=base_width)
    lines = [{"name": "Dice", "text": "1 of 1"}, {"name": "GGO", "text": "2", "target": "lesions"}]
    (tmp_path / "figures.json").write_text(json.dumps({"card": lines}))
    facts = tmp_path / "facts.yaml"
    facts.write_text("results: [figures.json]")
    card = make_bundle(tmp_path, tmp_path / "out", version="0.1", facts=facts).card
    assert card.metrics == [{"name": "GGO", "text": "2", "result": "figures.json"}]
    assert (card.name, card.target) == ("lesions", "lesions")
    assert (card.network, card.encoder, card.base_width) == (network, encoder, base_width)
    assert card.inputs == ("grey", "prior")
    assert card.outputs == ("background", "ggo", "consolidation")
    assert card.input.grey_split is None
    assert card.experiment["name"] == "lesions-test"
    made = {"lesion-inf-net": "LesionInfNet", "multi-inf-net": "MultiInfNet"}[network]
    assert exported == [
        (made, {"height": 64, "width": 64, "target": "lesions", "temperature": 1.0})
    ]


def test_an_export_says_where_the_terms_of_the_data_are_missing(
    tmp_path, exported, monkeypatch, capsys
):
    monkeypatch.delenv("LUNGSCORE_DATA", raising=False)
    run_of(tmp_path, name="multi-inf-net", base_width=4)
    export = ["models", "export", str(tmp_path), "-o"]
    assert call([*export, str(tmp_path / "bare")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in ("the training data", "the terms of the training data", "the limits of the model"):
        assert text in said
    assert "Write data and data_terms and limits into a YAML file" in said
    assert "--facts FILE" in said
    assert "states no figures" in said
    facts = tmp_path / "facts.yaml"
    facts.write_text("data_terms: ours\ndata: [ours]")
    assert call([*export, str(tmp_path / "some"), "--facts", str(facts)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "does not state the limits of the model" in said
    facts.write_text("data_terms: ours\ndata: [ours]\nlimits: [none]")
    assert call([*export, str(tmp_path / "stated"), "--facts", str(facts)]) == 0
    assert "does not state" not in " ".join(capsys.readouterr().out.split())


@pytest.mark.data
def test_the_grey_split_is_that_of_the_fifty_slices(real_data):
    # The level that suits the classes of the 50 training slices best.
    assert grey_split(load_infected(("covid-semiseg",), real_data)) == pytest.approx(GREY_SPLIT)


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"card": [{"name": "Dice"}]}', "{}"])
def test_a_result_file_that_is_none_is_refused_before_anything_is_written(tmp_path, content):
    config = experiment("resnet18").model_dump(mode="json")
    save_weights(InfNet(), tmp_path / "weights.safetensors", config=config)
    (tmp_path / "result.json").write_text(content)
    results = [tmp_path / "result.json"]
    assert "result.json" in rejected("config-invalid", tmp_path, tmp_path / "o", results=results)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("measured", "told"),
    [({"experiment": "b"}, "experiment b"), ({"manifests": {"x": "1"}}, "another manifest")],
)
def test_figures_of_another_training_are_refused(tmp_path, measured, told):
    config = experiment("resnet18").model_dump(mode="json")
    save_weights(InfNet(), tmp_path / "weights.safetensors", config=config)
    figures = {"experiment": config["name"], "manifests": {}, **measured}
    (tmp_path / "result.json").write_text(json.dumps({"card": [], "figures": figures}))
    results = [tmp_path / "result.json"]
    assert told in rejected("config-invalid", tmp_path, tmp_path / "o", results=results)


def test_a_run_becomes_a_bundle_with_its_card(tmp_path, monkeypatch, exported):
    monkeypatch.delenv("LUNGSCORE_DATA", raising=False)  # no dataset is needed
    config = experiment("resnet18").model_dump(mode="json")
    save_weights(InfNet(), tmp_path / "weights.safetensors", config=config)
    (tmp_path / "figures.json").write_text('{"card": [{"name": "Dice", "text": "1 of 1"}]}')
    facts = tmp_path / "facts.yaml"
    facts.write_text("data_terms: ours\ndata: [one]\nresults: [figures.json]")
    bundle = make_bundle(tmp_path, tmp_path / "out", name="x", version="2", facts=facts)
    card = bundle.card
    assert (card.name, card.version, card.encoder, card.data_terms) == (
        "x",
        "2",
        "resnet18",
        "ours",
    )
    assert exported == [
        ("InfNet", {"height": 64, "width": 64, "target": "infection", "temperature": 1.0})
    ]
    assert (card.network, card.inputs, card.outputs) == ("inf-net", ("grey",), ("infection",))
    assert (card.input.height, card.input.width) == (64, 64)
    assert card.metrics == [{"name": "Dice", "text": "1 of 1", "result": "figures.json"}]
    assert card.experiment["name"] == "test"
    assert card.input.grey_split == GREY_SPLIT
    facts.write_text("results: [gone.json]")
    assert "gone.json" in rejected("input-not-found", tmp_path, tmp_path / "new", facts=facts)
