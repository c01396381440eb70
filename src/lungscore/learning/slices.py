"""The training slices in memory: resized once, in one grey scale, ready to be augmented."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.labels import CONSOLIDATION
from lungscore.learning.augmentation import apply_augmentation, edge_of, sample_augmentation
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.timed.augmentation import chance
from lungscore.learning.timed.dense_disease import Truth, with_disease
from lungscore.scan.window import resize, window

#: Slices are kept this much larger than the network's input, so that zooming in loses nothing.
OVERSIZE = 1.25


class Batch(NamedTuple):
    """image (N, 1, H, W) grey 0…1; target (N, 1, H, W) infection in 0…1, or class index 0, 1, 2;
    edge (N, 1, H, W) of the infection; prior (N, 1, H, W) in 0…1, all 0 where there is none."""

    image: Tensor
    target: Tensor
    edge: Tensor
    prior: Tensor


class SliceStore:
    """Samples as one array of grey levels and one of masks. A network's labels stay soft.

    Slices in HU are kept a little wider than the window, so that augmentation may move it. With the
    target "lesions", every sample needs ``lesions``; its prior is ``priors[name]`` (H, W) in 0…1,
    or its own infection where ``priors`` is None, as the published code does.
    """

    def __init__(
        self,
        samples: list[Sample],
        config: ExperimentConfig,
        *,
        priors: dict[str, np.ndarray] | None = None,
    ) -> None:
        size = round(config.input.height * OVERSIZE), round(config.input.width * OVERSIZE)
        self.config = config
        self.lesions = config.target == "lesions"
        self.images = _stack(
            resize(_grey(sample, config.input.window_hu), *size) for sample in samples
        )
        masks = [_stack(resize(_infection(sample), *size) for sample in samples)]
        self.soft = torch.tensor([sample.soft is not None for sample in samples])
        self.weights = np.array([sample.weight for sample in samples])
        if self.lesions:
            dense = (_classes(sample) == CONSOLIDATION for sample in samples)
            masks.append(_stack(resize(mask.astype(np.float32), *size) for mask in dense))
            seen = (
                sample.infection if priors is None else _prior(sample, priors) for sample in samples
            )
            masks.append(_stack(resize(mask.astype(np.float32), *size) for mask in seen))
        self.masks = torch.cat(masks, dim=1)
        self.lungs = _stack(resize(_lungs(s).astype(np.float32), *size) for s in samples)

    def __len__(self) -> int:
        return len(self.images)

    def add(self, store: "SliceStore") -> None:
        """Append the slices of another store of the same experiment."""
        self.images = torch.cat([self.images, store.images])
        self.masks = torch.cat([self.masks, store.masks])
        self.soft = torch.cat([self.soft, store.soft])
        self.lungs = torch.cat([self.lungs, store.lungs])
        self.weights = np.concatenate([self.weights, store.weights])

    def batch(
        self,
        indices: np.ndarray,
        config: ExperimentConfig,
        rng: np.random.Generator,
        device: torch.device | str = "cpu",
    ) -> Batch:
        """The slices at ``indices``, augmented anew on ``device`` and left there.

        Disease is made with torch's own generator, all else is drawn from ``rng``.
        """
        chosen = torch.from_numpy(indices)
        augmentation = sample_augmentation(config.augmentation, len(indices), rng)
        image, masks = (kept[chosen].to(device).float() for kept in (self.images, self.masks))
        if config.data.made_disease:
            lungs = self.lungs[chosen].to(device).float()
            image, masks = _with_made_disease(image, masks, lungs, config.data.made_disease)
        size = config.input.height, config.input.width
        image, masks = apply_augmentation(image, masks, augmentation, size)
        soft = masks[:, :1]
        hard = (soft > 0.5).float()
        if self.lesions:
            # Labels are moved class by class: no grey value between two classes can arise.
            dense = hard * (masks[:, 1:2] > 0.5)
            return Batch(image, hard + dense, edge_of(hard), masks[:, 2:])
        # The published code leaves the resized labels soft at their borders.
        keep = (self.soft[chosen] | (config.training.recipe == "paper")).view(-1, 1, 1, 1)
        target = torch.where(keep.to(device), soft, hard)
        return Batch(image, target, edge_of(hard), torch.zeros_like(hard))


def _with_made_disease(
    image: Tensor, infection: Tensor, lungs: Tensor, share: float
) -> tuple[Tensor, Tensor]:
    """Slices and infection, all (N, 1, h, w), with disease made in about ``share`` of them."""
    some = lungs.flatten(1).any(1).float().view(-1, 1, 1, 1)
    healthy = 1 - infection.flatten(1).any(1).float().view(-1, 1, 1, 1)
    slices = Truth(image, infection, torch.zeros_like(infection), lungs)
    made = with_disease(slices, chance(image, share) * some, healthy * some)
    return made.grey, made.infection


def _stack(arrays: Iterable[np.ndarray]) -> Tensor:
    """float16 (N, 1, h, w)."""
    return torch.from_numpy(np.stack([array.astype(np.float16) for array in arrays]))[:, None]


def _lungs(sample: Sample) -> np.ndarray:
    if sample.lungs is None:
        return np.zeros(sample.image.shape, bool)
    return sample.lungs


def _infection(sample: Sample) -> np.ndarray:
    """float32 (H, W) in 0…1."""
    if sample.soft is None:
        return sample.infection.astype(np.float32)
    return window(sample.soft, 0, 255)


def _grey(sample: Sample, window_hu: tuple[float, float]) -> np.ndarray:
    if sample.image.dtype == np.uint8:
        return window(sample.image, 0, 255)
    lower, upper = window_hu
    grey: np.ndarray = (sample.image.astype(np.float32) - lower) / (upper - lower)
    return np.clip(grey, -0.5, 1.5)


def _classes(sample: Sample) -> np.ndarray:
    if sample.lesions is not None:
        return sample.lesions
    if sample.infection.any():
        raise InputError(
            "dataset-incomplete", f"{sample.name} of {sample.source} has no class labels"
        )
    return np.zeros(sample.infection.shape, np.uint8)


def _prior(sample: Sample, priors: dict[str, np.ndarray]) -> np.ndarray:
    prior = priors.get(sample.name)
    if prior is not None and prior.shape != sample.image.shape:
        raise InputError(
            "config-invalid",
            f"The prior of {sample.name} is {prior.shape}, the slice of {sample.source} "
            f"{sample.image.shape}",
            hint="Priors are made for the crops of covid-semiseg; leave other datasets out",
        )
    if prior is not None:
        return prior
    if sample.infection.any():
        raise InputError("run-missing", f"No prior exists for the slice {sample.name}")
    return np.zeros(sample.infection.shape, np.float32)


def epoch_indices(
    infected: int,
    healthy: int,
    config: ExperimentConfig,
    rng: np.random.Generator,
    *,
    weights: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Indices of every batch of one epoch into a store that holds infected, then healthy slices.

    Each infected slice comes up equally often, or as often as ``weights`` (infected + healthy,)
    say; healthy ones fill their fraction of each batch, which keeps room for an infected one.
    """
    training = config.training
    batch_healthy = round(training.batch_size * training.healthy_fraction) if healthy else 0
    batch_healthy = min(batch_healthy, training.batch_size - 1)
    batch_infected = training.batch_size - batch_healthy
    batches = max(1, training.slices_per_epoch // training.batch_size)
    need = batches * batch_infected
    if weights is None or (weights == weights[0]).all():
        order = np.concatenate([rng.permutation(infected) for _ in range(-(-need // infected))])
        odds = None
    else:
        order = _weighted(weights[:infected], need, rng)
        odds = weights[infected:] / weights[infected:].sum() if healthy else None
    result = []
    for index in range(batches):
        chosen = order[index * batch_infected : (index + 1) * batch_infected]
        if odds is None:
            quiet = infected + rng.integers(0, max(healthy, 1), batch_healthy)
        else:
            quiet = infected + rng.choice(healthy, batch_healthy, p=odds)
        result.append(np.concatenate([chosen, quiet]))
    return result


def _weighted(weights: np.ndarray, need: int, rng: np.random.Generator) -> np.ndarray:
    """``need`` indices in random order, each as often as its weight says, to within one."""
    reached = np.cumsum(weights) / weights.sum()
    points = (np.arange(need) + rng.random()) / need
    drawn = np.searchsorted(reached, points, side="right").clip(max=len(weights) - 1)
    return np.asarray(rng.permutation(drawn))
