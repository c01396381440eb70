from dataclasses import replace

import numpy as np
import pytest
import torch

from lungscore.datasets.sample import Sample
from lungscore.learning.slices import SliceStore, epoch_indices
from tests.learning.tiny_training import experiment, slices

pytestmark = pytest.mark.usefixtures("tiny")


def test_every_infected_slice_comes_up_equally_often_and_healthy_ones_fill_their_share():
    config = experiment(slices_per_epoch=80, batch_size=8, healthy_fraction=0.25)
    batches = epoch_indices(10, 30, config, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [8] * 10
    drawn = np.concatenate(batches)
    np.testing.assert_array_equal(np.bincount(drawn[drawn < 10]), [6] * 10)
    assert all((batch >= 10).sum() == 2 for batch in batches)
    assert drawn.max() < 40


def test_without_healthy_slices_batches_are_full_of_infected_ones():
    config = experiment(slices_per_epoch=6, batch_size=3, healthy_fraction=0.5)
    batches = epoch_indices(4, 0, config, np.random.default_rng(0))
    assert [len(batch) for batch in batches] == [3, 3]
    assert np.concatenate(batches).max() < 4


def test_a_batch_keeps_room_for_an_infected_slice():
    config = experiment(slices_per_epoch=4, batch_size=4, healthy_fraction=1.0)
    (batch,) = epoch_indices(2, 5, config, np.random.default_rng(0))
    assert (batch < 2).sum() == 1


def test_an_epoch_has_at_least_one_batch():
    config = experiment(slices_per_epoch=1, batch_size=4)
    assert len(epoch_indices(3, 0, config, np.random.default_rng(0))) == 1


def test_hounsfield_units_and_grey_levels_share_one_scale():
    image = np.full((40, 40), -600, np.int16)
    image[:, 20:] = 150
    image[0, 0] = 3000
    grey = np.full((40, 40), 128, np.uint8)
    clean = np.zeros((40, 40), bool)
    store = SliceStore(
        [Sample(image, clean, "hu", "synthetic"), Sample(grey, clean, "grey", "synthetic")],
        experiment(),
    )
    # -600 HU lies in the middle of -1350…150; what is brighter is kept up to half a window more.
    assert store.images[0, 0, 40, 10].item() == pytest.approx(0.5, abs=1e-3)
    assert store.images[0, 0, 40, 70].item() == pytest.approx(1, abs=1e-3)
    assert store.images[0].max().item() <= 1.5
    assert store.images[1, 0, 40, 40].item() == pytest.approx(128 / 255, abs=1e-3)
    assert store.images.shape == (2, 1, 80, 80)


def test_the_paper_recipe_keeps_soft_labels_and_the_default_hardens_them():
    rng = np.random.default_rng(0)
    for recipe, soft in (("paper", True), ("default", False)):
        config = experiment(recipe=recipe)
        batch = SliceStore(slices(2), config).batch(np.arange(2), config, rng)
        between = (batch.target > 0) & (batch.target < 1)
        assert bool(between.any()) is soft
        assert set(batch.edge.unique().tolist()) == {0, 1}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU with CUDA")
def test_a_gpu_draws_what_the_cpu_draws_but_for_the_noise():
    config = experiment("resnet18", augmentation={"noise": 0.0, "cutout": 0.3})
    store = SliceStore(slices(3), config)
    on_cpu, on_gpu, again = (
        store.batch(np.arange(3), config, np.random.default_rng(0), device)
        for device in ("cpu", "cuda", "cuda")
    )
    torch.testing.assert_close(on_gpu.image.cpu(), on_cpu.image, atol=2e-3, rtol=0)
    # A pixel on the border may fall to the other side.
    assert (on_gpu.target.cpu() != on_cpu.target).float().mean() < 1e-3
    assert torch.equal(on_gpu.image, again.image)


def two_lungs() -> list[Sample]:
    """Eight slices of air in two boxes of lung, nothing infected."""
    lungs = np.zeros((60, 80), bool)
    lungs[10:50, 8:36] = lungs[10:50, 44:72] = True
    image = np.where(lungs, 40, 230).astype(np.uint8)
    clean = np.zeros(image.shape, bool)
    return [Sample(image, clean, f"{n}", "synthetic", lungs=lungs) for n in range(8)]


def drawn(samples: list[Sample], share: float, *, seed: int = 0):
    config = experiment()
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"made_disease": share})}
    )
    torch.manual_seed(seed)
    store = SliceStore(samples, config)
    return store.batch(np.arange(8), config, np.random.default_rng(0))


def test_disease_is_made_in_lungs_and_is_marked():
    plain, made = (drawn(two_lungs(), share) for share in (0.0, 1.0))
    assert not plain.target.any()
    assert (made.target.flatten(1).sum(1) > 0).sum() >= 6
    inside = made.target > 0.5
    # What was made is brighter, on the whole, and nothing is marked in the bright chest wall.
    assert made.image[inside].mean() > plain.image[inside].mean() + 0.1
    assert (plain.image[inside] < 0.7).float().mean() > 0.9


def test_made_disease_is_the_same_for_the_same_seed_and_none_where_lungs_are_unknown():
    assert torch.equal(drawn(two_lungs(), 1.0).target, drawn(two_lungs(), 1.0).target)
    assert not torch.equal(drawn(two_lungs(), 1.0).target, drawn(two_lungs(), 1.0, seed=1).target)
    unknown = [replace(sample, lungs=None) for sample in two_lungs()]
    assert not drawn(unknown, 1.0).target.any()
