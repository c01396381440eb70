from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage

from lungscore.learning.augmentation import (
    Augmentation,
    apply_augmentation,
    edge_of,
    sample_augmentation,
)
from lungscore.learning.config import AugmentationConfig
from tests.learning.tiny_training import NO_AUGMENTATION

SIZE = (48, 64)
#: Everything that moves pixels, at once and strongly.
MOVES = {
    "flip_left_right": 0.5,
    "flip_up_down": 0.5,
    "transpose": 0.5,
    "rotation_degrees": 40,
    "zoom": 0.4,
    "stretch": 0.3,
    "shear": 0.2,
    "shift": 0.2,
    "bend": 0.05,
}
GREYS = {"window": 0.2, "gamma": 0.3, "blur": 1.0, "noise": 0.05}


def config(**strengths) -> AugmentationConfig:
    """Nothing but the named strengths."""
    return NO_AUGMENTATION.model_copy(update=strengths)


def drawn(count: int = 4, seed: int = 0, **strengths) -> Augmentation:
    """Parameters for ``count`` slices with nothing but the named strengths."""
    return sample_augmentation(config(**strengths), count, np.random.default_rng(seed))


@pytest.fixture
def slices():
    """Smooth images with a bright blob, and the blob's mask: the pixels above 0.5."""
    rng = np.random.default_rng(1)
    images = ndimage.gaussian_filter(rng.random((4, *SIZE)), (0, 6, 6))
    images -= images.min(axis=(1, 2), keepdims=True)
    images /= images.max(axis=(1, 2), keepdims=True)
    images = torch.from_numpy(images[:, None].astype(np.float32))
    return images, (images > 0.5).float()


def test_nothing_changes_when_every_strength_is_zero(slices):
    images, masks = slices
    image, mask = apply_augmentation(images, masks, drawn(), SIZE)
    torch.testing.assert_close(image, images, atol=1e-5, rtol=0)
    torch.testing.assert_close(mask, masks, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(3))
def test_image_and_mask_are_moved_together(slices, seed):
    images, masks = slices
    # A soft step: what is above 0.5 in the moved image must be what the moved mask says.
    image, mask = apply_augmentation(images, masks, drawn(seed=seed, **MOVES), SIZE)
    disagree = (image > 0.5) != (mask > 0.5)
    near = edge_of((mask > 0.5).float()) > 0
    assert disagree[~near].float().mean() < 1e-3
    assert disagree.float().mean() < 0.03


@pytest.mark.parametrize("name", sorted(MOVES))
def test_every_move_moves_something(slices, name):
    images, masks = slices
    strengths = {
        name: 1.0 if name in ("flip_left_right", "flip_up_down", "transpose") else MOVES[name]
    }
    image, mask = apply_augmentation(images, masks, drawn(**strengths), SIZE)
    assert (image - images).abs().max() > 0.05
    assert (mask != masks).any()


@pytest.mark.parametrize("name", sorted(GREYS))
def test_changes_of_grey_leave_the_mask_alone(slices, name):
    images, masks = slices
    image, mask = apply_augmentation(images, masks, drawn(**{name: GREYS[name]}), SIZE)
    assert (image - images).abs().max() > 1e-3
    assert 0 <= image.min()
    assert image.max() <= 1
    torch.testing.assert_close(mask, masks, atol=1e-5, rtol=0)


def test_the_same_seed_draws_the_same_slices(slices):
    strengths = {**MOVES, **GREYS, "cutout": 0.5}
    first, same = (apply_augmentation(*slices, drawn(seed=5, **strengths), SIZE) for _ in range(2))
    reseeded = apply_augmentation(*slices, drawn(seed=6, **strengths), SIZE)
    assert torch.equal(first[0], same[0])
    assert torch.equal(first[1], same[1])
    assert not torch.equal(first[0], reseeded[0])


def test_cutout_changes_the_image_in_one_rectangle_and_never_the_mask(slices):
    images, masks = slices
    augmentation = replace(
        drawn(),
        cutout=np.array([[0.25, 0.5, 0.5, 0.25]] * 4),
        cutout_grey=np.full(4, 0.7),
    )
    image, mask = apply_augmentation(images, masks, augmentation, SIZE)
    inside = torch.zeros(SIZE, dtype=torch.bool)
    inside[12:36, 32:48] = True
    assert torch.equal(image[..., inside], torch.full_like(image[..., inside], 0.7))
    torch.testing.assert_close(image[..., ~inside], images[..., ~inside], atol=1e-5, rtol=0)
    torch.testing.assert_close(mask, masks, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(5))
def test_cutout_lies_within_the_image(seed):
    top, left, tall, wide = drawn(count=50, seed=seed, cutout=0.6).cutout.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + tall <= 1).all()
    assert (left + wide <= 1).all()
    assert tall.max() <= 0.6


@pytest.mark.parametrize("area", [0.2, 0.4, 0.5, 0.9])
def test_cutout_of_an_area_erases_that_share_of_it_to_black(area):
    augmentation = drawn(count=50, cutout_area=area)
    top, left, tall, wide = augmentation.cutout.T
    assert tall * wide == pytest.approx(np.full(50, area))
    assert min(top.min(), left.min()) >= 0
    assert max((top + tall).max(), (left + wide).max()) <= 1 + 1e-9
    assert np.ptp(tall) > 0.05
    assert not augmentation.cutout_grey.any()


def test_the_two_meanings_of_cutout_exclude_each_other():
    with pytest.raises(ValidationError, match="not both"):
        AugmentationConfig(cutout=0.2, cutout_area=0.2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flip_left_right", lambda x: x.flip(3)),
        ("flip_up_down", lambda x: x.flip(2)),
        ("transpose", lambda x: x.transpose(2, 3)),
    ],
)
def test_flips_and_transposition_are_exact(name, expected):
    rng = np.random.default_rng(2)
    images = torch.from_numpy(rng.random((3, 1, 40, 40), np.float32))
    masks = (images > 0.5).float()
    image, mask = apply_augmentation(images, masks, drawn(3, **{name: 1.0}), (40, 40))
    torch.testing.assert_close(image, expected(images), atol=1e-4, rtol=0)
    torch.testing.assert_close(mask, expected(masks), atol=1e-4, rtol=0)


def test_what_comes_from_outside_is_air_and_not_infected(slices):
    augmentation = replace(drawn(), affine=drawn().affine + np.array([0, 0, 3.0], np.float32))
    image, mask = apply_augmentation(*slices, augmentation, SIZE)
    assert not image.any()
    assert not mask.any()


def test_larger_slices_are_brought_to_the_size_asked_for(slices):
    image, mask = apply_augmentation(*slices, drawn(), (30, 20))
    assert image.shape == mask.shape == (4, 1, 30, 20)


def test_rotation_turns_by_at_most_the_stated_degrees():
    affine = drawn(200, rotation_degrees=15).affine
    angle = np.rad2deg(np.arctan2(affine[:, 1, 0], affine[:, 0, 0]))
    assert 14 < np.abs(angle).max() <= 15


@pytest.mark.parametrize("place", [(slice(4, 8), slice(4, 8)), (slice(0, 3), slice(7, 12))])
def test_edge_is_one_pixel_inside_and_one_outside(place):
    mask = torch.zeros(1, 1, 12, 12)
    mask[0, 0][place] = 1
    edge = edge_of(mask)[0, 0].numpy()
    inside = mask[0, 0].numpy() > 0
    grown = ndimage.binary_dilation(inside, np.ones((3, 3)))
    # What the image leaves off counts as what lies at its border.
    shrunk = ndimage.binary_erosion(inside, np.ones((3, 3)), border_value=1)
    np.testing.assert_array_equal(edge > 0, grown & ~shrunk)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mask_of_one_value_has_no_edge(value):
    assert not edge_of(torch.full((1, 1, 9, 9), value)).any()
