"""What a network with two answers learns by: Inf-Net's loss, and consolidation within infection."""

import torch
from torch import Tensor
from torch.nn import functional

from lungscore.learning.augmentation import edge_of
from lungscore.learning.losses import infection_loss
from lungscore.networks.output import InfNetOutput
from lungscore.networks.slim_inf_net import SlimOutput

#: Weight of the loss of consolidation against that of infection.
CONSOLIDATION = 1.0


def two_answers_loss(output: SlimOutput, infection: Tensor, consolidation: Tensor) -> Tensor:
    """L_total of Inf-Net over the maps of infection, plus the loss of consolidation.

    infection, consolidation (given infection): (N, 1, H, W) in 0…1. Consolidation is learned by
    cross-entropy where there is infection, and by one minus the soft Dice of GGO and of
    consolidation over the batch; the probability of infection is taken as it is there.
    """
    edge = edge_of((infection > 0.5).float())
    maps = InfNetOutput(output.side_outputs, output.edge)
    total = infection_loss(maps, infection, edge, recipe="default")
    logits = output.consolidation.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, consolidation, reduction="none")
    within = (infection * entropy).sum() / (infection.sum() + 1)
    predicted, dense = output.side_outputs[-1].float().sigmoid().detach(), logits.sigmoid()
    shortfall = [
        1
        - (2 * (predicted * share * infection * true).sum() + 1)
        / ((predicted * share + infection * true).sum() + 1)
        for share, true in ((dense, consolidation), (1 - dense, 1 - consolidation))
    ]
    return total + CONSOLIDATION * (within + torch.stack(shortfall).mean())
