"""GGO and consolidation: slices with classes and priors, their loss, and the training."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lungscore.errors import InputError
from lungscore.learning import train as train_module
from lungscore.learning.losses import boundary_weight, lesion_loss
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import train
from lungscore.networks import InfNetOutput, PlainOutput, lesion_input
from tests.learning.tiny_training import NO_AUGMENTATION, U_NET, lesion_experiment, slices

PLAIN = {"augmentation": NO_AUGMENTATION.model_dump()}


def lesions(**changes):
    """The published multi-class network, small; the encoder is not used."""
    network = {**U_NET, "name": "multi-inf-net"}
    return lesion_experiment(**{"network": network, **PLAIN, **changes})


def priors(value: float = 0.25) -> dict[str, np.ndarray]:
    """One value where slices are infected, another where they are not."""
    return {
        sample.name: np.where(sample.infection, 1 - value, value).astype(np.float32)
        for sample in slices(3)
    }


def stored(config, samples, **options):
    """All ``samples`` as one batch."""
    store = SliceStore(samples, config, **options)
    return store.batch(np.arange(len(samples)), config, np.random.default_rng(0))


def rejected(code: str, *args, **options) -> str:
    """The message with which slices are refused."""
    with pytest.raises(InputError) as caught:
        stored(*args, **options)
    assert caught.value.code == code
    return caught.value.message


# Slices


def test_a_batch_holds_classes_the_edge_of_both_and_the_prior():
    batch = stored(lesions(), slices(2), priors=priors())
    assert set(batch.target.unique().tolist()) == {0, 1, 2}
    shares = [(batch.target == value).float().mean().item() for value in (1, 2)]
    classes = np.stack([sample.lesions for sample in slices(2)])
    truth = [(classes == value).mean() for value in (1, 2)]
    assert shares == pytest.approx(truth, abs=0.01)
    # No edge between GGO and consolidation, which share a border.
    inside = boundary_weight((batch.target > 0).float())
    assert batch.edge.mean() < inside.mean() / 5
    near = torch.nn.functional.max_pool2d(batch.edge, 3, stride=1, padding=1) > 0
    torch.testing.assert_close(
        batch.prior[~near], torch.where(batch.target > 0, 0.75, 0.25)[~near], atol=0.02, rtol=0
    )


def test_without_priors_the_annotated_infection_is_the_prior():
    batch = stored(lesions(), slices(2))
    assert ((batch.prior > 0.5) == (batch.target > 0)).float().mean() > 0.99


def test_priors_move_with_the_slice():
    config = lesions(augmentation={"flip_left_right": 1.0, "rotation_degrees": 20})
    batch = stored(config, slices(2), priors=priors())
    assert ((batch.prior > 0.5) == (batch.target > 0)).float().mean() > 0.97


def test_healthy_slices_need_neither_classes_nor_priors():
    healthy = [replace(slices(1, infected=False)[0], name="healthy", lesions=None)]
    batch = stored(lesions(), healthy, priors={})
    assert not batch.target.any()
    assert not batch.prior.any()


def test_a_missing_prior_is_named():
    assert "slice-1" in rejected(
        "run-missing", lesions(), slices(2), priors={"slice-0": priors()["slice-0"]}
    )


def test_a_prior_of_another_size_is_named():
    small = {"slice-0": np.zeros((5, 5), np.float32)}
    assert "slice-0 is (5, 5)" in rejected("config-invalid", lesions(), slices(1), priors=small)


def test_missing_class_labels_are_named():
    samples = [replace(slices(1)[0], lesions=None)]
    assert "slice-0" in rejected("dataset-incomplete", lesions(), samples, priors=priors())


# The loss


def naive_loss(logits: np.ndarray, classes: np.ndarray, weight: np.ndarray) -> float:
    """The default loss of one side output (N, 3, H, W), term by term."""
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    entropy = 0.0
    for n, row, column in np.ndindex(classes.shape):
        entropy -= weight[n, row, column] * np.log(p[n, classes[n, row, column], row, column])
    loss = entropy / weight.mean() / classes.size
    for value in (1, 2):
        truth = classes == value
        dice = (2 * p[:, value][truth].sum() + 1) / (p[:, value].sum() + truth.sum() + 1)
        loss += (1 - dice) / 2
    return loss


def test_the_default_loss_sums_cross_entropy_and_dice_of_all_side_outputs_and_the_edge():
    rng = np.random.default_rng(3)
    classes = np.zeros((2, 20, 24), int)
    classes[0, 3:12, 4:20], classes[0, 6:10, 12:20] = 1, 2
    truth = torch.from_numpy(classes)[:, None].float()
    weights = [boundary_weight((truth > level).float())[:, 0].numpy() for level in (0, 1)]
    sides = [rng.normal(0, 2, (2, 3, 20, 24)).astype(np.float32) for _ in range(4)]
    edge_logits, edge = torch.full_like(truth, 0.4), (truth == 1).float()
    output = InfNetOutput([torch.from_numpy(side) for side in sides], edge_logits)
    expected = sum(naive_loss(side, classes, weights[0] + weights[1] - 1) for side in sides)
    share, p = edge.mean().item(), 1 / (1 + math.exp(-0.4))
    expected += -share * math.log(p) - (1 - share) * math.log(1 - p)
    loss = lesion_loss(output, truth, edge, recipe="default")
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_single_pixel_by_hand():
    """Every class at 1/3; the truth is GGO. Dice 5/7 of GGO, and 3/4 of no consolidation."""
    output, truth = PlainOutput([torch.zeros(1, 3, 1, 1)]), torch.ones(1, 1, 1, 1)
    loss = lesion_loss(output, truth, truth, recipe="default")
    assert loss.item() == pytest.approx(math.log(3) + (2 / 7 + 1 / 4) / 2)
    # Three independent sigmoids of 1/2, whatever the truth.
    loss = lesion_loss(output, truth, truth, recipe="paper")
    assert loss.item() == pytest.approx(math.log(2))


def test_the_paper_recipe_is_the_mean_cross_entropy_of_three_sigmoids():
    rng = np.random.default_rng(4)
    logits, classes = rng.normal(0, 2, (2, 3, 6, 7)), rng.integers(0, 3, (2, 6, 7))
    p, truth = 1 / (1 + np.exp(-logits)), np.eye(3)[classes].transpose(0, 3, 1, 2)
    expected = -np.mean(truth * np.log(p) + (1 - truth) * np.log(1 - p))
    loss = lesion_loss(
        PlainOutput([torch.from_numpy(logits)]),
        torch.from_numpy(classes)[:, None],
        torch.zeros(2, 1, 6, 7),
        recipe="paper",
    )
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_a_perfect_prediction_costs_nearly_nothing(recipe):
    classes = torch.tensor([[0, 1, 2], [2, 1, 0]])[None, None]
    logits = 60 * torch.nn.functional.one_hot(classes[:, 0], 3).movedim(-1, 1).float() - 30
    loss = lesion_loss(PlainOutput([logits]), classes, classes * 0.0, recipe=recipe)
    assert loss.item() == pytest.approx(0, abs=1e-5)


# The training


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_the_network_sees_priors_in_training_and_in_the_paper_recipe_the_truth(
    tmp_path, monkeypatch, recipe
):
    seen = []

    def spy(grey, prior):
        seen.append(prior)
        return lesion_input(grey, prior)

    monkeypatch.setattr(train_module, "lesion_input", spy)
    config = lesions(recipe=recipe, epochs=1, slices_per_epoch=2)
    given = None if recipe == "paper" else priors(0.4)
    train(config, infected=slices(2), healthy=[], out=tmp_path, priors=given)
    assert len(seen) == 1  # one size, in the paper's multi-class stage too
    lower, upper = seen[0].min().item(), seen[0].max().item()
    expected = (0, 1) if recipe == "paper" else (0.4, 0.6)
    assert (lower, upper) == pytest.approx(expected, abs=0.01)


@pytest.mark.usefixtures("tiny", "one_thread")
@pytest.mark.slow
def test_inf_net_for_lesions_learns(tmp_path):
    config = lesion_experiment(**PLAIN, epochs=2, slices_per_epoch=8, learning_rate=3e-3)
    losses = []
    train(
        config,
        infected=slices(2),
        healthy=slices(1, infected=False),
        out=tmp_path,
        priors=priors(),
        report=lambda progress: losses.append(progress.figures["loss"]),
    )
    assert losses[-1] < losses[0]
