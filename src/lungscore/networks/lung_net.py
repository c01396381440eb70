"""The network that finds lungs and airways in slices, with some slices above and below.

A small U-Net (Ronneberger et al., MICCAI 2015) whose encoder begins at half the size, so that most
of the work is done there; the last two convolutions see the slice itself again at its own size.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.blocks import resize_like

#: What it sees, the slice itself in the middle, and what it tells apart.
NEIGHBOURS = 7
CLASSES = ("background", "right", "left", "airways")
#: Channels at a half, a quarter, … of the size.
WIDTHS = (16, 32, 64, 112, 128)
#: Channels that bring the slice's own detail to the last convolutions, and of these.
DETAIL, LAST = 8, 12


class LungNet(nn.Module):
    """Logits of background, right lung, left lung and airways for the middle of seven slices.

    About 0.9 million parameters; 0.8 GFLOP (multiplications and additions) at 192 x 192. Images of
    any size from 32 x 32.
    """

    def __init__(self, *, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.detail = _convolution(3, DETAIL)
        self.stem = nn.Sequential(
            _convolution(NEIGHBOURS, widths[0], kernel=5, stride=2),
            _convolution(widths[0], widths[0]),
        )
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(before, after, stride=2), _convolution(after, after))
            for before, after in pairwise(widths)
        )
        self.narrow = nn.ModuleList(nn.Conv2d(below, above, 1) for above, below in pairwise(widths))
        self.up = nn.ModuleList(_convolution(2 * width, width) for width in widths[:-1])
        self.last = _convolution(widths[0] + DETAIL, LAST)
        self.head = nn.Conv2d(LAST, len(CLASSES), 1)

    def forward(self, slices: Tensor) -> Tensor:
        """Slices (N, 7, H, W) in 0…1, superior first, to logits (N, 4, H, W)."""
        middle = NEIGHBOURS // 2
        detail = self.detail(slices[:, middle - 1 : middle + 2])
        levels = [self.stem(slices)]
        for block in self.down:
            levels.append(block(levels[-1]))  # half the size
        x = levels.pop()  # (N, widths[-1], H/32, W/32)
        for narrow, block in zip(reversed(self.narrow), reversed(self.up), strict=True):
            skip = levels.pop()
            x = block(torch.cat([skip, resize_like(narrow(x), skip)], dim=1))
        x = torch.cat([resize_like(x, detail), detail], dim=1)
        return self.head(self.last(x))


class LungProbabilities(nn.Module):
    """The probabilities (N, 4, H, W) of CLASSES instead of logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: Tensor) -> Tensor:
        """Slices (N, 7, H, W) in 0…1 to probabilities (N, 4, H, W)."""
        return functional.softmax(self.network(slices), dim=1)


def _convolution(
    in_channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; the size divided by ``stride``, rounded up."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
