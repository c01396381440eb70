"""What the tests of learning share: a small encoder, small experiments and synthetic slices."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lungscore.datasets.sample import Sample
from lungscore.learning.config import AugmentationConfig, ExperimentConfig
from lungscore.networks.encoders import BasicBlock, Encoder

#: Every augmentation switched off.
NO_AUGMENTATION = AugmentationConfig(**dict.fromkeys(AugmentationConfig.model_fields, 0.0))

#: The quickest network, which needs no encoder.
U_NET = {"name": "u-net", "encoder": "resnet18", "base_width": 4}


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


def experiment(encoder: str = "tiny", **changes: Any) -> ExperimentConfig:
    """An experiment at 64 x 64, in float32 so that it repeats exactly.

    changes: sections or keys at the top by their name, and keys of the section training.
    """
    values: dict[str, Any] = {
        "name": "test",
        "network": {"encoder": encoder},
        "input": {"height": 64, "width": 64},
        "data": {"healthy": "anywhere"},
        "training": {
            "epochs": 3,
            "slices_per_epoch": 4,
            "batch_size": 2,
            "precision": "32-true",
        },
    }
    for key, value in changes.items():
        if key not in ExperimentConfig.model_fields:
            values["training"][key] = value
        elif isinstance(value, dict):
            values[key] = {**values.get(key, {}), **value}
        else:
            values[key] = value
    return ExperimentConfig.model_validate(values)


def lesion_experiment(**changes: Any) -> ExperimentConfig:
    """The same for GGO and consolidation, with priors of the experiment "single"."""
    changes["network"] = {"name": "lesion-inf-net", **changes.get("network", {})}
    return experiment(
        **{"target": "lesions", "data": {"priors": {"experiment": "single"}}} | changes
    )


def slices(count: int = 2, *, infected: bool = True, size: tuple[int, int] = (70, 90)) -> list:
    """Dark slices with noise, and a bright square of infection that moves from one to the next.

    The right half of the square is consolidation.
    """
    samples = []
    for index in range(count):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 60, size).astype(np.uint8)
        lesions = np.zeros(size, np.uint8)
        if infected:
            lesions[20 : 45 + index, 15 + 20 * index : 45 + 20 * index] = 1
            lesions[20 : 45 + index, 30 + 20 * index : 45 + 20 * index] = 2
        image[lesions > 0] += 150
        name = f"slice-{index}"
        samples.append(Sample(image, lesions > 0, name, "synthetic", lesions=lesions))
    return samples


def logged(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log."""
    with (run / "log.csv").open() as file:
        return list(csv.DictReader(file))
