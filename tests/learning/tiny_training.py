"""What the tests of learning share: a small encoder and synthetic slices."""

import numpy as np
from torch import nn

from lungscore.datasets.sample import Sample
from lungscore.learning.config import AugmentationConfig, ExperimentConfig
from lungscore.networks.encoders import BasicBlock, Encoder

#: Every augmentation switched off.
NO_AUGMENTATION = AugmentationConfig(**dict.fromkeys(AugmentationConfig.model_fields, 0.0))


class TinyEncoder(Encoder):
    """Four blocks of few channels, so that training and checkpoints are quick."""

    channels = (8, 8, 16, 16)

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        widths = zip((8, *self.channels), self.channels, strict=False)
        self.blocks = nn.ModuleList(BasicBlock(a, b, stride=2) for a, b in widths)

    def forward(self, x):
        x, features = self.bn1(self.conv1(x)).relu(), []
        for block in self.blocks:
            features.append(x := block(x))
        return features


def experiment(encoder: str = "tiny", **training) -> ExperimentConfig:
    """An experiment at 64 x 64, in float32 so that it repeats exactly."""
    return ExperimentConfig.model_validate(
        {
            "name": "test",
            "network": {"encoder": encoder},
            "input": {"height": 64, "width": 64},
            "data": {"healthy": "anywhere"},
            "training": {
                "epochs": 3,
                "slices_per_epoch": 4,
                "batch_size": 2,
                "precision": "32-true",
                **training,
            },
        }
    )


def slices(count: int = 2, *, infected: bool = True, size: tuple[int, int] = (70, 90)) -> list:
    """Dark slices with noise, and a bright square of infection that moves from one to the next."""
    samples = []
    for index in range(count):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 60, size).astype(np.uint8)
        mask = np.zeros(size, bool)
        if infected:
            mask[20 : 45 + index, 15 + 20 * index : 45 + 20 * index] = True
        image[mask] += 150
        samples.append(Sample(image, mask, f"slice-{index}", "synthetic"))
    return samples
