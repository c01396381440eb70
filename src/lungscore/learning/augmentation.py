"""Augmentation: parameters are sampled first, then applied to image and mask together.

The edge target is computed from the moved mask, so image, label and edge can never part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from lungscore.learning.config import AugmentationConfig


@dataclass(frozen=True)
class Augmentation:
    """Parameters for a batch of N slices.

    affine: (N, 2, 3), output to input in torch's normalised coordinates. bend: (N, 2, 4, 5)
    coarse displacement in the same coordinates. lower, upper: (N,) new black and white points.
    gamma, blur, noise: (N,). cutout: (N, 4) top, left, height, width as fractions, and
    cutout_grey: (N,). noise_seed: for the noise field.
    """

    affine: np.ndarray
    bend: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    gamma: np.ndarray
    blur: np.ndarray
    noise: np.ndarray
    cutout: np.ndarray
    cutout_grey: np.ndarray
    noise_seed: int


def sample_augmentation(
    config: "AugmentationConfig", count: int, rng: np.random.Generator
) -> Augmentation:
    """Draw the parameters for ``count`` slices."""
    angle = np.deg2rad(rng.uniform(-1, 1, count) * config.rotation_degrees)
    zoom = np.exp(rng.uniform(-1, 1, (count, 2)) * np.log1p(config.stretch))
    zoom *= np.exp(rng.uniform(-1, 1, (count, 1)) * np.log1p(config.zoom))
    flip_x = np.where(rng.random(count) < config.flip_left_right, -1.0, 1.0)
    flip_y = np.where(rng.random(count) < config.flip_up_down, -1.0, 1.0)
    shear = rng.uniform(-1, 1, count) * config.shear
    shift = rng.uniform(-1, 1, (count, 2)) * config.shift
    cos, sin = np.cos(angle), np.sin(angle)
    affine = np.empty((count, 2, 3), np.float32)
    affine[:, 0, 0], affine[:, 0, 1] = cos * zoom[:, 0] * flip_x, -sin * zoom[:, 0] + shear
    affine[:, 1, 0], affine[:, 1, 1] = sin * zoom[:, 1], cos * zoom[:, 1] * flip_y
    # Crops may come turned by a quarter: some views are transposed (rows of the map swapped).
    turned = rng.random(count) < config.transpose
    affine[turned] = affine[turned][:, ::-1]
    affine[:, :, 2] = shift
    sides = rng.uniform(0, 1, (count, 2)) * config.cutout
    corner = rng.uniform(0, 1, (count, 2))
    if config.cutout_area:
        sides = _of_area(config.cutout_area, count, rng)
    corner = corner * (1 - sides)
    return Augmentation(
        affine=affine,
        bend=(rng.normal(0, 1, (count, 2, 4, 5)) * config.bend).astype(np.float32),
        lower=rng.uniform(-1, 1, count) * config.window,
        upper=1 + rng.uniform(-1, 1, count) * config.window,
        gamma=np.exp(rng.normal(0, 1, count) * config.gamma),
        blur=rng.random(count) * (rng.random(count) < 0.5) * config.blur,
        noise=np.abs(rng.normal(0, 1, count)) * config.noise,
        cutout=np.concatenate([corner, sides], axis=1),
        cutout_grey=rng.uniform(0, 1, count) * (config.cutout_area == 0),
        noise_seed=int(rng.integers(2**31)),
    )


def _of_area(area: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Sides (N, 2) of rectangles of that area, as fractions of the image's; neither above 1.

    The taller side is at most twice the other one, as far as the image has room for it.
    """
    longest = min(np.sqrt(2 * area), 1.0)
    tall = np.exp(rng.uniform(np.log(area / longest), np.log(longest), count))
    return np.stack([tall, area / tall], axis=1)


def apply_augmentation(
    images: Tensor, masks: Tensor, augmentation: Augmentation, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Move images and masks (N, 1, h, w), 0…1, to (N, 1, *size), then change the images' greys.

    What comes from outside an image is black (air) and not infected. All of it happens on the
    images' device; another kind of device draws other noise.
    """
    count, device = len(images), images.device
    grid = functional.affine_grid(
        _on(device, augmentation.affine), [count, 1, *size], align_corners=False
    )
    bend = functional.interpolate(
        _on(device, augmentation.bend), size, mode="bicubic", align_corners=True
    )
    grid = grid + bend.permute(0, 2, 3, 1)
    moved = functional.grid_sample(
        torch.cat([images, masks], dim=1), grid, padding_mode="zeros", align_corners=False
    )
    image, mask = moved[:, :1], moved[:, 1:]

    def per_image(values: np.ndarray) -> Tensor:
        return _on(device, values).view(count, 1, 1, 1)

    lower, upper = per_image(augmentation.lower), per_image(augmentation.upper)
    image = ((image - lower) / (upper - lower)).clamp(0, 1) ** per_image(augmentation.gamma)
    softened = functional.avg_pool2d(
        functional.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )
    image = torch.lerp(image, softened, per_image(augmentation.blur))
    generator = torch.Generator(device).manual_seed(augmentation.noise_seed)
    noise = torch.randn(image.shape, generator=generator, device=device)
    image = (image + per_image(augmentation.noise) * noise).clamp(0, 1)
    return _cut_out(image, augmentation), mask


def _on(device: torch.device, values: np.ndarray) -> Tensor:
    """float32 on ``device``, without waiting for what the device still has to do."""
    return torch.from_numpy(values.astype(np.float32)).to(device, non_blocking=True)


def _cut_out(image: Tensor, augmentation: Augmentation) -> Tensor:
    """One rectangle of random grey per image; the label stays (the network must infer it)."""
    (height, width), device = image.shape[-2:], image.device
    rows = (torch.arange(height, device=device) + 0.5).view(1, 1, height, 1) / height
    columns = (torch.arange(width, device=device) + 0.5).view(1, 1, 1, width) / width
    cutout = _on(device, augmentation.cutout).view(-1, 4, 1, 1, 1)
    top, left, tall, wide = cutout.unbind(1)
    inside = (rows >= top) & (rows < top + tall) & (columns >= left) & (columns < left + wide)
    grey = _on(device, augmentation.cutout_grey).view(-1, 1, 1, 1)
    return torch.where(inside, grey, image)


def edge_of(mask: Tensor) -> Tensor:
    """The border of a binary mask (N, 1, H, W): two pixels wide, half inside and half outside."""
    padded = functional.pad(mask, (1, 1, 1, 1), mode="replicate")
    return _around(torch.maximum, padded) - _around(torch.minimum, padded)


def _around(extreme: Callable[[Tensor, Tensor], Tensor], padded: Tensor) -> Tensor:
    """The extreme value of every pixel and its eight neighbours; the margin of one pixel is gone.

    Axis after axis: on a processor much faster than max_pool2d.
    """
    along = extreme(extreme(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    return extreme(extreme(along[..., :-2, :], along[..., 1:-1, :]), along[..., 2:, :])
