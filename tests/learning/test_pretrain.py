"""Pre-training by inpainting: what the network and its coach learn, and what they must not see."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lungscore.datasets.sample import Sample
from lungscore.learning import inpainting as inpainting_module
from lungscore.learning.config import PretrainingConfig
from lungscore.learning.inpainting import EQ3, OURS, PUBLISHED, Inpainting, erased_share
from lungscore.learning.loop import fit, make_fabric
from lungscore.learning.pretrain import pretrain
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import build_network
from lungscore.networks import normalise
from lungscore.networks.coach import HARD, keep_mask
from lungscore.networks.inpainting import masked_mean
from tests.learning.tiny_training import NO_AUGMENTATION, U_NET, experiment, logged, slices

pytestmark = pytest.mark.usefixtures("one_thread")


def pretraining(masks: str = "coach", **changes):
    """A pre-training of the U-Net; ``block`` and ``coach_width`` are small."""
    settings = {"masks": masks, "block": 8, "coach_width": 8, **changes.pop("pretraining", {})}
    return experiment(**{"network": U_NET, **changes}, pretraining=settings)


def inpainting(config, samples=None) -> Inpainting:
    """The task as ``pretrain`` makes it."""
    store = SliceStore(samples or slices(3), config)
    return Inpainting(config, build_network(config, store.images, imagenet=None), store)


def ramps(count: int, *, spread: float, noisy: bool = False) -> list[Sample]:
    """Slices whose grey, 120 ± spread, rises evenly; with noise in the upper left quarter."""
    samples = []
    for index in range(count):
        rng = np.random.default_rng(index)
        first, last = rng.uniform(120 - spread, 120 + spread, 2)
        image = np.tile(np.linspace(first, last, 64), (64, 1))
        image = image if index % 2 else image.T.copy()
        if noisy:
            image[:32, :32] = np.kron(rng.uniform(0, 255, (8, 8)), np.ones((4, 4)))
        nothing = np.zeros((64, 64), bool)
        samples.append(Sample(image.astype(np.uint8), nothing, f"ramp-{index}", "synthetic"))
    return samples


# What is learned


@pytest.mark.slow
def test_the_coach_learns_to_erase_what_cannot_be_foretold(tmp_path):
    config = pretraining(
        epochs=3,
        slices_per_epoch=48,
        batch_size=8,
        learning_rate=1e-2,
        augmentation=NO_AUGMENTATION.model_dump(),
        pretraining={"block": 16, "coach_batches": 1.0, "coach_learning_rate": 1e-2},
    )
    samples = ramps(8, spread=30, noisy=True)
    task = inpainting(config, samples)
    fit(task, config, make_fabric(config), tmp_path)
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))[:, None]
    with torch.no_grad():
        scores, _ = task.coach.eval()(normalise(images / 255))
    erased = 1 - keep_mask(scores, 0.75, (64, 64), alpha=HARD)
    # Of random blocks, a quarter would lie there; of the five erased ones, four can.
    assert erased[..., :32, :32].sum() > 0.5 * erased.sum()


@pytest.mark.parametrize("masks", ["coach", pytest.param("random", marks=pytest.mark.slow)])
def test_the_network_learns_to_fill_in_what_was_erased(tmp_path, masks):
    config = pretraining(
        masks,
        epochs=4,
        slices_per_epoch=32,
        batch_size=4,
        learning_rate=1e-2,
        augmentation=NO_AUGMENTATION.model_dump(),
        pretraining={"erase": [0.25, 0.25]},
    )
    pretrain(config, ramps(4, spread=110), tmp_path)
    errors = [float(row["erased_error"]) for row in logged(tmp_path)]
    assert errors[-1] < 0.5 * errors[0]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_everything_but_the_heads_learns_and_the_heads_return(tmp_path, recipe):
    config = pretraining(network={"name": "inf-net", "encoder": "tiny"}, recipe=recipe, epochs=1)
    before = build_network(config, torch.zeros(1, 1, 8, 8), imagenet=None)
    pretrain(config, slices(3), tmp_path)
    after = load_file(tmp_path / "weights.safetensors")
    assert after.keys() == before.state_dict().keys()
    for name, value in before.named_parameters():
        assert torch.equal(after[name], value) is ("head" in name.split(".")), name


def test_a_network_for_lesions_is_pretrained_with_an_empty_prior(tmp_path, monkeypatch):
    config = pretraining(
        network={**U_NET, "name": "multi-inf-net"},
        target="lesions",
        data={"priors": {"experiment": "single"}},
        epochs=1,
    )
    task, seen = inpainting(config), []
    task.bare.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    fit(task, config, make_fabric(config), tmp_path)
    assert seen[0].shape == (2, 2, 64, 64)
    assert not any(image[:, 1].any() for image in seen)


# What they are given


@pytest.mark.parametrize("masks", ["coach", "random"])
def test_labels_make_no_difference(tmp_path, masks):
    config = pretraining(masks, epochs=1)
    everything = [
        replace(sample, infection=~sample.infection, lesions=None) for sample in slices(3)
    ]
    first = pretrain(config, slices(3), tmp_path / "one").state_dict()
    second = pretrain(config, everything, tmp_path / "two").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def share_of(mask: torch.Tensor) -> float:
    return 1 - mask.mean().item()


def test_the_share_that_is_erased_grows_evenly():
    settings = PretrainingConfig(erase=(0.2, 0.6))
    shares = [erased_share(settings, epoch, 5, OURS) for epoch in range(5)]
    assert shares == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6])
    assert erased_share(settings, 0, 1, OURS) == 0.2


@pytest.mark.parametrize("rules", [EQ3, PUBLISHED])
def test_the_paper_erases_a_quarter_throughout(rules):
    settings = PretrainingConfig(erase=(0.2, 0.6))
    assert {erased_share(settings, epoch, 5, rules) for epoch in range(5)} == {0.25}


#: The recipe and the variant of each kind.
KINDS = {
    "published": {"recipe": "paper"},
    "eq3": {"pretraining": {"variant": "eq3"}},
    "ours": {},
}


@pytest.mark.parametrize(
    ("kind", "shares"), [("published", [17, 17]), ("eq3", [17, 17]), ("ours", [17, 33])]
)
@pytest.mark.parametrize("guided", [True, False])
def test_masks_erase_that_share(kind, shares, guided):
    task = inpainting(pretraining(**KINDS[kind], epochs=2))
    image = torch.rand(2, 1, 64, 64)
    masks = [task._mask(image, number, guided=guided) for number in range(2)]
    # The block at the threshold is erased too: one of 64 more.
    assert [share_of(mask) * 64 for mask in masks] == pytest.approx(shares)


def guided_epochs(monkeypatch, tmp_path, **changes) -> list[bool]:
    """Whether the masks of the network's steps were the coach's, epoch by epoch."""
    asked = []
    draw = Inpainting._mask

    def mask(self, image, number, *, guided, measured=False):
        if not measured:
            asked.append(guided)
        return draw(self, image, number, guided=guided, measured=measured)

    monkeypatch.setattr(Inpainting, "_mask", mask)
    pretrain(pretraining(slices_per_epoch=2, **changes), slices(3), tmp_path)
    return asked


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_the_first_epoch_is_random(tmp_path, monkeypatch, recipe):
    assert guided_epochs(monkeypatch, tmp_path, recipe=recipe) == [False, True, True]


def test_without_a_coach_every_epoch_is_random(tmp_path, monkeypatch):
    assert guided_epochs(monkeypatch, tmp_path, masks="random") == [False] * 3


def test_the_published_coach_is_not_trained_while_masks_are_random(tmp_path):
    for recipe, moves in (("paper", False), ("default", True)):
        config = pretraining(recipe=recipe, slices_per_epoch=2)
        task = inpainting(config)
        before = [value.clone() for value in task.coach.parameters()]
        figures = task.epoch(ready(task, config), 0)
        changed = any(
            not torch.equal(a, b) for a, b in zip(before, task.coach.parameters(), strict=True)
        )
        assert changed is moves
        assert np.isfinite(figures["coach_loss"])


@pytest.mark.parametrize(("kind", "through"), [("published", True), ("eq3", True), ("ours", False)])
def test_the_coach_learns_through_the_network_but_for_ours(monkeypatch, kind, through):
    config = pretraining(**KINDS[kind])
    task = inpainting(config)
    fabric = ready(task, config)
    losses = []
    monkeypatch.setattr(
        inpainting_module, "optimise", lambda f, network, optimizer, loss: losses.append(loss)
    )
    task._coach_step(fabric, np.arange(2), np.random.default_rng(0), learns=True)
    of_network = torch.autograd.grad(
        losses[0], list(task.bare.parameters()), allow_unused=True, retain_graph=True
    )
    assert any(gradient is not None for gradient in of_network) is through
    of_coach = torch.autograd.grad(losses[0], list(task.coach.stages.parameters()))
    assert all(gradient.any() for gradient in of_coach)


def ready(task, config):
    """Fabric, with the networks of ``task`` set up in it."""
    fabric = make_fabric(config)
    for name, network in task.networks.items():
        task.networks[name], task.optimizers[name] = fabric.setup(network, task.optimizers[name])
    return fabric


def test_the_published_rates_fall_within_the_random_epochs_and_stay_low():
    config = pretraining(recipe="paper", epochs=12, pretraining={"random_epochs": 10})
    task = inpainting(config)
    rates = [task._rate(0.0, epoch) for epoch in range(12)]
    assert rates == [0.1] * 4 + [1e-2] * 4 + [1e-3] + [1e-4] + [1e-5] * 2


# Equation (3) and Algorithm 2


def test_the_loss_of_equation_3_is_1_minus_the_networks_own_loss_under_the_soft_mask():
    config = pretraining(**KINDS["eq3"])
    task = inpainting(config)
    fabric, indices = ready(task, config), np.arange(2)
    stated = task._coach_step(fabric, indices, np.random.default_rng(0), learns=False)
    image = task._images(fabric, indices, np.random.default_rng(0))
    task.networks["segmentation"].train()
    with torch.no_grad():
        scores, _ = task.networks["coach"].train()(image)
        soft = keep_mask(scores, 0.75, (64, 64), alpha=1)
        loss, _ = task._network_loss(task.networks["segmentation"], image, soft)
    assert stated == pytest.approx(1 - loss.item(), rel=1e-5)


def test_the_target_of_equation_3_is_the_image_itself():
    tasks = [inpainting(pretraining(**KINDS[kind])) for kind in ("eq3", "ours")]
    image = torch.rand(1, 1, 64, 64)
    assert not tasks[0]._error(image, image).any()
    assert tasks[1]._error(image, image).any()


def test_the_coach_and_the_network_take_as_many_steps_in_turn(monkeypatch, tmp_path):
    config = pretraining(
        **{**KINDS["eq3"], "pretraining": {"variant": "eq3", "random_epochs": 0}}, epochs=2
    )
    task, turns = inpainting(config), []
    names = {id(optimizer): name for name, optimizer in task.optimizers.items()}
    step = inpainting_module.optimise

    def optimise(fabric, network, optimizer, loss, **clip):
        turns.append(names[id(getattr(optimizer, "optimizer", optimizer))])
        return step(fabric, network, optimizer, loss, **clip)

    monkeypatch.setattr(inpainting_module, "optimise", optimise)
    fit(task, config, make_fabric(config), tmp_path)
    assert turns == (["coach"] * 2 + ["segmentation"] * 2) * 2


# Batch norm, and masks that count


def spoil(network: torch.nn.Module) -> None:
    """Running averages that are far off, as they are before they have settled."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.fill_(5.0)
            module.running_var.fill_(100.0)


@pytest.mark.parametrize("kind", ["eq3", "ours"])
def test_coach_steps_and_measured_errors_do_not_depend_on_averages_that_are_off(kind):
    told = []
    for off in (False, True):
        config = pretraining(**KINDS[kind])
        task = inpainting(config)
        fabric = ready(task, config)
        if off:
            spoil(task.bare)
        before = [value.clone() for value in task.bare.buffers()]
        torch.manual_seed(0)
        loss = task._coach_step(fabric, np.arange(2), np.random.default_rng(0), learns=False)
        torch.manual_seed(0)
        figures = task._hardness(fabric, 0, np.random.default_rng(0))
        told.append([loss, *figures.values()])
        assert all(torch.equal(a, b) for a, b in zip(before, task.bare.buffers(), strict=True))
    assert told[0] == pytest.approx(told[1], rel=1e-6)


@pytest.mark.parametrize("kind", ["eq3", "ours"])
def test_the_coach_makes_masks_with_averages_of_the_slices_it_sees(kind):
    config = pretraining(**KINDS[kind], augmentation=NO_AUGMENTATION.model_dump())
    task = inpainting(config)
    fabric = ready(task, config)
    spoil(task.coach)
    task._settle_coach(fabric, [np.arange(3)], 0)
    image = task._images(fabric, np.arange(3), np.random.default_rng(0))
    first = task.coach.stem[0](image)
    norm = task.coach.stem[1]
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, first.var((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert norm.momentum == 0.1


@pytest.mark.parametrize("kind", ["published", "eq3", "ours"])
def test_the_coach_is_in_evaluation_mode_wherever_it_makes_a_mask(tmp_path, monkeypatch, kind):
    modes = []
    config = pretraining(**KINDS[kind], epochs=2)
    task = inpainting(config)
    draw = Inpainting._mask

    def mask(self, image, number, *, guided, measured=False):
        if guided:
            handle = self.coach.register_forward_pre_hook(
                lambda module, _: modes.append(any(m.training for m in module.modules()))
            )
        made = draw(self, image, number, guided=guided, measured=measured)
        if guided:
            handle.remove()
        return made

    monkeypatch.setattr(Inpainting, "_mask", mask)
    fit(task, config, make_fabric(config), tmp_path)
    assert modes
    assert not any(modes)


@pytest.mark.parametrize("kind", ["published", "eq3", "ours"])
def test_masks_that_are_measured_have_no_noise(kind):
    task = inpainting(pretraining(**KINDS[kind]))
    image = torch.rand(2, 1, 64, 64)
    # A coach that spreads its scores: noise could otherwise never matter.
    first, second = (task._mask(image, 1, guided=True, measured=True) for _ in range(2))
    assert torch.equal(first, second)
    varied = [task._mask(image, 1, guided=True) for _ in range(3)]
    same = all(torch.equal(varied[0], mask) for mask in varied)
    assert same is (kind == "eq3")


def test_the_floor_is_the_error_of_laplace_filling_under_the_same_masks(monkeypatch):
    config = pretraining("random", **KINDS["eq3"], augmentation=NO_AUGMENTATION.model_dump())
    task = inpainting(config, ramps(4, spread=110))
    masks = []
    draw = Inpainting._mask
    monkeypatch.setattr(
        Inpainting, "_mask", lambda *a, **k: masks.append(draw(*a, **k)) or masks[-1]
    )
    fabric = ready(task, config)
    figures = task._hardness(fabric, 0, np.random.default_rng(0))
    image = task._images(
        fabric, np.random.default_rng(0).permutation(4)[:16], np.random.default_rng(1)
    )
    smooth = inpainting_module.laplace.fill(image, masks[0])
    floor = masked_mean((smooth - image).square(), 1 - masks[0])
    assert figures["random_mask_floor"] == pytest.approx(floor.item(), rel=1e-4)
    # An even ramp is harmonic but at the borders: nothing is left to learn.
    assert figures["random_mask_floor"] < 0.1 < figures["random_mask_error"]


# What is logged


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize("masks", ["coach", "random"])
def test_every_epoch_logs_the_same_figures(tmp_path, recipe, masks):
    config = pretraining(masks, recipe=recipe, epochs=2, slices_per_epoch=2)
    pretrain(config, slices(3), tmp_path)
    of_coach = {"coach_loss", "coach_mask_error", "coach_mask_floor"}
    expected = {"epoch", "loss", "erased_error", "erased_share", "learning_rate", "seconds"}
    expected |= {"random_mask_error", "random_mask_floor"}
    rows = logged(tmp_path)
    assert [set(row) for row in rows] == [expected | (of_coach if masks == "coach" else set())] * 2
    assert all(np.isfinite(float(value)) for row in rows for value in row.values())


def test_pretraining_needs_its_section():
    config = experiment(network=U_NET)
    with pytest.raises(ValueError, match="pretraining"):
        inpainting(config)
