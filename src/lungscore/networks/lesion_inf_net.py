"""Inf-Net for GGO and consolidation: the slice and a prior of the infection in, classes out.

The published multi-class stage is a plain U-Net (``MultiInfNet``). This one is Inf-Net again, so
that it starts from what the network for infection has learned.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from lungscore.networks.inf_net import InfNet
from lungscore.networks.output import InfNetOutput
from lungscore.networks.probabilities import GREY_DEVIATION, GREY_MEAN

#: Channels of the logits.
BACKGROUND, GGO, CONSOLIDATION = range(3)


#: Grey level, of 255, at which density alone holds both lesions for equally likely before any
#: training, and by how much 20 grey levels more speak for consolidation (as a logit).
DENSE_GREY, LOGIT_OF_20_LEVELS = 145, 1.0


def _mean(grey: Tensor, side: int) -> Tensor:
    """Mean over ``side`` × ``side`` pixels, fewer at the border; one axis after the other."""
    down = functional.avg_pool2d(
        grey, (side, 1), stride=1, padding=(side // 2, 0), count_include_pad=False
    )
    return functional.avg_pool2d(
        down, (1, side), stride=1, padding=(0, side // 2), count_include_pad=False
    )


class DensitySplit(nn.Module):
    """How much the density of a pixel and its surroundings speaks for consolidation.

    The side outputs are an eighth as fine as the slice; consolidation is often smaller, and denser
    than GGO. This looks at every pixel: at its grey level, and at the means of 5 × 5 and 15 × 15.
    It begins as a threshold on the mean of 5 × 5.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(3, 1, 1)
        slope = LOGIT_OF_20_LEVELS * 255 * GREY_DEVIATION / 20
        with torch.no_grad():
            self.weigh.weight.copy_(torch.tensor([0, slope, 0]).view(1, 3, 1, 1))
            middle = (DENSE_GREY / 255 - GREY_MEAN) / GREY_DEVIATION
            self.weigh.bias.copy_(torch.tensor([-slope * middle]))  # type: ignore[union-attr]

    def forward(self, grey: Tensor) -> Tensor:
        """Normalised grey levels (N, 1, H, W) to a logit of consolidation against GGO, same size.

        The grey levels are those of the network's input window.
        """
        return self.weigh(torch.cat([grey, _mean(grey, 5), _mean(grey, 15)], dim=1))


class LesionInfNet(InfNet):
    """Inf-Net on two channels, grey and prior (see ``lesion_input``), with three classes.

    Every side output holds logits (N, 3, H, W) of background, GGO and consolidation, the last two
    separated with the help of DensitySplit. Reverse attention looks where background is likely;
    the edge is that of the infection.
    """

    def __init__(self, encoder: str = "resnet18", *, finer: bool = False) -> None:
        super().__init__(encoder, in_channels=2, classes=3, finer=finer)
        self.density = DensitySplit()

    def forward(self, image: Tensor) -> InfNetOutput:
        """lesion_input (N, 2, H, W) to InfNetOutput with three classes of logits."""
        output = super().forward(image)
        if output.side_outputs[0].shape[1] != 3:  # inpainting heads: the output is a picture
            return output
        dense = self.density(image[:, :1])
        return InfNetOutput([_split(logits, dense) for logits in output.side_outputs], output.edge)

    def start_from_infection(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the state dict of a trained ``InfNet`` with the same encoder, for grey slices.

        The network then finds infection exactly as the single one does, at every side output and
        whatever the prior, and tells GGO from consolidation by density alone:

        - the convolutions that see the slice see the prior through weights of zero;
        - of a head's logit s, background gets -s/2 and both lesions s/2, and the coarsest head
          takes ln 2 off the lesions, so that P(GGO) + P(consolidation) = sigmoid(s). Attention,
          which depends on that sum alone, is therefore the same too, and so is what DensitySplit
          leaves of it.

        Raises RuntimeError where the weights are those of another network.
        """
        first = {_first_convolution(self), "finer.detail.0.weight"}
        known = {name: _widened(name, value, first=first) for name, value in weights.items()}
        own = {f"density.{name}": value for name, value in self.density.state_dict().items()}
        self.load_state_dict(known | own)


def _split(logits: Tensor, dense: Tensor) -> Tensor:
    """``logits`` (N, 3, H, W) with ``dense`` added to consolidation against GGO; the probability of
    background stays as it is."""
    background, ggo, consolidation = logits.split(1, dim=1)
    lesion = torch.logaddexp(ggo, consolidation)
    against = consolidation - ggo + dense
    return torch.cat(
        [
            background,
            lesion + functional.logsigmoid(-against),
            lesion + functional.logsigmoid(against),
        ],
        dim=1,
    )


#: What becomes of the single network's logit in background, GGO and consolidation.
_SHARES = (-0.5, 0.5, 0.5)

#: What the coarsest head takes off them.
_SHIFT = (0.0, math.log(2), math.log(2))


def _widened(name: str, value: Tensor, *, first: set[str]) -> Tensor:
    """A tensor of the single network as the network of three classes needs it."""
    if name in first:
        return torch.cat([value, torch.zeros_like(value)], dim=1)
    module, _, rest = name.partition(".head.")
    if not rest or module == "edge_attention" or value.ndim == 0:
        return value
    shared = torch.cat([share * value for share in _SHARES])
    if module == "partial_decoder":  # a convolution with bias
        return shared if rest == "weight" else shared - torch.tensor(_SHIFT).to(value)
    # A convolution, then batch norm, whose scale and shift carry the shares. The finer stage's head
    # is a convolution alone.
    if rest in ("1.weight", "1.bias") or module == "finer":
        return shared
    return value.repeat(3, *[1] * (value.ndim - 1))


def _first_convolution(network: InfNet) -> str:
    """The name of the weights that see the image."""
    for name, module in network.encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"encoder.{name}.weight"
    raise TypeError("the encoder has no convolution")
