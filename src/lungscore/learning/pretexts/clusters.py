"""Cluster labels as supervision: the network learns to segment into clusters of its own features.

Source: Larsson et al., "Fine-Grained Segmentation Networks", ICCV 2019, and the code published with
it. At intervals the features before the last layer are whitened, scaled to length 1 and clustered
by k-means; the last layer starts anew; the labels of every image come from the network as it was
when it was clustered. The same labels supervise corresponding pixels of an image of the same place
under other conditions: here the same slice with other grey levels.
"""

import copy
from typing import ClassVar, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from lungscore.errors import InputError
from lungscore.learning.batch_norm import recalibrate
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.pretexts.pretext import Pretext
from lungscore.networks import normalise
from lungscore.networks.inf_net import InfNet

#: Features that k-means takes of one slice, and its iterations: as published.
POSITIONS, ITERATIONS = 500, 20

#: Slices whose features are clustered, at most; published: all of the reference condition.
SLICES = 256

#: Strengths of augmentation that the reference of a pair of slices has at zero.
GREYS = ("window", "gamma", "blur", "noise")


class ClusterSegmenter(nn.Module):
    """Inf-Net up to its partial decoder, whose last layer names clusters for the time being."""

    def __init__(self, network: InfNet, clusters: int) -> None:
        super().__init__()
        self.encoder = network.encoder
        self.reduce = nn.ModuleList(
            [network.reduce_deep, network.reduce_middle, network.reduce_shallow]
        )
        self.decoder = network.partial_decoder
        own_head = self.decoder.head
        self.saved_head = [own_head]  # in a list: it does not belong to this network
        self.decoder.head = nn.Conv2d(own_head.in_channels, clusters, 1)
        self.restart()

    def restart(self) -> None:
        """The last layer as new."""
        nn.init.normal_(self.decoder.head.weight, std=0.01)
        if self.decoder.head.bias is not None:
            nn.init.zeros_(self.decoder.head.bias)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 1, H, W) to logits (N, clusters, h, w) and the features (N, C, h, w) before them."""
        _, shallow, middle, deep = self.encoder(image)
        features = (deep, middle, shallow)
        reduced = [reduce(x) for reduce, x in zip(self.reduce, features, strict=True)]
        logits, fused = self.decoder(*reduced)
        return logits, fused


class Teacher(nn.Module):
    """The network as it was when its features were clustered, and the clusters: it gives labels."""

    mean: Tensor
    whitening: Tensor
    centres: Tensor

    def __init__(self, segmenter: ClusterSegmenter) -> None:
        super().__init__()
        self.segmenter = copy.deepcopy(segmenter).requires_grad_(False)
        clusters, width = segmenter.decoder.head.weight.shape[:2]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("whitening", torch.eye(width))
        self.register_buffer("centres", torch.zeros(clusters, width))

    @torch.no_grad()
    def learn(self, segmenter: ClusterSegmenter, image: Tensor, seed: int) -> None:
        """Take over ``segmenter`` and cluster what it makes of normalised slices (N, 1, H, W)."""
        self.segmenter.load_state_dict(segmenter.state_dict())
        # Its running averages may still be far off: those of the very slices take their place.
        self.segmenter.eval()
        recalibrate(self.segmenter, lambda images: [*map(self.segmenter, images.split(16))], image)
        generator = torch.Generator().manual_seed(seed)
        chosen = []
        for chunk in image.split(16):
            for columns in self.segmenter(chunk)[1].float().flatten(2).mT:  # (h w, C) of a slice
                order = torch.randperm(len(columns), generator=generator)[:POSITIONS]
                chosen.append(columns[order.to(columns.device)])
        features = torch.cat(chosen)
        if len(features) < len(self.centres):
            raise InputError(
                "config-invalid",
                f"{len(features)} features for {len(self.centres)} clusters",
                expected="fewer pretraining.clusters, or more slices",
            )
        self.mean.copy_(features.mean(0))
        self.whitening.copy_(whitening_of(features - self.mean))
        self.centres.copy_(k_means(self.whitened(features), len(self.centres), generator))

    def whitened(self, features: Tensor) -> Tensor:
        """(…, C) to the same shape: uncorrelated, of like spread, of length 1."""
        return functional.normalize((features - self.mean) @ self.whitening, dim=-1)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """The cluster of every position, (N, h, w), of normalised slices (N, 1, H, W)."""
        fused = self.segmenter.eval()(image)[1].float()
        labels: Tensor = nearest(self.whitened(fused.movedim(1, -1)), self.centres)
        return labels


class ClusterLabels(Pretext):
    """Encoder and partial decoder learn; the refinements of the network stay as they were."""

    copies: ClassVar[int] = 2
    figure: ClassVar[str] = "agreement"

    def make_learner(self, network: nn.Module) -> nn.Module:
        """The part of Inf-Net that ends in the partial decoder."""
        return ClusterSegmenter(cast(InfNet, network), self.settings.clusters)

    def __init__(self, config: ExperimentConfig, network: nn.Module, *args: object) -> None:
        super().__init__(config, network, *args)  # type: ignore[arg-type]
        self.teacher = Teacher(self.learner)  # type: ignore[arg-type]
        self.networks["teacher"] = self.teacher

    def begin(self, fabric: Fabric, number: int) -> None:
        """Cluster anew every ``cluster_epochs`` epochs, and let the last layer start anew."""
        if number % self.settings.cluster_epochs:
            return
        size = self.config.input.height, self.config.input.width
        grey = functional.interpolate(self.store.images[:SLICES].float(), size, mode="bilinear")
        image = normalise(grey.clamp(0, 1)).to(fabric.device)
        seed = np.random.SeedSequence([self.config.training.seed, number, 3])
        self.teacher.learn(self.learner, image, int(seed.generate_state(1)[0]))  # type: ignore[arg-type]
        self.learner.restart()  # type: ignore[operator]

    def loss(
        self, fabric: Fabric, learner: nn.Module, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, float]:
        """Cross-entropy of both slices of a pair against the labels of the reference.

        The figure is the share of the other slice's positions with the label of the reference.
        """
        reference, changed = self.pair(fabric, indices, rng)
        labels = self.teacher(reference)
        logits = learner(torch.cat([reference, changed]))[0].float()
        agreement = (logits[len(reference) :].argmax(1) == labels).float().mean()
        return 2 * functional.cross_entropy(logits, labels.repeat(2, 1, 1)), agreement.item()

    def pair(
        self, fabric: Fabric, indices: np.ndarray, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Slices moved alike, first with the grey levels they have, then with changed ones."""
        seed = int(rng.integers(2**31))  # every strength multiplies the same draws
        plain = self.config.augmentation.model_copy(update=dict.fromkeys(GREYS, 0.0))
        reference = self.config.model_copy(update={"augmentation": plain})
        first, second = (
            self.images(fabric, indices, np.random.default_rng(seed), config)
            for config in (reference, self.config)
        )
        return first, second

    def result(self) -> nn.Module:
        """The network with its own last layer back."""
        self.bare.partial_decoder.head = self.learner.saved_head[0]  # type: ignore[union-attr,index]
        return self.bare


def whitening_of(centred: Tensor) -> Tensor:
    """(C, C): what makes the columns of (n, C) uncorrelated and of like spread.

    Directions with hardly any spread would be noise; theirs counts as 1e-4 of the largest.
    """
    spread, directions = torch.linalg.eigh(centred.mT @ centred / len(centred))
    return directions / spread.clamp(min=1e-4 * float(spread.max()) + 1e-12).sqrt()


def k_means(points: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Centres (clusters, C) of (n, C) after ITERATIONS of Lloyd's method, from random points.

    A cluster that loses all its points keeps its centre.
    """
    chosen = torch.randperm(len(points), generator=generator)[:clusters]
    centres = points[chosen.to(points.device)].clone()
    for _ in range(ITERATIONS):
        labels = nearest(points, centres)
        sums = torch.zeros_like(centres).index_add_(0, labels, points)
        counts = torch.bincount(labels, minlength=clusters)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """The index of the nearest centre (k, C) of each point (…, C)."""
    return (centres.square().sum(1) - 2 * points @ centres.mT).argmin(-1)
