"""The recipe of experiments/infection.yaml, without its leak: the measure of every step.

That recipe learns first from labels that Semi-Inf-Net's authors released, made by a network that
knew all 50 annotated slices. Here they come from a network that the same recipe trained on the
split's annotated slices alone.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from lungscore.learning.augmentation import apply_augmentation, edge_of, sample_augmentation
from lungscore.learning.imagenet import calibrate_batch_norm, load_imagenet_weights
from lungscore.learning.losses import infection_loss
from lungscore.learning.timed.predictions import label
from lungscore.learning.timed.slices import SliceStore
from lungscore.networks import InfNet, normalise

#: As learning.config has them, with the transposition of experiments/infection.yaml.
AUGMENTATION = SimpleNamespace(
    flip_left_right=0.5,
    flip_up_down=0.0,
    transpose=0.05,
    rotation_degrees=15.0,
    zoom=0.2,
    stretch=0.15,
    shear=0.1,
    shift=0.1,
    bend=0.02,
    window=0.12,
    gamma=0.2,
    blur=1.0,
    noise=0.03,
    cutout=0.0,
)
BATCH = 8
#: Steps and peak rate of: the labeller on annotated slices, the network on its labels, the network
#: on annotated slices. The last two are 20 and 10 epochs of 320 slices.
LABELLER, ON_LABELS, ON_ANNOTATED = (400, 1e-3), (800, 1e-3), (400, 7e-4)


class InfectionOnly(nn.Module):
    """Probabilities (N, 2, H, W) of a network that only knows infection: consolidation is 0."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, grey: Tensor) -> Tensor:
        """Grey 0…1 (N, 1, H, W)."""
        infection = self.network(normalise(grey)).side_outputs[-1].float().sigmoid()
        return torch.cat([infection, torch.zeros_like(infection)], dim=1)


def train(
    store: SliceStore, imagenet: Path, *, seed: int = 0, share: float = 1.0
) -> tuple[nn.Module, float]:
    """The network and the seconds it took. share: of all steps, for tests."""
    began = time.perf_counter()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    annotated = torch.cat([store.by_pool["annotated"], store.by_pool["other-window"]])
    healthy, unlabelled = store.by_pool["healthy"], store.by_pool["unlabelled"]

    def made() -> nn.Module:
        network = InfNet("resnet18", finer=True)
        norms = load_imagenet_weights(network.encoder, imagenet)
        calibrate_batch_norm(network.encoder, norms, normalise(store.seen(annotated[:16]).cpu()))
        return network.to(store.device)

    def steps(count: int) -> int:
        return max(2, round(count * share))

    labeller = made()
    _fit(labeller, store, annotated, healthy, steps(LABELLER[0]), LABELLER[1], rng)
    label([InfectionOnly(labeller).eval()], store, unlabelled)
    network = made()
    _fit(network, store, unlabelled, None, steps(ON_LABELS[0]), ON_LABELS[1], rng)
    _fit(network, store, annotated, healthy, steps(ON_ANNOTATED[0]), ON_ANNOTATED[1], rng)
    return network.eval(), time.perf_counter() - began


def _fit(
    network: nn.Module,
    store: SliceStore,
    members: Tensor,
    healthy: Tensor | None,
    steps: int,
    peak: float,
    rng: np.random.Generator,
) -> None:
    """One cycle: up for a fifth, down along a cosine (learning.train.learning_rate)."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=0.01, fused=True)
    soft = not np.isin(members.numpy(), _annotated(store)).all()
    quiet = 0 if healthy is None else BATCH // 4
    order = np.concatenate(
        [rng.permutation(len(members)) for _ in range(steps * BATCH // len(members) + 1)]
    )
    for step in range(steps):
        progress = step / steps
        up = 0.04 + 0.96 * progress / 0.2
        down = 0.5 * (1 + np.cos(np.pi * (progress - 0.2) / 0.8))
        for group in optimizer.param_groups:
            group["lr"] = peak * (up if progress < 0.2 else float(down))
        take = BATCH - quiet
        indices = members[torch.from_numpy(order[step * take : (step + 1) * take])]
        if healthy is not None:
            indices = torch.cat(
                [indices, healthy[torch.from_numpy(rng.integers(0, len(healthy), quiet))]]
            )
        indices = indices.to(store.device)
        grey = store.maps[indices, :1].float() / 255 * store.gain[indices] + store.offset[indices]
        masks = store.maps[indices, 1:2].float() / 255
        augmentation = sample_augmentation(AUGMENTATION, len(indices), rng)  # type: ignore[arg-type]
        image, target = apply_augmentation(grey.clamp(-0.5, 1.5), masks, augmentation, store.size)
        hard = (target > 0.5).float()
        with torch.autocast(store.device.type, torch.bfloat16, enabled=store.device.type == "cuda"):
            output = network(normalise(image))
        loss = infection_loss(output, target if soft else hard, edge_of(hard), recipe="default")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()


def _annotated(store: SliceStore) -> Sequence[int]:
    return torch.cat([store.by_pool["annotated"], store.by_pool["other-window"]]).tolist()
