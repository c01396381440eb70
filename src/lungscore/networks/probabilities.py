"""Networks as inference needs them: grey levels in, probabilities out.

Probabilities are never stretched to the image's own range, as the published test code does: that
gives every healthy slice a lesion.
"""

import torch
from torch import Tensor, nn

#: ImageNet's mean and deviation of luminance, so that ImageNet weights see what they know.
GREY_MEAN, GREY_DEVIATION = 0.449, 0.226


def normalise(grey: Tensor) -> Tensor:
    """Grey levels 0…1 as the network expects them."""
    return (grey - GREY_MEAN) / GREY_DEVIATION


class InfectionProbability(nn.Module):
    """A single-class network: grey 0…1 (N, 1, H, W) to probability of infection, same shape.

    temperature: divides the logits; fitted, it makes the probabilities mean what they say.
    """

    def __init__(self, network: nn.Module, temperature: float = 1.0) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, grey: Tensor) -> Tensor:
        """Sigmoid of the finest side output."""
        logits = self.network(normalise(grey)).side_outputs[-1]
        return tempered(logits, self.temperature).sigmoid()


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """``logits`` divided by ``temperature``, and untouched at 1."""
    return logits if temperature == 1 else logits / temperature


class LesionProbabilities(nn.Module):
    """A multi-class network: grey 0…1 and prior, the probability of infection, both (N, 1, H, W),
    to probabilities of background, GGO and consolidation (N, 3, H, W) that sum to one.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor, prior: Tensor) -> Tensor:
        """Softmax of the finest side output."""
        return self.network(lesion_input(grey, prior)).side_outputs[-1].softmax(dim=1)


def lesion_input(grey: Tensor, prior: Tensor) -> Tensor:
    """What multi-class networks take, (N, 2, H, W): normalised grey levels, and the prior 0…1."""
    return torch.cat([normalise(grey), prior], dim=1)
