"""Training that starts from a bundle."""

import json

import pytest
import torch
from safetensors.torch import load_file

from lungscore.errors import InputError
from lungscore.inference.bundle import load_bundle
from lungscore.learning.bundles import bundle_to_start_from, facts_of_start
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.train import build_network, train
from tests.learning.tiny_training import U_NET, experiment, slices


def starting_from(bundle, **changes) -> ExperimentConfig:
    network = {**U_NET, "start": {"bundle": str(bundle.folder)}, **changes.pop("network", {})}
    return experiment(network=network, data={"healthy": None}, **changes)


def test_a_network_starts_with_the_weights_of_the_bundle(small_bundle):
    config = starting_from(small_bundle)
    images = torch.zeros(2, 1, 80, 80)
    network = build_network(config, images, imagenet=None, start=bundle_to_start_from(config))
    stored = load_file(small_bundle.weights)
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            assert value == 0
        else:
            torch.testing.assert_close(value, stored[name].float(), rtol=0, atol=0)


@pytest.mark.parametrize(
    "network",
    [
        {"base_width": 8},
        {"name": "covid-segnet"},
        {"name": "inf-net", "encoder": "resnet18"},
    ],
)
def test_a_bundle_of_another_network_is_refused(small_bundle, network):
    with pytest.raises(InputError, match="u-net") as caught:
        bundle_to_start_from(starting_from(small_bundle, network=network))
    assert caught.value.code == "checkpoint-mismatch"


def test_the_shipped_bundle_can_be_started_from():
    network = {"name": "slim-inf-net", "encoder": "resnet10", "start": {"bundle": "infection"}}
    config = ExperimentConfig.model_validate({"name": "a", "network": network})
    bundle = bundle_to_start_from(config)
    assert bundle is not None
    assert bundle.folder == load_bundle("infection").folder
    build_network(config, torch.zeros(2, 1, 80, 80), imagenet=None, start=bundle)


@pytest.mark.parametrize("start", [{}, {"bundle": "infection", "experiment": "one"}])
def test_a_start_is_either_a_run_or_a_bundle(start):
    with pytest.raises(ValueError, match="either an experiment or a bundle"):
        ExperimentConfig.model_validate({"name": "a", "network": {"start": start}})


def test_weights_say_what_they_started_from_and_resume_with_it_alone(
    small_bundle, tmp_path, one_thread
):
    config = starting_from(small_bundle, epochs=2)
    options = {"infected": slices(3), "healthy": [], "start": small_bundle}
    facts = {"start": facts_of_start(small_bundle)}
    train(config, out=tmp_path / "whole", facts=facts, **options)
    said = read_facts(tmp_path / "whole" / "weights.safetensors")["start"]
    assert (said["name"], said["data_terms"]) == ("small", "for tests")
    assert said["grey_split"] == pytest.approx(0.5)

    class Stopped(Exception):
        pass

    def stop(progress):
        raise Stopped

    with pytest.raises(Stopped):
        train(config, out=tmp_path / "cut", facts=facts, report=stop, **options)
    altered = json.loads(json.dumps(facts))
    altered["start"]["sha256"] = "0" * 64
    with pytest.raises(InputError, match="other start"):
        train(config, out=tmp_path / "cut", facts=altered, resume=True, **options)
    train(config, out=tmp_path / "cut", facts=facts, resume=True, **options)
    whole, cut = (load_file(tmp_path / run / "weights.safetensors") for run in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
