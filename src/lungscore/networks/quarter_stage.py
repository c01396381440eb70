"""A finer stage for Inf-Net, which the published network lacks.

Inf-Net's finest map is an eighth of the slice: however well it is trained, the border it draws is
that coarse. One more stage works at a quarter and gives every pixel of the slice its own logit, as
channels that are laid out as pixels (sub-pixel convolution; Shi et al., CVPR 2016). It sees its
features unattended, since a finer map must be able to take away as well as to add.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.blocks import conv_block, resize_like

#: The side of the square of pixels that each place of the stage stands for.
PIXELS = 4


class FinerStage(nn.Module):
    """Refines Inf-Net's finest map to every pixel, from the slice itself, the edge features and
    the fused features of the partial decoder.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        edge_channels: int = 64,
        fused: int = 96,
        hidden: int = 64,
        classes: int = 1,
    ) -> None:
        super().__init__()
        self.detail = conv_block(in_channels, 32, kernel=7, stride=PIXELS)
        self.carry = conv_block(fused, 32)
        self.refine = nn.ModuleList(
            [
                conv_block(64 + edge_channels, hidden, kernel=3),
                conv_block(hidden, hidden, kernel=3),
            ]
        )
        self.head = nn.Sequential(
            nn.Conv2d(hidden, classes * PIXELS**2, 3, padding=1), nn.PixelShuffle(PIXELS)
        )

    def forward(
        self, image: Tensor, edge_features: Tensor, fused: Tensor, coarser: Tensor
    ) -> Tensor:
        """Image (N, in_channels, H, W), edge features (N, edge_channels, …), fused features
        (N, fused, …) and coarser logits (N, classes, …) to logits (N, classes, H, W).
        """
        detail = functional.relu(self.detail(image))  # (N, 32, H/4, W/4), rounded up
        context = [resize_like(x, detail) for x in (self.carry(fused), edge_features)]
        x = torch.cat([detail, *context], dim=1)
        for block in self.refine:
            x = functional.relu(block(x))
        # Where a side is no multiple of four, the last place stands for pixels beyond the slice.
        logits = self.head(x)[..., : image.shape[-2], : image.shape[-1]]
        return logits + resize_like(coarser, logits)
