"""What runs find is kept as pictures beside their weights, and made only where it is missing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lungscore.errors import InputError
from lungscore.learning import maps
from lungscore.learning.checkpoints import save_weights
from lungscore.learning.experiment_file import run_folder
from lungscore.learning.maps import (
    ensure_maps,
    load_network,
    predict,
    priors_of_training,
    read_map,
    write_maps,
)
from lungscore.networks import make_network
from tests.learning.tiny_training import U_NET, experiment, lesion_experiment, slices

SINGLE = experiment(name="single", network=U_NET)
LESIONS = lesion_experiment(name="lesions", network={**U_NET, "name": "multi-inf-net"})


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with two experiment files; three slices, each held out by its own fold."""
    monkeypatch.chdir(tmp_path)
    for config in (SINGLE, LESIONS):
        (tmp_path / f"{config.name}.yaml").write_text(config.model_dump_json())
    folds = {sample.name: fold for fold, sample in enumerate(slices(3))}
    monkeypatch.setattr(maps, "data_root", lambda: Path("data"))
    monkeypatch.setattr(
        maps,
        "held_out_slices",
        lambda config, root: [s for s in slices(3) if folds[s.name] == config.data.fold],
    )
    monkeypatch.setattr(maps.covid_semiseg, "load", lambda root, group: slices(2))
    return tmp_path


def finish(config) -> nn.Module:
    """A finished run of ``config``, random weights."""
    torch.manual_seed(1 if config.data.fold is None else config.data.fold)
    network = make_network(config.network.name, base_width=config.network.base_width)
    facts = config.model_dump(mode="json")
    save_weights(network, run_folder(config) / "weights.safetensors", config=facts)
    return network


@pytest.mark.parametrize("channels", [1, 3])
def test_a_map_comes_back_to_the_nearest_level(tmp_path, channels):
    probs = np.random.default_rng(0).random((channels, 30, 40)).astype(np.float32)
    probs[:, 0, :2] = 0, 1
    write_maps(tmp_path / "held-out", [("5", probs)])
    reread = read_map(tmp_path / "held-out" / "5.png")
    assert reread.shape == probs.shape
    assert reread.dtype == np.float32
    assert np.abs(reread - probs).max() <= 0.5 / 255 + 1e-6
    assert (reread[:, 0, :2] == [0, 1]).all()


def test_one_half_falls_on_128(tmp_path):
    below = np.nextafter(np.float32(0.5), np.float32(0))
    write_maps(tmp_path, [("a", np.array([[[0.5, below, 0.498]]], np.float32))])
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture)[0].tolist()[::2] == [128, 127]
    assert (read_map(tmp_path / "a.png") >= 0.5)[0, 0].tolist()[::2] == [True, False]


def test_a_damaged_map_is_refused(tmp_path):
    write_maps(tmp_path, [("a", np.random.default_rng(0).random((1, 40, 40)))])
    content = (tmp_path / "a.png").read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"no picture"):
        (tmp_path / "a.png").write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.png") as caught:
            read_map(tmp_path / "a.png")
        assert caught.value.code == "input-unreadable"


@pytest.mark.parametrize("config", [SINGLE, LESIONS], ids=lambda config: config.name)
def test_slices_get_probabilities_at_their_own_size(here, config):
    finish(config)
    network = load_network(run_folder(config), config)
    samples = [*slices(1, size=(70, 90)), *slices(1, size=(50, 60))]
    given = [np.full(sample.image.shape, 0.5, np.float32) for sample in samples]
    for sample, prior in zip(samples, given, strict=True):
        priors = {sample.name: prior} if config is LESIONS else None
        (probs,) = predict(network, [sample], config, priors=priors)
        assert probs.shape == (3 if config is LESIONS else 1, *sample.image.shape)
        assert probs.dtype == np.float32
        assert 0 <= probs.min() <= probs.max() <= 1
        if config is LESIONS:
            np.testing.assert_allclose(probs.sum(0), 1, atol=1e-5)


def test_only_missing_maps_are_made(here):
    config = SINGLE.at(fold=1)
    finish(config)
    first = ensure_maps(config, here / "single.yaml", "held-out")
    assert list(first) == ["slice-1"]
    folder = run_folder(config) / "held-out"
    assert [file.name for file in folder.iterdir()] == ["slice-1.png"]
    write_maps(folder, [("slice-1", np.ones((1, 70, 90)))])
    # Without its weights, a run has only the maps that are there.
    (run_folder(config) / "weights.safetensors").unlink()
    assert (ensure_maps(config, here / "single.yaml", "held-out")["slice-1"] == 1).all()
    (folder / "slice-1.png").unlink()
    with pytest.raises(InputError, match="single/fold1-seed0 has no weights") as caught:
        ensure_maps(config, here / "single.yaml", "held-out")
    assert caught.value.code == "run-missing"


def test_the_prior_of_a_training_slice_is_of_the_fold_that_held_it_out(here):
    for fold in range(3):
        finish(SINGLE.at(fold=fold))
    priors = priors_of_training(LESIONS.at(fold=0), here / "lesions.yaml")
    assert sorted(priors) == ["slice-0", "slice-1", "slice-2"]
    for fold, sample in enumerate(slices(3)):
        network = load_network(run_folder(SINGLE.at(fold=fold)), SINGLE)
        (expected,) = predict(network, [sample], SINGLE)
        np.testing.assert_allclose(priors[sample.name], expected[0], atol=0.5 / 255 + 1e-6)
        folder = run_folder(SINGLE.at(fold=fold)) / "held-out"
        assert [file.name for file in folder.iterdir()] == [f"{sample.name}.png"]


@pytest.mark.parametrize(("subset", "names"), [("held-out", [2]), ("test", [0, 1])])
def test_lesions_are_found_with_the_prior_of_the_same_fold(here, subset, names):
    single, lesions = SINGLE.at(fold=2), LESIONS.at(fold=2)
    finish(single)
    finish(lesions)
    probabilities = ensure_maps(lesions, here / "lesions.yaml", subset)
    assert sorted(probabilities) == [f"slice-{name}" for name in names]
    assert all(probs.shape == (3, 70, 90) for probs in probabilities.values())
    priors = (run_folder(single) / subset).iterdir()
    assert sorted(file.stem for file in priors) == sorted(probabilities)


def test_priors_of_an_experiment_that_did_not_run_are_missed(here):
    with pytest.raises(InputError, match="single/fold0-seed0") as caught:
        priors_of_training(LESIONS.at(fold=1), here / "lesions.yaml")
    assert caught.value.code == "run-missing"
