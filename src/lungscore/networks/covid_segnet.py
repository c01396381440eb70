"""COVID-SegNet, for volumes and for slices.

Source: Yan et al., "COVID-19 Chest CT Image Segmentation", arXiv 2004.10987, whose code was never
released. Where the text leaves a choice (max-pooling on the way down, one gate a channel), this
follows what public re-implementations agree on; it is not an exact copy.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.output import PlainOutput

#: Convolution, transposed convolution, batch norm and maximum pooling of so many dimensions.
_LAYERS: dict[int, tuple[Any, Any, Any, Any]] = {
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.MaxPool2d),
    3: (nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.MaxPool3d),
}


def _convolution(
    dimensions: int, in_channels: int, out_channels: int, *, kernel: int, dilation: int = 1
) -> nn.Module:
    """Keeps the size."""
    padding = dilation * (kernel // 2)
    make = _LAYERS[dimensions][0]
    return make(in_channels, out_channels, kernel, padding=padding, dilation=dilation)


class ResidualBlock(nn.Module):
    """Two 3x3(x3) convolutions and a shortcut."""

    def __init__(self, dimensions: int, in_channels: int, channels: int) -> None:
        super().__init__()
        norm = _LAYERS[dimensions][2]
        self.refine = nn.Sequential(
            _convolution(dimensions, in_channels, channels, kernel=3),
            norm(channels),
            nn.ReLU(),
            _convolution(dimensions, channels, channels, kernel=3),
            norm(channels),
        )
        self.shortcut = _convolution(dimensions, in_channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, …) to (N, channels, …)."""
        return functional.relu(self.refine(x) + self.shortcut(x))


class FeatureVariation(nn.Module):
    """FV block: brings out contrast (a gate a channel) and place (a map a channel)."""

    def __init__(self, dimensions: int, channels: int) -> None:
        super().__init__()
        self.unify = nn.Sequential(
            _convolution(dimensions, channels, channels, kernel=1),
            _LAYERS[dimensions][2](channels),
            nn.ReLU(),
        )
        self.contrast = nn.Sequential(
            nn.Linear(channels, channels // 2), nn.Linear(channels // 2, channels), nn.Sigmoid()
        )
        self.position = nn.Sequential(
            _convolution(dimensions, channels, channels, kernel=3),
            nn.ReLU(),
            _convolution(dimensions, channels, channels, kernel=3),
            nn.Sigmoid(),
        )
        self.merge = _convolution(dimensions, 3 * channels, channels, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …) to the same shape."""
        unified = self.unify(x)
        gate = self.contrast(unified.flatten(2).mean(2))  # (N, C)
        contrast = gate.reshape(*gate.shape, *[1] * (x.ndim - 2)) * unified
        position = self.position(unified) * unified
        return x + self.merge(torch.cat([unified, contrast, position], dim=1))


class ProgressivePyramid(nn.Module):
    """PASPP: dilations 1, 2, 4 and 8, merged near with near and far with far before all."""

    def __init__(self, dimensions: int, channels: int) -> None:
        super().__init__()
        quarter, half = channels // 4, channels // 2
        self.reduce = nn.ModuleList(
            _convolution(dimensions, channels, quarter, kernel=1) for _ in range(4)
        )
        self.dilated = nn.ModuleList(
            _convolution(dimensions, quarter, quarter, kernel=3, dilation=dilation)
            for dilation in (1, 2, 4, 8)
        )
        self.merge_near = _convolution(dimensions, half, half, kernel=1)
        self.merge_far = _convolution(dimensions, half, half, kernel=1)
        self.merge = _convolution(dimensions, channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, …) to the same shape."""
        reduced = [layer(x) for layer in self.reduce]  # four of (N, C/4, …)
        near, next_near, far, farthest = (
            layer(features) for layer, features in zip(self.dilated, reduced, strict=True)
        )
        first, second = reduced[0] + reduced[1], reduced[2] + reduced[3]
        near_merged = self.merge_near(torch.cat([near + first, next_near + first], dim=1))
        far_merged = self.merge_far(torch.cat([far + second, farthest + second], dim=1))
        return self.merge(torch.cat([near_merged, far_merged], dim=1))


class COVIDSegNet(nn.Module):
    """Encoder of four levels with FV blocks, PASPP at the bottom, decoder with skip connections.

    dimensions: 2 for slices, 3 for volumes. classes: 1 for the logit of infection. base_width: of
    the first level, a multiple of 4; it doubles with every level. Any size from 8 along each axis.
    """

    def __init__(
        self, dimensions: int = 2, in_channels: int = 1, *, classes: int = 1, base_width: int = 64
    ) -> None:
        super().__init__()
        if dimensions not in _LAYERS or base_width % 4:
            raise ValueError(f"no COVID-SegNet of {dimensions} dimensions and width {base_width}")
        _, transposed, _, pool = _LAYERS[dimensions]
        widths = [base_width * factor for factor in (1, 2, 4, 8)]
        self.stem = ResidualBlock(dimensions, in_channels, base_width)
        self.shrink = pool(2, ceil_mode=True)
        self.down = nn.ModuleList(
            nn.Sequential(
                FeatureVariation(dimensions, before), ResidualBlock(dimensions, before, after)
            )
            for before, after in pairwise(widths)
        )
        self.pyramid = ProgressivePyramid(dimensions, widths[-1])
        self.enlarge = nn.ModuleList(
            transposed(width, width // 2, kernel_size=2, stride=2) for width in widths[:0:-1]
        )
        self.up = nn.ModuleList(
            ResidualBlock(dimensions, width, width // 2) for width in widths[:0:-1]
        )
        self.head = _convolution(dimensions, base_width, classes, kernel=1)

    def forward(self, image: Tensor) -> PlainOutput:
        """Image (N, in_channels, [D,] H, W) to one side output (N, classes, [D,] H, W)."""
        levels = [self.stem(image)]
        for block in self.down:
            levels.append(block(self.shrink(levels[-1])))  # half the size, rounded up
        x = self.pyramid(levels.pop())
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            skip = levels.pop()
            x = enlarge(x)[(..., *(slice(size) for size in skip.shape[2:]))]
            x = block(torch.cat([skip, x], dim=1))
        return PlainOutput([self.head(x)])
