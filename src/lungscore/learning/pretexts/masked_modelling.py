"""Masked modelling with sparse convolution: an encoder that never computes on what is erased.

Source: Tian et al., "Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked
Modeling" (SparK), ICLR 2023, and its published code: most of the image is erased in squares of the
encoder's stride; convolution and batch norm skip them; at every scale the holes are filled with a
learned vector, and a light decoder of all scales draws the erased squares, each normalised by its
own mean and spread. Sparse convolution is done, as there, by masking the dense one.
"""

from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.learning.pretexts.pretext import Pretext
from lungscore.networks.blocks import conv_block, resize_like
from lungscore.networks.encoders import Encoder
from lungscore.networks.inpainting import masked_mean, reconstruction_error

#: Channels of the decoder at the deepest scale, halved at each finer one down to SLIMMEST.
WIDEST, SLIMMEST = 128, 16


class Visibility:
    """Which squares of the images in hand the encoder may see: ``grid`` (N, 1, rows, columns)."""

    grid: Tensor

    def at(self, x: Tensor) -> Tensor:
        """bool (N, 1, h, w), of the height and width of ``x`` (N, C, h, w)."""
        size = (x.shape[-2], x.shape[-1])
        return functional.interpolate(self.grid, size, mode="nearest") > 0.5


class SparseBatchNorm(nn.BatchNorm2d):
    """Batch norm of the positions that are visible; the others become 0."""

    visibility: Visibility

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same shape."""
        visible = self.visibility.at(x)[:, 0]
        seen = x.movedim(1, -1)[visible]  # (positions, C)
        normalised = functional.batch_norm(
            seen,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum or 0.0,
            self.eps,
        )
        spread = normalised.new_zeros(*visible.shape, x.shape[1])
        spread[visible] = normalised
        return spread.movedim(-1, 1)


class SparseEncoder:
    """Makes an encoder sparse, in place, and dense again; its parameters stay the same objects."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.visibility = encoder, Visibility()
        self.norms: dict[str, nn.BatchNorm2d] = {}
        self.hooks = []
        for name, module in list(encoder.named_modules()):
            if isinstance(module, nn.Conv2d):
                self.hooks += [
                    module.register_forward_pre_hook(lambda _, inputs: self.masked(*inputs)),
                    module.register_forward_hook(lambda _, __, output: self.masked(output)),
                ]
            elif isinstance(module, nn.BatchNorm2d):
                self.norms[name] = module
                sparse = SparseBatchNorm(module.num_features, module.eps, module.momentum)
                sparse.weight, sparse.bias = module.weight, module.bias
                sparse.load_state_dict(module.state_dict())
                sparse.visibility = self.visibility
                _replace(encoder, name, sparse)

    def masked(self, x: Tensor) -> Tensor:
        """``x`` (N, C, h, w) with nothing where nothing may be seen."""
        return x * self.visibility.at(x).to(x.dtype)

    def restore(self) -> None:
        """Dense again. May be called more than once."""
        for hook in self.hooks:
            hook.remove()
        for name, norm in self.norms.items():
            norm.load_state_dict(self.encoder.get_submodule(name).state_dict())
            _replace(self.encoder, name, norm)
        self.norms, self.hooks = {}, []


class MaskedAutoencoder(nn.Module):
    """An encoder made sparse, vectors for what it did not see, and a decoder of all scales."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.sparse = SparseEncoder(encoder)
        channels = encoder.channels[::-1]  # deep to shallow
        widths = [max(WIDEST >> scale, SLIMMEST) for scale in range(len(channels))]
        self.holes = nn.ParameterList(
            nn.Parameter(0.02 * torch.randn(1, count, 1, 1)) for count in channels
        )
        self.project = nn.ModuleList(
            nn.Conv2d(count, width, 1) for count, width in zip(channels, widths, strict=True)
        )
        self.enlarge = nn.ModuleList(
            nn.Sequential(conv_block(before, after, kernel=3), nn.ReLU())
            for before, after in zip(widths, [*widths[1:], SLIMMEST], strict=True)
        )
        self.draw = nn.Conv2d(SLIMMEST, 1, 3, padding=1)

    def forward(self, image: Tensor, grid: Tensor) -> Tensor:
        """(N, 1, H, W) drawn from what ``grid`` (N, 1, rows, columns; 1 visible) shows of it."""
        visibility = self.sparse.visibility
        visibility.grid = grid
        x: Tensor | None = None
        finer = [*self.encoder(self.sparse.masked(image))[::-1], image]
        for scale, (features, following) in enumerate(pairwise(finer)):
            filled = torch.where(
                visibility.at(features), features, self.holes[scale].to(features.dtype)
            )
            own = self.project[scale](filled)
            x = own if x is None else x + own
            x = self.enlarge[scale](resize_like(x, following))
        drawn: Tensor = self.draw(x)
        return drawn


class MaskedModelling(Pretext):
    """The encoder learns; the decoder of the network stays as it was."""

    figure: ClassVar[str] = "erased_share"

    def make_learner(self, network: nn.Module) -> nn.Module:
        """The encoder with a decoder of its own."""
        return MaskedAutoencoder(network.encoder)  # type: ignore[arg-type]

    def loss(
        self, fabric: Fabric, learner: nn.Module, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, float]:
        """Mean squared error of the erased squares, each normalised by its own mean and spread."""
        image = self.images(fabric, indices, rng)
        block = self.settings.block
        grid = visible_squares(image, block, self.settings.masked)
        drawn = learner(image, grid).float()
        size = (image.shape[-2], image.shape[-1])
        erased = 1 - functional.interpolate(grid, size, mode="nearest")
        error = reconstruction_error(drawn, normalised_squares(image, block))
        return masked_mean(error, erased), erased.mean().item()

    def result(self) -> nn.Module:
        """The network, its encoder dense again."""
        self.learner.sparse.restore()  # type: ignore[union-attr,operator]
        return self.bare


def visible_squares(image: Tensor, block: int, masked: float) -> Tensor:
    """(N, 1, rows, columns) of 0 and 1: the same number of squares of every image, at random."""
    rows, columns = (-(-side // block) for side in image.shape[-2:])
    count = rows * columns
    # One square stays, one is erased: batch norm and loss need something to work on.
    hidden = min(max(round(masked * count), 1), max(count - 1, 1))
    order = torch.rand(len(image), count, device=image.device).argsort(1)
    return (order >= hidden).to(image.dtype).view(len(image), 1, rows, columns)


def normalised_squares(image: Tensor, block: int) -> Tensor:
    """(N, 1, H, W): every square of ``block`` pixels with mean 0 and spread 1."""

    def mean_of(x: Tensor) -> Tensor:
        squares = functional.avg_pool2d(x, block, ceil_mode=True, count_include_pad=False)
        wide = squares.repeat_interleave(block, 2).repeat_interleave(block, 3)
        return wide[..., : x.shape[-2], : x.shape[-1]]

    centred = image - mean_of(image)
    return centred / (mean_of(centred.square()) + 1e-6).sqrt()


def _replace(encoder: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(encoder.get_submodule(parent), last, module)
