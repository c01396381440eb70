"""Rotation prediction: by how many quarters was the slice turned?

Source: Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", ICLR
2018: four classes, the four turns of an image in one batch, cross-entropy.
"""

from typing import ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.learning.pretexts.pretext import Pretext
from lungscore.networks.encoders import Encoder

TURNS = 4


class TurnClassifier(nn.Module):
    """An encoder, the mean of its deepest features, and one linear layer."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.channels[-1], TURNS)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, H, W) to logits (N, 4)."""
        logits: Tensor = self.head(self.encoder(image)[-1].mean((2, 3)))
        return logits


class Rotation(Pretext):
    """The encoder learns; the decoder of the network stays as it was."""

    copies: ClassVar[int] = TURNS
    figure: ClassVar[str] = "accuracy"

    def make_learner(self, network: nn.Module) -> nn.Module:
        """The encoder with a classifier."""
        return TurnClassifier(network.encoder)  # type: ignore[arg-type]

    def loss(
        self, fabric: Fabric, learner: nn.Module, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, float]:
        """Cross-entropy of all turns of every slice, and the share that was named right."""
        image = square(self.images(fabric, indices, rng), rng)
        logits = learner(all_turns(image)).float()
        turns = torch.arange(TURNS, device=image.device).repeat_interleave(len(image))
        right = (logits.argmax(1) == turns).float().mean()
        return functional.cross_entropy(logits, turns), right.item()


def square(image: Tensor, rng: np.random.Generator) -> Tensor:
    """A square of the full shorter side (N, C, s, s): the shape must not tell the turn."""
    height, width = image.shape[-2:]
    side = min(height, width)
    row, column = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    return image[..., row : row + side, column : column + side]


def all_turns(image: Tensor) -> Tensor:
    """(N, C, s, s) to (4 N, C, s, s): all slices as they are, then all turned once, and so on."""
    return torch.cat([torch.rot90(image, turn, (2, 3)) for turn in range(TURNS)])
