"""IRRCNN: whether a slice shows infection, without saying where.

Source: Alom et al., "COVID_MTNet", arXiv 2004.03747, with the blocks of Alom et al., "Breast Cancer
Classification from Histopathological Images with Inception Recurrent Residual Convolutional Neural
Network", J Digit Imaging 2019. The widths are ours; see docs/method.md.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.blocks import conv_block
from lungscore.networks.recurrent import RecurrentConvolution

#: Share of features that is switched off between blocks while training, as published.
DROPOUT = 0.5


class InceptionRecurrentUnit(nn.Module):
    """Three branches of recurrent convolution, side by side, and a shortcut.

    Kernels of 1 and of 3 pixels, and one of 1 after averaging over 3 x 3; the middle branch has
    half of the channels. channels: a multiple of 4.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        quarter, half = channels // 4, channels // 2
        self.point = RecurrentConvolution(in_channels, quarter, kernel=1)
        self.near = RecurrentConvolution(in_channels, half, kernel=3)
        self.smooth = RecurrentConvolution(in_channels, quarter, kernel=1)
        self.shortcut = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, channels, h, w)."""
        mean = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        branches = [self.point(x), self.near(x), self.smooth(mean)]
        return self.shortcut(x) + torch.cat(branches, dim=1)


class Transition(nn.Module):
    """Between two units: a convolution, half of the size, dropout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolve = conv_block(channels, channels, kernel=3)
        self.dropout = nn.Dropout2d(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, h, w) to (N, channels, h/2, w/2), rounded up."""
        x = functional.relu(self.convolve(x))
        return self.dropout(functional.max_pool2d(x, 2, ceil_mode=True))


class IRRCNN(nn.Module):
    """A stem, three inception units of base_width times 1, 2 and 4 channels, one logit.

    base_width: a multiple of 4. Images of any size from 32 x 32.
    """

    def __init__(self, in_channels: int = 1, *, base_width: int = 64) -> None:
        super().__init__()
        if base_width % 4:
            raise ValueError(f"no IRRCNN of width {base_width}: not a multiple of 4")
        half = base_width // 2
        self.stem = nn.Sequential(
            conv_block(in_channels, half, kernel=3, stride=2),
            nn.ReLU(),
            conv_block(half, half, kernel=3),
            nn.ReLU(),
            conv_block(half, base_width, kernel=3, stride=2),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            InceptionRecurrentUnit(base_width, base_width),
            Transition(base_width),
            InceptionRecurrentUnit(base_width, 2 * base_width),
            Transition(2 * base_width),
            InceptionRecurrentUnit(2 * base_width, 4 * base_width),
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(4 * base_width, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Normalised grey levels (N, in_channels, H, W) to the logit of infection (N,)."""
        features = self.blocks(self.stem(image)).mean((2, 3))
        logit: Tensor = self.head(self.dropout(features))[:, 0]
        return logit
