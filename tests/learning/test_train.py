"""Supervised training: the network and its start, the sizes, the learning rate."""

import numpy as np
import pytest
import torch

from lungscore.errors import InputError
from lungscore.evaluation.metrics import dice
from lungscore.learning import train as train_module
from lungscore.learning.checkpoints import save_weights
from lungscore.learning.config import TrainingConfig
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import build_network, learning_rate, train
from lungscore.networks import make_network, normalise
from tests.learning.tiny_training import (
    NO_AUGMENTATION,
    U_NET,
    experiment,
    lesion_experiment,
    slices,
)


def built(config, **options):
    """A network for ``config``."""
    return build_network(config, torch.zeros(1, 1, 8, 8), **{"imagenet": None, **options})


def rejected(code: str, config, **options) -> InputError:
    """The error with which a network is refused."""
    with pytest.raises(InputError) as caught:
        built(config, **options)
    assert caught.value.code == code
    return caught.value


@pytest.fixture
def finished_run(tmp_path):
    """Writes the weights of a finished run of a configuration; returns network and file."""

    def finished_run(config):
        torch.manual_seed(9)
        network = make_network(
            config.network.name,
            encoder=config.network.encoder,
            base_width=config.network.base_width,
        )
        save_weights(network, tmp_path / "w.safetensors", config=config.model_dump(mode="json"))
        return network, tmp_path / "w.safetensors"

    return finished_run


@pytest.mark.usefixtures("tiny")
def test_a_network_starts_with_all_the_weights_of_another_run(finished_run):
    before, file = finished_run(experiment(seed=4))
    network = built(experiment(seed=5), start=file)
    for name, value in before.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


@pytest.mark.usefixtures("tiny")
def test_a_lesion_network_starts_with_what_the_infection_network_finds(finished_run):
    before, file = finished_run(experiment())
    network = built(lesion_experiment(), start=file).eval()
    image, prior = torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        infection = before.eval()(image).side_outputs[-1].sigmoid()
        classes = network(torch.cat([image, prior], dim=1)).side_outputs[-1].softmax(1)
    torch.testing.assert_close(classes[:, 1:].sum(1, keepdim=True), infection)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("config", "difference"),
    [
        (lambda: experiment(network=U_NET), "missing"),
        (lambda: experiment("resnet18"), "missing ['encoder.layer1"),
        (lambda: experiment("vgg16"), "missing ['encoder.features"),
        (lambda: lesion_experiment(network={"encoder": "resnet18"}), "the encoder tiny"),
    ],
    ids=["another network", "another encoder", "a plain encoder", "another encoder for lesions"],
)
def test_a_start_from_another_network_or_encoder_is_refused(finished_run, config, difference):
    _, file = finished_run(experiment())
    error = rejected("checkpoint-mismatch", config(), start=file)
    assert "w.safetensors" in error.message
    assert difference in error.message


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("facts", [{}, {"config": None}, {"config": {"name": "x", "old": 1}}])
def test_a_start_from_weights_of_an_unknown_experiment_is_refused(tmp_path, facts):
    save_weights(make_network("inf-net", encoder="tiny"), tmp_path / "w.safetensors", **facts)
    error = rejected("checkpoint-mismatch", experiment(), start=tmp_path / "w.safetensors")
    assert "which experiment" in error.message


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "config",
    [
        lambda: experiment(network=U_NET),
        lambda: experiment(network={**U_NET, "name": "covid-segnet"}),
        lesion_experiment,
    ],
    ids=["u-net", "covid-segnet", "lesion-inf-net"],
)
def test_imagenet_weights_are_refused_where_no_encoder_can_hold_them(tmp_path, config):
    error = rejected("config-invalid", config(), imagenet=tmp_path)
    assert config().network.name in error.message
    assert "network.encoder_weights" in error.message


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_a_network_can_be_trained_in_either_precision(tmp_path, precision):
    config = experiment(epochs=1, precision=precision)
    network = train(config, infected=slices(2), healthy=[], out=tmp_path)
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


@pytest.mark.usefixtures("tiny")
@pytest.mark.slow
def test_the_paper_recipe_steps_at_three_sizes(tmp_path, monkeypatch):
    sizes = []

    def seen(image):
        sizes.append(tuple(image.shape[-2:]))
        return normalise(image)

    monkeypatch.setattr(train_module, "normalise", seen)
    config = experiment(recipe="paper", epochs=1, slices_per_epoch=2)
    train(config, infected=slices(2), healthy=[], out=tmp_path)
    # 64 times 0.75, 1 and 1.25, rounded to 32 pixels as the published code does (half to even).
    assert sizes == [(64, 64), (64, 64), (64, 64)]


@pytest.mark.parametrize(("side", "sizes"), [(352, [256, 352, 448]), (256, [192, 256, 320])])
def test_the_sizes_of_the_paper_recipe_are_the_published_ones(side, sizes):
    batch = train_module.Batch(*(torch.zeros(1, 1, side, side) for _ in range(4)))
    scales = train_module._sizes(batch, experiment("resnet18", recipe="paper"))
    assert [scaled.edge.shape for scaled in scales] == [(1, 1, size, size) for size in sizes]


def test_the_default_rate_rises_for_a_fifth_and_falls_to_zero():
    training = TrainingConfig(learning_rate=1e-3)
    rates = [learning_rate(training, progress, 0) for progress in (0, 0.1, 0.2, 0.6, 1)]
    assert rates == pytest.approx([4e-5, 5.2e-4, 1e-3, 5e-4, 0])


def test_the_rate_of_the_paper_recipe_collapses_at_the_50th_epoch():
    """Against a simulation of the published loop, which multiplies the current rate."""
    training = TrainingConfig(recipe="paper", learning_rate=1e-4)
    rate, published = 1e-4, []
    for epoch in range(1, 106):
        rate *= 0.1 ** (epoch // 50)
        published.append(rate)
    rates = [learning_rate(training, 0.5, epoch) for epoch in range(105)]
    assert rates == pytest.approx(published, rel=1e-9, abs=0)
    assert rates[48] == 1e-4
    assert rates[49] == pytest.approx(1e-5)
    assert rates[52] == pytest.approx(1e-8)


@pytest.mark.slow
def test_inf_net_learns_two_slices_by_heart(tmp_path):
    config = experiment("resnet18", epochs=2, slices_per_epoch=40, learning_rate=2e-3)
    config = config.model_copy(update={"augmentation": NO_AUGMENTATION})
    losses = []
    network = train(
        config,
        infected=slices(2),
        healthy=[],
        out=tmp_path,
        report=lambda p: losses.append(p.figures["loss"]),
    )
    assert losses[1] < 0.9 * losses[0]
    batch = SliceStore(slices(2), config).batch(np.arange(2), config, np.random.default_rng(0))
    with torch.no_grad():
        logits = network(normalise(batch.image)).side_outputs[-1]
    for infected, truth in zip(logits > 0, batch.target > 0.5, strict=True):
        assert dice(infected.numpy(), truth.numpy()) > 0.85


@pytest.mark.usefixtures("tiny")
@pytest.mark.slow
def test_the_average_of_the_weights_is_kept_and_survives_a_stop(tmp_path):
    def trained(out, *, average, stop=None):
        config = experiment(epochs=2, average=average)

        def report(progress):
            if progress.epoch == stop:
                raise KeyboardInterrupt

        options = {"infected": slices(2), "healthy": [], "out": tmp_path / out}
        if stop:
            with pytest.raises(KeyboardInterrupt):
                train(config, **options, report=report)
        return train(config, **options, resume=bool(stop)).state_dict()

    last, slow = trained("last", average=0.0), trained("slow", average=0.5)
    stopped = trained("stopped", average=0.5, stop=1)
    assert any(not torch.equal(last[name], slow[name]) for name in last)
    assert all(torch.equal(slow[name], stopped[name]) for name in slow)


@pytest.mark.usefixtures("tiny")
def test_the_average_is_that_of_every_step(tmp_path, monkeypatch):
    seen = []
    update = train_module.AveragedModel.update_parameters

    def remember(average, network):
        seen.append(next(network.parameters()).detach().clone())
        update(average, network)

    monkeypatch.setattr(train_module.AveragedModel, "update_parameters", remember)
    config = experiment(epochs=1, slices_per_epoch=6, average=0.8)
    network = train(config, infected=slices(2), healthy=[], out=tmp_path)
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.8 * expected + 0.2 * weights
    assert len(seen) == 3
    torch.testing.assert_close(next(network.parameters()).detach(), expected)
