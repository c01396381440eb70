"""Inf-Net: encoder, parallel partial decoder, edge attention, three reverse-attention stages.

Source: Fan et al., IEEE TMI 2020, figure 2.
"""

from torch import Tensor, nn

from lungscore.networks.blocks import (
    EdgeAttention,
    PartialDecoder,
    ReceptiveFieldBlock,
    ReverseAttention,
    resize_like,
)
from lungscore.networks.encoders import ENCODERS
from lungscore.networks.output import InfNetOutput
from lungscore.networks.quarter_stage import FinerStage


class InfNet(nn.Module):
    """Segmentation of infection.

    encoder: a name in ENCODERS. in_channels: 1 for grey slices. classes: 1 for the logit of
    infection, more for classes of which the first is background. finer: one more stage than the
    published network has (see ``finer``). Images of any size from 32 x 32.
    """

    def __init__(
        self,
        encoder: str = "resnet18",
        *,
        in_channels: int = 1,
        classes: int = 1,
        finer: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](in_channels)
        edge, shallow, middle, deep = self.encoder.channels
        self.reduce_shallow = ReceptiveFieldBlock(shallow)
        self.reduce_middle = ReceptiveFieldBlock(middle)
        self.reduce_deep = ReceptiveFieldBlock(deep)
        self.partial_decoder = PartialDecoder(classes=classes)
        self.edge_attention = EdgeAttention(edge)
        self.refine_deep = ReverseAttention(
            deep, 256, kernel=5, hidden=3, head_kernel=1, classes=classes
        )
        self.refine_middle = ReverseAttention(middle, 64, classes=classes)
        self.refine_shallow = ReverseAttention(shallow, 64, classes=classes)
        self.finer = FinerStage(in_channels, classes=classes) if finer else None

    def forward(self, image: Tensor) -> InfNetOutput:
        """Image (N, in_channels, H, W) to InfNetOutput with logits at the image's size."""
        edge_input, shallow, middle, deep = self.encoder(image)  # e.g. 1/4, 1/8, 1/16, 1/32
        coarse, fused = self.partial_decoder(
            self.reduce_deep(deep), self.reduce_middle(middle), self.reduce_shallow(shallow)
        )  # the size of shallow, the paper's S_g
        edge_features, edge = self.edge_attention(edge_input)
        at_deep = self.refine_deep(deep, edge_features, coarse)  # the size of deep, S_5
        at_middle = self.refine_middle(middle, edge_features, at_deep)  # S_4
        at_shallow = self.refine_shallow(shallow, edge_features, at_middle)  # S_3
        maps = [coarse, at_deep, at_middle, at_shallow]
        if self.finer is not None:
            maps.append(self.finer(image, edge_features, fused, at_shallow))
        side_outputs = [resize_like(logits, image) for logits in maps]
        return InfNetOutput(side_outputs, resize_like(edge, image))
