"""Inpainting heads: the last layers of a segmentation network replaced by linear ones, and back.

Algorithm 2 of the paper: to reconstruct an image, the network's last layers are replaced by linear
layers; afterwards its own last layers return and everything else keeps what it learned. A replaced
reverse-attention head still adds its residual to the coarser map, which now is a coarser image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SavedHeads:
    """The segmentation heads that were taken out: name of the submodule -> module."""

    modules: dict[str, nn.Module]


def put_inpainting_heads(network: nn.Module, *, channels: int = 1) -> SavedHeads:
    """Replace every head of ``network`` by a linear convolution of the same kernel, in place.

    channels: of the image to reconstruct. A head is a submodule named ``head``: a convolution, or a
    sequence that begins with one. Raises ValueError where there is none.
    """
    saved = {}
    for name, module in list(network.named_modules()):
        if name.rpartition(".")[2] != "head":
            continue
        convolution = module[0] if isinstance(module, nn.Sequential) else module
        if not isinstance(convolution, nn.Conv2d | nn.Conv3d):
            raise ValueError(f"{name} is not a convolution")
        saved[name] = module
        linear = type(convolution)(
            convolution.in_channels,
            channels,
            convolution.kernel_size,  # type: ignore[arg-type]
            padding=convolution.padding,  # type: ignore[arg-type]
        )
        # Small, so that the first reconstructions are near the mean grey of every slice.
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)  # type: ignore[arg-type]
        _replace(network, name, linear)
    if not saved:
        raise ValueError("the network has no heads")
    return SavedHeads(saved)


def restore_heads(network: nn.Module, saved: SavedHeads) -> None:
    """Put the segmentation heads back, in place."""
    for name, module in saved.modules.items():
        _replace(network, name, module)


def reconstruction_error(filled: Tensor, image: Tensor, *, limit: float | None = None) -> Tensor:
    """Squared error of every pixel (N, 1, H, W), of at most ``limit`` (2 as published)."""
    error = (filled - image).square()
    return error if limit is None else error.clamp(max=limit)


def masked_mean(error: Tensor, weight: Tensor) -> Tensor:
    """Mean of ``error`` (N, 1, H, W) where ``weight`` (N, 1, H, W) says, over the batch."""
    return (error * weight).sum() / weight.sum().clamp(min=torch.finfo(torch.float32).eps)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
