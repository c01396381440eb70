"""Inf-Net: encoder, parallel partial decoder, edge attention, three reverse-attention stages.

Source: Fan et al., IEEE TMI 2020, figure 2.
"""

from typing import NamedTuple

from torch import Tensor, nn

from lungscore.networks.blocks import (
    EdgeAttention,
    PartialDecoder,
    ReceptiveFieldBlock,
    ReverseAttention,
    resize_like,
)
from lungscore.networks.encoders import ENCODERS


class InfNetOutput(NamedTuple):
    """side_outputs: logits S_g, S_5, S_4, S_3, coarse to fine, and edge: logits; all (N, 1, H, W).

    The prediction is the sigmoid of the last side output.
    """

    side_outputs: list[Tensor]
    edge: Tensor


class InfNet(nn.Module):
    """Binary infection segmentation.

    encoder: a name in ENCODERS. in_channels: 1 for grey slices. Images of any size from 32 x 32.
    """

    def __init__(self, encoder: str = "resnet18", *, in_channels: int = 1) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](in_channels)
        edge, shallow, middle, deep = self.encoder.channels
        self.reduce_shallow = ReceptiveFieldBlock(shallow)
        self.reduce_middle = ReceptiveFieldBlock(middle)
        self.reduce_deep = ReceptiveFieldBlock(deep)
        self.partial_decoder = PartialDecoder()
        self.edge_attention = EdgeAttention(edge)
        self.refine_deep = ReverseAttention(deep, 256, kernel=5, hidden=3, head_kernel=1)
        self.refine_middle = ReverseAttention(middle, 64)
        self.refine_shallow = ReverseAttention(shallow, 64)

    def forward(self, image: Tensor) -> InfNetOutput:
        """Image (N, in_channels, H, W) to InfNetOutput with logits at the image's size."""
        edge_input, shallow, middle, deep = self.encoder(image)
        coarse = self.partial_decoder(
            self.reduce_deep(deep), self.reduce_middle(middle), self.reduce_shallow(shallow)
        )  # (N, 1, H/8, W/8), the paper's S_g
        edge_features, edge = self.edge_attention(edge_input)
        at_deep = self.refine_deep(deep, edge_features, coarse)  # (N, 1, H/32, W/32), S_5
        at_middle = self.refine_middle(middle, edge_features, at_deep)  # (N, 1, H/16, W/16), S_4
        at_shallow = self.refine_shallow(shallow, edge_features, at_middle)  # (N, 1, H/8, W/8), S_3
        side_outputs = [
            resize_like(logits, image) for logits in (coarse, at_deep, at_middle, at_shallow)
        ]
        return InfNetOutput(side_outputs, resize_like(edge, image))


#: ImageNet's mean and deviation of luminance, so that ImageNet weights see what they know.
GREY_MEAN, GREY_DEVIATION = 0.449, 0.226


def normalise(grey: Tensor) -> Tensor:
    """Grey levels 0…1 as the network expects them."""
    return (grey - GREY_MEAN) / GREY_DEVIATION


class InfectionProbability(nn.Module):
    """Inf-Net as inference needs it: grey 0…1 (N, 1, H, W) to probability of infection, same shape.

    The probability is never stretched to the image's own range, as the published test code does:
    that gives every healthy slice a lesion.
    """

    def __init__(self, network: InfNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor) -> Tensor:
        """Sigmoid of the finest side output."""
        return self.network(normalise(grey)).side_outputs[-1].sigmoid()
