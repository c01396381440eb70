"""Inf-Net made small, if wanted with a second answer: how much of the infection is consolidation.

The published heads are made for a ResNet-50 and cost more than a small encoder does. Here they have
half of their width, the deepest refinement works on 3 × 3, and there is a finer stage (see
``quarter_stage``). It says of every pixel the logit of infection, which refines the coarser maps,
and, of a network with two answers, the logit of consolidation given that the pixel is infected,
which begins as a threshold on density.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lungscore.networks.blocks import (
    EdgeAttention,
    PartialDecoder,
    ReceptiveFieldBlock,
    ReverseAttention,
    resize_like,
)
from lungscore.networks.encoders import ENCODERS
from lungscore.networks.lesion_inf_net import DensitySplit
from lungscore.networks.output import InfNetOutput
from lungscore.networks.probabilities import normalise
from lungscore.networks.quarter_stage import FinerStage

#: Channels of the reduced deep features, of the edge's, of the refinements and the finer stage.
REDUCED, EDGE, REFINED, FINER = 24, 32, 48, 48


class SlimOutput(NamedTuple):
    """side_outputs: logits of infection (N, 1, H, W), coarse to fine, the last is the prediction.
    edge: logits of its border. consolidation: logits given infection. All (N, 1, H, W)."""

    side_outputs: list[Tensor]
    edge: Tensor
    consolidation: Tensor


class SlimInfNet(nn.Module):
    """Infection, and consolidation where there is infection. Images of any size from 32 x 32.

    encoder: a name in ENCODERS. consolidation: whether the network has this second answer.
    """

    def __init__(self, encoder: str = "efficientnet-lite0", *, consolidation: bool = True) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](1)
        edge, shallow, middle, deep = self.encoder.channels
        self.reduce_shallow = ReceptiveFieldBlock(shallow, REDUCED)
        self.reduce_middle = ReceptiveFieldBlock(middle, REDUCED)
        self.reduce_deep = ReceptiveFieldBlock(deep, REDUCED)
        self.partial_decoder = PartialDecoder(REDUCED)
        self.edge_attention = EdgeAttention(edge, EDGE)
        self.refine_deep = ReverseAttention(deep, REFINED, edge_channels=EDGE)
        self.refine_middle = ReverseAttention(middle, REFINED, edge_channels=EDGE)
        self.refine_shallow = ReverseAttention(shallow, REFINED, edge_channels=EDGE)
        self.finer = FinerStage(
            1,
            edge_channels=EDGE,
            fused=3 * REDUCED,
            hidden=FINER,
            classes=2 if consolidation else 1,
        )
        self.density = DensitySplit() if consolidation else None

    def forward(self, image: Tensor) -> SlimOutput | InfNetOutput:
        """Normalised grey levels (N, 1, H, W) to logits of the image's size."""
        edge_input, shallow, middle, deep = self.encoder(image)
        coarse, fused = self.partial_decoder(
            self.reduce_deep(deep), self.reduce_middle(middle), self.reduce_shallow(shallow)
        )
        edge_features, edge = self.edge_attention(edge_input)
        at_deep = self.refine_deep(deep, edge_features, coarse)
        at_middle = self.refine_middle(middle, edge_features, at_deep)
        at_shallow = self.refine_shallow(shallow, edge_features, at_middle)
        coarser = at_shallow
        if self.density is not None:
            # Nothing coarser speaks of consolidation: the finer stage adds it to zeros.
            coarser = torch.cat([at_shallow, torch.zeros_like(at_shallow)], dim=1)
        finest = self.finer(image, edge_features, fused, coarser)
        maps = [coarse, at_deep, at_middle, at_shallow, finest[:, :1]]
        side_outputs = [resize_like(logits, image) for logits in maps]
        if self.density is None:
            return InfNetOutput(side_outputs, resize_like(edge, image))
        consolidation = finest[:, 1:] + self.density(image)
        return SlimOutput(side_outputs, resize_like(edge, image), consolidation)


class InfectionAndConsolidation(nn.Module):
    """As inference needs it: grey 0…1 (N, 1, H, W) to probabilities (N, 2, H, W).

    The first channel is the probability of infection, the second that of consolidation given
    infection; they need not sum to one.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor) -> Tensor:
        """Sigmoids of the finest map and of the logit of consolidation."""
        output: SlimOutput = self.network(normalise(grey))
        return torch.cat([output.side_outputs[-1], output.consolidation], dim=1).sigmoid()
