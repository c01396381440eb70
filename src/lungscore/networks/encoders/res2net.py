"""Res2Net-50 v1b, 26 channels wide, 4 scales; module names are those of its public weights.

Source: Gao et al., "Res2Net: A New Multi-scale Backbone Architecture", IEEE TPAMI 2021. v1b: three
3x3 convolutions as a stem, and shortcuts that average before they project.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.encoders.resnet import ResidualEncoder

#: Into how many groups a block splits its channels.
SCALES = 4


class Res2Block(nn.Module):
    """A bottleneck whose 3x3 convolution is a cascade over groups of channels.

    Each of the first three groups is convolved after the result of the one before was added, so
    later groups see farther; the last passes as it is. The first block of a stage, known by its
    change of width, adds nothing: there the groups are made smaller, the last one by averaging.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        width = channels // 4 * 26 // 64
        convolved = SCALES - 1
        self.width = width
        self.conv1 = nn.Conv2d(in_channels, SCALES * width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(SCALES * width)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False) for _ in range(convolved)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(convolved))
        self.conv3 = nn.Conv2d(SCALES * width, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.pool: nn.Module | None = None
        self.downsample: nn.Module | None = None
        if in_channels != channels:
            self.pool = nn.AvgPool2d(3, stride, padding=1)
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
                nn.Conv2d(in_channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h/stride, w/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))  # (N, 4 width, h, w)
        *convolved, last = torch.split(x, self.width, dim=1)
        groups: list[Tensor] = []
        for group, conv, norm in zip(convolved, self.convs, self.bns, strict=True):
            if self.pool is None and groups:
                group = group + groups[-1]
            groups.append(functional.relu(norm(conv(group))))
        groups.append(last if self.pool is None else self.pool(last))
        x = torch.cat(groups, dim=1)  # (N, 4 width, h/stride, w/stride)
        return functional.relu(self.bn3(self.conv3(x)) + shortcut)


class Res2Net50(ResidualEncoder):
    """Three, four, six and three blocks, as ResNet-50."""

    channels = (256, 512, 1024, 2048)
    block = Res2Block
    blocks = (3, 4, 6, 3)

    @staticmethod
    def make_stem(in_channels: int) -> nn.Module:
        """Three 3x3 convolutions instead of one 7x7."""
        return nn.Sequential(
            nn.Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1, bias=False),
        )
