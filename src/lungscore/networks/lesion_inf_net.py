"""Inf-Net for GGO and consolidation: the slice and a prior of the infection in, classes out.

The published multi-class stage is a plain U-Net (``MultiInfNet``). This one is Inf-Net again, so
that it starts from what the network for infection has learned.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lungscore.networks.inf_net import InfNet

#: Channels of the logits.
BACKGROUND, GGO, CONSOLIDATION = range(3)


class LesionInfNet(InfNet):
    """Inf-Net on two channels, grey and prior (see ``lesion_input``), with three classes.

    Every side output holds logits (N, 3, H, W) of background, GGO and consolidation. Reverse
    attention looks where background is likely; the edge is that of the infection.
    """

    def __init__(self, encoder: str = "resnet18") -> None:
        super().__init__(encoder, in_channels=2, classes=3)

    def start_from_infection(self, weights: Mapping[str, Tensor]) -> None:
        """Take over the state dict of a trained ``InfNet`` with the same encoder, for grey slices.

        The network then finds infection exactly as the single one does, at every side output and
        whatever the prior, and holds GGO and consolidation for equally likely:

        - the first convolution sees the prior through weights of zero;
        - of a head's logit s, background gets -s/2 and both lesions s/2, and the coarsest head
          takes ln 2 off the lesions, so that P(GGO) + P(consolidation) = sigmoid(s). Attention,
          which depends on that sum alone, is therefore the same too.

        Raises RuntimeError where the weights are those of another network.
        """
        first = _first_convolution(self)
        self.load_state_dict(
            {name: _widened(name, value, first=first) for name, value in weights.items()}
        )


#: What becomes of the single network's logit in background, GGO and consolidation.
_SHARE = torch.tensor([-0.5, 0.5, 0.5])


def _widened(name: str, value: Tensor, *, first: str) -> Tensor:
    """A tensor of the single network as the network of three classes needs it."""
    if name == first:
        return torch.cat([value, torch.zeros_like(value)], dim=1)
    part, _, rest = name.partition(".head.")
    if not rest or part == "edge_attention" or value.ndim == 0:
        return value
    share = _SHARE.to(value).reshape(-1, *[1] * (value.ndim - 1))
    if part == "partial_decoder":  # a convolution with bias
        shift = torch.tensor([0.0, math.log(2), math.log(2)]).to(value)
        return share * value if rest == "weight" else share * value - shift
    # A convolution, then batch norm: the norm's scale and shift carry the shares.
    if rest in ("1.weight", "1.bias"):
        return share * value
    return value.repeat(3, *[1] * (value.ndim - 1))


def _first_convolution(network: InfNet) -> str:
    """The name of the weights that see the image."""
    for name, module in network.encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            return f"encoder.{name}.weight"
    raise TypeError("the encoder has no convolution")
