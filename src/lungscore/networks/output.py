"""What every segmentation network returns, so that one training loop serves all."""

from typing import NamedTuple

from torch import Tensor


class InfNetOutput(NamedTuple):
    """side_outputs: logits S_g, S_5, S_4, S_3 (N, classes, H, W), and one finer where the network
    has it, coarse to fine, of which the last is the prediction; edge: logits (N, 1, H, W).
    """

    side_outputs: list[Tensor]
    edge: Tensor


class PlainOutput(NamedTuple):
    """The output of a network without deep supervision: one side output, and no edge."""

    side_outputs: list[Tensor]
    edge: None = None


NetworkOutput = InfNetOutput | PlainOutput
