"""The training slices in memory: resized once, in one grey scale, ready to be augmented."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lungscore.datasets.sample import Sample
from lungscore.learning.augmentation import apply_augmentation, edge_of, sample_augmentation
from lungscore.learning.config import ExperimentConfig
from lungscore.scan.window import resize, window

#: Slices are kept this much larger than the network's input, so that zooming in loses nothing.
OVERSIZE = 1.25


class Batch(NamedTuple):
    """image (N, 1, H, W) grey 0…1; infection and edge (N, 1, H, W) in 0…1."""

    image: Tensor
    infection: Tensor
    edge: Tensor


class SliceStore:
    """Samples as one array of grey levels and one of masks.

    Slices in HU are kept a little wider than the window, so that augmentation may move it.
    """

    def __init__(self, samples: list[Sample], config: ExperimentConfig) -> None:
        size = round(config.input.height * OVERSIZE), round(config.input.width * OVERSIZE)
        pairs = [_grey_and_mask(sample, config.input.window_hu, size) for sample in samples]
        self.images = torch.from_numpy(np.stack([grey for grey, _ in pairs]))[:, None]
        self.masks = torch.from_numpy(np.stack([mask for _, mask in pairs]))[:, None]

    def __len__(self) -> int:
        return len(self.images)

    def batch(
        self, indices: np.ndarray, config: ExperimentConfig, rng: np.random.Generator
    ) -> Batch:
        """The slices at ``indices``, augmented anew."""
        chosen = torch.from_numpy(indices)
        augmentation = sample_augmentation(config.augmentation, len(indices), rng)
        image, mask = apply_augmentation(
            self.images[chosen].float(),
            self.masks[chosen].float(),
            augmentation,
            (config.input.height, config.input.width),
        )
        hard = (mask > 0.5).float()
        # The published code leaves the resized labels soft at their borders.
        infection = mask if config.training.recipe == "paper" else hard
        return Batch(image, infection, edge_of(hard))


def _grey_and_mask(
    sample: Sample, window_hu: tuple[float, float], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """float16 grey levels and masks of ``size``; an image taller than wide is turned."""
    if sample.image.dtype == np.uint8:
        grey = window(sample.image, 0, 255)
    else:
        lower, upper = window_hu
        grey = (sample.image.astype(np.float32) - lower) / (upper - lower)
        grey = np.clip(grey, -0.5, 1.5)
    mask = sample.infection.astype(np.float32)
    return resize(grey, *size).astype(np.float16), resize(mask, *size).astype(np.float16)


def epoch_indices(
    infected: int, healthy: int, config: ExperimentConfig, rng: np.random.Generator
) -> list[np.ndarray]:
    """Indices of every batch of one epoch into a store that holds infected, then healthy slices.

    Each infected slice comes up equally often; healthy ones fill their fraction of each batch,
    which keeps room for an infected one.
    """
    training = config.training
    batch_healthy = round(training.batch_size * training.healthy_fraction) if healthy else 0
    batch_healthy = min(batch_healthy, training.batch_size - 1)
    batch_infected = training.batch_size - batch_healthy
    batches = max(1, training.slices_per_epoch // training.batch_size)
    need = batches * batch_infected
    order = np.concatenate([rng.permutation(infected) for _ in range(-(-need // infected))])
    result = []
    for index in range(batches):
        chosen = order[index * batch_infected : (index + 1) * batch_infected]
        quiet = infected + rng.integers(0, max(healthy, 1), batch_healthy)
        result.append(np.concatenate([chosen, quiet]))
    return result
