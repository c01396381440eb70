"""U-Net, and the published multi-class stage that is one.

Source: Ronneberger et al., MICCAI 2015, in the form with batch norm and bilinear upsampling that
Inf-Net's multi-class stage uses.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.blocks import resize_like
from lungscore.networks.output import PlainOutput


def double_convolution(in_channels: int, middle: int, out_channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with bias, each followed by batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, middle, 3, padding=1),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class UNet(nn.Module):
    """Four levels down and up, of base_width times 1, 2, 4, 8 and 8 channels.

    classes: 1 for the logit of infection. Images of any size from 16 x 16.
    """

    def __init__(self, in_channels: int = 1, classes: int = 1, *, base_width: int = 64) -> None:
        super().__init__()
        widths = [base_width * factor for factor in (1, 2, 4, 8, 8)]
        self.stem = double_convolution(in_channels, base_width, base_width)
        self.down = nn.ModuleList(
            double_convolution(before, after, after) for before, after in pairwise(widths)
        )
        # Each level up takes what came from below and its own skip connection, and leaves as many
        # channels as the level above has.
        self.up = nn.ModuleList(
            double_convolution(2 * width, width, above)
            for width, above in zip(widths[3::-1], [*widths[2::-1], base_width], strict=True)
        )
        self.head = nn.Conv2d(base_width, classes, 1)

    def forward(self, image: Tensor) -> PlainOutput:
        """Image (N, in_channels, H, W) to one side output (N, classes, H, W)."""
        levels = [self.stem(image)]
        for block in self.down:
            levels.append(block(functional.max_pool2d(levels[-1], 2)))  # half the size
        x = levels.pop()  # (N, 8 base_width, H/16, W/16)
        for block in self.up:
            skip = levels.pop()
            x = block(torch.cat([skip, resize_like(x, skip, align_corners=True)], dim=1))
        return PlainOutput([self.head(x)])


class MultiInfNet(UNet):
    """The published multi-class stage: background, GGO and consolidation from slice and prior.

    Takes two channels, grey and prior (see ``lesion_input``), and shows each to the U-Net three
    times, as the published code does with its grey pictures in colour.
    """

    def __init__(self, *, base_width: int = 64) -> None:
        super().__init__(6, 3, base_width=base_width)

    def forward(self, image: Tensor) -> PlainOutput:
        """(N, 2, H, W) to one side output (N, 3, H, W)."""
        return super().forward(image.repeat_interleave(3, dim=1))
