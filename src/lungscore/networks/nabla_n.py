"""NABLA-N: one encoder of recurrent residual units, several decoders from different depths.

Source: Alom et al., "COVID_MTNet", arXiv 2004.03747, which takes it from Alom et al., "Skin Cancer
Segmentation and Classification with NABLA-N", arXiv 1904.11126. What we did not find in them is
decided here and said in docs/method.md; it is not an exact copy.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.blocks import resize_like
from lungscore.networks.output import PlainOutput
from lungscore.networks.recurrent import RecurrentResidualUnit


class NablaN(nn.Module):
    """Five levels of base_width times 1, 2, 4, 8 and 16 channels, and N decoders.

    decoders: N; the first starts from the deepest level, each further one a level above. On its way
    up a decoder takes the encoder's features of every level, and those which the decoder before it
    made there. classes: 1 for the logit of infection. Images of any size from 16 x 16.
    """

    def __init__(
        self, in_channels: int = 1, classes: int = 1, *, base_width: int = 64, decoders: int = 3
    ) -> None:
        super().__init__()
        widths = [base_width * factor for factor in (1, 2, 4, 8, 16)]
        if not 1 <= decoders < len(widths):
            raise ValueError(f"{decoders} decoders for {len(widths)} levels")
        self.encode = nn.ModuleList(
            RecurrentResidualUnit(before, after)
            for before, after in pairwise([in_channels, *widths])
        )
        self.decoders = nn.ModuleList(
            nn.ModuleList(
                # From below, from the encoder and, where there is one, from the decoder before.
                RecurrentResidualUnit(below + own * (1 if index == 0 else 2), own)
                for own, below in reversed(list(pairwise(widths[: len(widths) - index])))
            )
            for index in range(decoders)
        )
        self.head = nn.Conv2d(decoders * base_width, classes, 1)

    def forward(self, image: Tensor) -> PlainOutput:
        """Image (N, in_channels, H, W) to one side output (N, classes, H, W)."""
        levels: list[Tensor] = []
        for unit in self.encode:
            levels.append(unit(functional.max_pool2d(levels[-1], 2) if levels else image))
        before: list[Tensor] = []  # the features of the decoder before, from its start upwards
        ends = []
        for units in cast(Iterable[nn.ModuleList], self.decoders):
            own = [levels[len(units)]]
            for step, unit in enumerate(units, start=1):
                skip = levels[len(units) - step]
                joined = [skip, resize_like(own[-1], skip, align_corners=True)]
                if before:  # it started one level lower
                    joined.append(before[step + 1])
                own.append(unit(torch.cat(joined, dim=1)))
            ends.append(own[-1])
            before = own
        return PlainOutput([self.head(torch.cat(ends, dim=1))])
