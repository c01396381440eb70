"""The small parts that Inf-Net is built from.

Source: Fan et al., "Inf-Net: Automatic COVID-19 Lung Infection Segmentation from CT Images",
IEEE TMI 2020, section III and figure 2, with the layer widths of the published network.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_block(
    in_channels: int,
    out_channels: int,
    *,
    kernel: int | tuple[int, int] = 1,
    dilation: int = 1,
    stride: int = 1,
) -> nn.Sequential:
    """Convolution without bias, then batch norm; no activation, "same" padding at stride 1."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (dilation * (height - 1) // 2, dilation * (width - 1) // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            (height, width),
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
    )


def resize_like(x: Tensor, reference: Tensor, *, align_corners: bool = False) -> Tensor:
    """Bilinear resize of (N, C, h, w) to the height and width of ``reference``.

    Sizes rather than scale factors, so that images of any size pass through the network.
    """
    return functional.interpolate(
        x, size=reference.shape[-2:], mode="bilinear", align_corners=align_corners
    )


class ReceptiveFieldBlock(nn.Module):
    """Reduces encoder features to few channels while looking near and far (four branches)."""

    def __init__(self, in_channels: int, out_channels: int = 32) -> None:
        super().__init__()
        self.near = conv_block(in_channels, out_channels)
        self.wider = nn.ModuleList(
            nn.Sequential(
                conv_block(in_channels, out_channels),
                conv_block(out_channels, out_channels, kernel=(1, size)),
                conv_block(out_channels, out_channels, kernel=(size, 1)),
                conv_block(out_channels, out_channels, kernel=3, dilation=size),
            )
            for size in (3, 5, 7)
        )
        self.merge = conv_block(4 * out_channels, out_channels, kernel=3)
        self.shortcut = conv_block(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) to (N, out_channels, h, w)."""
        branches = [self.near(x), *(branch(x) for branch in self.wider)]
        merged = self.merge(torch.cat(branches, dim=1))
        return functional.relu(merged + self.shortcut(x))


def not_infected(logits: Tensor) -> Tensor:
    """Probability (N, 1, h, w) that a pixel is not infected.

    From the logit of infection (N, 1, h, w), or from those of (N, classes, h, w) whose first is
    background.
    """
    if logits.shape[1] == 1:
        return 1 - torch.sigmoid(logits)
    return functional.softmax(logits, dim=1)[:, :1]


class PartialDecoder(nn.Module):
    """Fuses the three deep feature maps into one coarse map of the infection (S_g)."""

    def __init__(self, channels: int = 32, *, classes: int = 1) -> None:
        super().__init__()
        self.deep_to_middle = conv_block(channels, channels, kernel=3)
        self.deep_to_shallow = conv_block(channels, channels, kernel=3)
        self.middle_to_shallow = conv_block(channels, channels, kernel=3)
        self.deep_into_middle = conv_block(channels, channels, kernel=3)
        self.middle_into_shallow = conv_block(2 * channels, 2 * channels, kernel=3)
        self.merge_middle = conv_block(2 * channels, 2 * channels, kernel=3)
        self.merge_shallow = conv_block(3 * channels, 3 * channels, kernel=3)
        self.last = conv_block(3 * channels, 3 * channels, kernel=3)
        self.head = nn.Conv2d(3 * channels, classes, 1)

    def forward(self, deep: Tensor, middle: Tensor, shallow: Tensor) -> tuple[Tensor, Tensor]:
        """Reduced features, each (N, C, …), to logits (N, classes, h, w) of the shallow size and
        the fused features (N, 3 C, h, w) that they come from."""
        deep_up = resize_like(deep, middle, align_corners=True)
        deep_up_twice = resize_like(deep_up, shallow, align_corners=True)
        middle_up = resize_like(middle, shallow, align_corners=True)

        middle_gated = self.deep_to_middle(deep_up) * middle
        shallow_gated = (
            self.deep_to_shallow(deep_up_twice) * self.middle_to_shallow(middle_up) * shallow
        )
        merged = self.merge_middle(torch.cat([middle_gated, self.deep_into_middle(deep_up)], dim=1))
        merged_up = self.middle_into_shallow(resize_like(merged, shallow, align_corners=True))
        merged = self.merge_shallow(torch.cat([shallow_gated, merged_up], dim=1))
        fused = self.last(merged)
        return self.head(fused), fused


class EdgeAttention(nn.Module):
    """Edge features from the shallowest encoder stage, and the edge itself as logits."""

    def __init__(self, in_channels: int, channels: int = 64) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_block(in_channels, channels),
            conv_block(channels, channels, kernel=3),
            conv_block(channels, channels, kernel=3),
        )
        self.head = conv_block(channels, 1, kernel=3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in_channels, h, w) to features (N, channels, h, w) and logits (N, 1, h, w)."""
        features = self.features(x)
        return features, self.head(features)


class ReverseAttention(nn.Module):
    """Refines a coarse map by looking where it does *not* see infection yet.

    The published code attends the encoder features only and joins the edge features unattended;
    the paper's text attends both. The published numbers come from the code, so we follow it.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        edge_channels: int = 64,
        kernel: int = 3,
        hidden: int = 2,
        head_kernel: int = 3,
        classes: int = 1,
    ) -> None:
        super().__init__()
        self.reduce = conv_block(in_channels, channels)
        widths = [channels + edge_channels, *[channels] * hidden]
        self.refine = nn.ModuleList(
            conv_block(before, after, kernel=kernel) for before, after in pairwise(widths)
        )
        self.head = conv_block(channels, classes, kernel=head_kernel)

    def forward(self, features: Tensor, edge_features: Tensor, coarser: Tensor) -> Tensor:
        """Features (N, C, h, w), edge features, coarser logits to logits (N, classes, h, w)."""
        coarser = resize_like(coarser, features)
        x = self.reduce(not_infected(coarser) * features)
        x = torch.cat([x, resize_like(edge_features, features)], dim=1)
        for block in self.refine:
            x = functional.relu(block(x))
        return self.head(x) + coarser
