"""Filling in without learning: the smoothest image between what is left (Laplace's equation).

The floor of every inpainting error: a network that does not beat it has learned nothing about
chests that its surroundings do not show.
"""

import torch
from torch import Tensor
from torch.nn import functional

#: Of the right-hand side's norm; differences of grey below a thousandth change no error.
TOLERANCE, STEPS = 1e-3, 400


def fill(image: Tensor, mask: Tensor) -> Tensor:
    """``image`` (N, 1, H, W) where ``mask`` (N, 1, H, W) is 1; elsewhere harmonic.

    Every erased pixel becomes the mean of its neighbours in the image, by conjugate gradients. An
    image of which nothing is left stays empty.
    """
    hole = (mask < 0.5).to(image.dtype)
    degree = _neighbours(torch.ones_like(image))

    def system(values: Tensor) -> Tensor:
        return hole * (degree * values - _neighbours(values))

    known = image * (1 - hole)
    residual = hole * _neighbours(known)
    values, direction = torch.zeros_like(image), residual.clone()
    square = _dot(residual, residual)
    enough = TOLERANCE**2 * square
    for _ in range(STEPS):
        if bool((square <= enough).all()):
            break
        turned = system(direction)
        length = square / _dot(direction, turned).clamp(min=1e-20)
        values += length * direction
        residual -= length * turned
        following = _dot(residual, residual)
        direction = residual + following / square.clamp(min=1e-20) * direction
        square = following
    return known + hole * values


def _neighbours(values: Tensor) -> Tensor:
    """The sum of a pixel's four neighbours; at the border there are fewer."""
    padded = functional.pad(values, (1, 1, 1, 1))
    return (
        padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
        + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    )  # fmt: skip


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """(N, 1, 1, 1), image by image."""
    return (a * b).sum((1, 2, 3), keepdim=True)
