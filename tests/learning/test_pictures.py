import numpy as np
import pytest
import torch
from PIL import Image

from lungscore.learning.config import PretrainingConfig
from lungscore.learning.inpainting import Inpainting
from lungscore.learning.pictures import GAP, Pictures, phantom_slices
from lungscore.learning.pretrain import pretrain
from lungscore.learning.slices import SliceStore
from lungscore.learning.train import build_network
from tests.learning.tiny_training import experiment, slices

SIZE = 64
BLOCK = 16


def settings(masks: str = "coach", **training):
    """An experiment that pre-trains at 64 x 64 in blocks of 16."""
    pretraining = PretrainingConfig(masks=masks, coach_width=8, block=BLOCK)
    return experiment(**training).model_copy(update={"pretraining": pretraining})


def task(masks: str = "coach", recipe: str = "default") -> Inpainting:
    config = settings(masks, recipe=recipe)
    store = SliceStore(slices(2), config)
    return Inpainting(config, build_network(config, store.images, imagenet=None), store)


def read_parts(path) -> np.ndarray:
    """(rows, columns, H, W) uint8 of a picture."""
    page = np.asarray(Image.open(path))
    page = np.pad(page, ((0, GAP), (0, GAP)))
    rows, columns = page.shape[0] // (SIZE + GAP), page.shape[1] // (SIZE + GAP)
    parts = page.reshape(rows, SIZE + GAP, columns, SIZE + GAP)
    return parts.transpose(0, 2, 1, 3)[:, :, :SIZE, :SIZE]


def blocks_of(changed: np.ndarray) -> np.ndarray:
    """For (H, W) bool: the blocks (rows, columns) in which a pixel changed."""
    count = SIZE // BLOCK
    return changed.reshape(count, BLOCK, count, BLOCK).any(axis=(1, 3))


def test_slices_of_the_phantom_show_lungs_and_lesions_in_the_size_and_range_of_the_input():
    images = phantom_slices(64, 96, window_hu=(-1350.0, 150.0))
    assert images.shape == (2, 1, 64, 96)
    assert images.min() >= 0
    assert images.max() <= 1
    aerated = ((images > 0.2) & (images < 0.4)).float().mean(dim=(1, 2, 3))
    assert (aerated > 0.3).all()
    assert torch.equal(images, phantom_slices(64, 96, window_hu=(-1350.0, 150.0)))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_a_picture_shows_the_erased_share_in_whole_blocks_and_fills_nothing_else(tmp_path, recipe):
    inpainting = task(recipe=recipe)
    Pictures(tmp_path).draw(inpainting, 3)
    parts = read_parts(tmp_path / "epoch-03.png")
    assert parts.shape[:2] == (2, 5)
    count = (SIZE // BLOCK) ** 2
    # The k-th block is itself erased.
    erased = count - int((1 - inpainting.erased_share(2)) * count) + 1
    for image, *masked in parts:
        for gone, filled in (masked[:2], masked[2:]):
            blocks = blocks_of(gone != image)
            assert 0 < np.count_nonzero(blocks) <= erased
            inside = np.kron(blocks, np.ones((BLOCK, BLOCK), bool))
            assert np.ptp(gone[inside]) == 0
            assert np.array_equal(filled[~inside], image[~inside])


@pytest.mark.usefixtures("tiny")
def test_without_a_coach_the_random_mask_alone_is_drawn_and_grows_over_itself(tmp_path):
    inpainting = task("random")
    pictures = Pictures(tmp_path)
    pictures.draw(inpainting, 1)
    pictures.draw(inpainting, 3)
    first, last = (read_parts(tmp_path / f"epoch-0{epoch}.png") for epoch in (1, 3))
    assert first.shape[:2] == (2, 3)
    changed = [parts[:, 1] != parts[:, 0] for parts in (first, last)]
    assert changed[1].sum() > changed[0].sum()
    assert not (changed[0] & ~changed[1]).any()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_drawing_changes_neither_weights_nor_statistics_nor_modes_nor_random_numbers(
    tmp_path, recipe
):
    inpainting = task(recipe=recipe)
    networks = [inpainting.bare.train(), inpainting.coach.eval()]
    before = [value.clone() for network in networks for value in network.state_dict().values()]
    state = torch.get_rng_state()
    Pictures(tmp_path).draw(inpainting, 1)
    after = [value for network in networks for value in network.state_dict().values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(module.training for module in networks[0].modules())
    assert not any(module.training for module in networks[1].modules())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.usefixtures("tiny")
@pytest.mark.slow
def test_pretraining_draws_every_epoch_and_ends_with_the_weights_it_has_without(
    tmp_path, monkeypatch
):
    torch.set_num_threads(1)
    drawn = pretrain(settings(epochs=2), slices(2), tmp_path / "drawn").state_dict()
    names = sorted(path.name for path in (tmp_path / "drawn" / "pictures").iterdir())
    assert names == ["epoch-01.png", "epoch-02.png"]
    monkeypatch.setattr(Pictures, "draw", lambda *_: None)
    plain = pretrain(settings(epochs=2), slices(2), tmp_path / "plain").state_dict()
    assert all(torch.equal(drawn[name], plain[name]) for name in plain)
