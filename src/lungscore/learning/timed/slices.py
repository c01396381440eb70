"""The slices of a pack on the device, and augmented batches of them that never leave it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lungscore.learning.timed.augmentation import chance, look, move
from lungscore.learning.timed.dense_disease import Truth, with_disease, with_lesions_of
from lungscore.learning.timed.pack import Pool, Slices

#: Pools in the order of the shares of a batch.
POOLS: tuple[Pool, ...] = ("annotated", "other-window", "healthy", "unlabelled", "elsewhere")

#: Shares of the slices of each pool that get synthetic lesions, and of all that get real ones.
SICK = {
    "annotated": 0.25,
    "other-window": 0.25,
    "healthy": 0.35,
    "unlabelled": 0.25,
    "elsewhere": 0.3,
}
PASTED = 0.12
#: The largest share of a batch that gets synthetic lesions; about a quarter is drawn to.
AT_MOST_SICK = 0.5


class Batch(NamedTuple):
    """image: grey 0…1. infection: 0…1, soft where a network labelled it. consolidation: 0…1, given
    infection. All (N, 1, H, W)."""

    image: Tensor
    infection: Tensor
    consolidation: Tensor


class SliceStore:
    """Bytes on the device. ``members`` of each pool may be drawn; shares say how often.

    hold: names of annotated slices that are left out in both windows. healthy_part: "cranial" or
    "caudal" leaves the other half of the healthy slices out.
    """

    def __init__(
        self,
        slices: Slices,
        device: torch.device,
        *,
        hold: Sequence[str] = (),
        healthy_part: str | None = None,
        size: tuple[int, int] = (256, 320),
    ) -> None:
        self.size, self.device = size, device
        self.maps = torch.from_numpy(
            np.stack([slices.grey, slices.infection, slices.consolidation, slices.lungs], axis=1)
        ).to(device)
        self.gain = torch.from_numpy(slices.gain).to(device).view(-1, 1, 1, 1)
        self.offset = torch.from_numpy(slices.offset).to(device).view(-1, 1, 1, 1)
        out = set(hold)
        members: dict[str, list[int]] = {pool: [] for pool in POOLS}
        for index, row in enumerate(slices.rows):
            annotated = row.pool in ("annotated", "other-window")
            if annotated and row.name in out:
                continue
            if row.pool == "healthy" and healthy_part not in (None, row.part):
                continue
            members[row.pool].append(index)
        self.by_pool = {pool: torch.tensor(members[pool], dtype=torch.long) for pool in POOLS}
        together = torch.cat([self.by_pool[pool] for pool in POOLS])
        counts = torch.tensor([len(self.by_pool[pool]) for pool in POOLS])
        self.members = together.to(device)
        self.counts = counts.to(device)
        self.starts = (counts.cumsum(0) - counts).to(device)
        self.shares = torch.zeros(len(POOLS), device=device)
        self.sick = torch.tensor([SICK[pool] for pool in POOLS], device=device)

    def set_shares(self, shares: Mapping[str, float]) -> None:
        """Of every batch, what each pool gives, on average."""
        values = torch.tensor([float(shares.get(pool, 0)) for pool in POOLS])
        empty = (self.counts.cpu() == 0) & (values > 0)
        if empty.any():
            raise ValueError(f"no slices to draw in {[POOLS[i] for i in empty.nonzero().view(-1)]}")
        self.shares.copy_(values / values.sum())

    def unlabelled(self) -> Tensor:
        """Indices of the slices without radiologists' labels, healthy ones not among them."""
        return torch.cat([self.by_pool["unlabelled"], self.by_pool["elsewhere"]])

    def label(self, indices: Tensor, probabilities: Tensor) -> None:
        """Give slices the soft labels (N, 2, HEIGHT, WIDTH) of a network."""
        levels = (probabilities * 255).round().to(torch.uint8)
        self.maps[indices.to(self.device), 1:3] = levels.to(self.device)

    def seen(self, indices: Tensor) -> Tensor:
        """Grey levels 0…1 (N, 1, *size) as a network sees the slices when it is asked."""
        indices = indices.to(self.device)
        grey = self.maps[indices, :1].float() / 255 * self.gain[indices] + self.offset[indices]
        return functional.interpolate(
            grey.clamp(0, 1), self.size, mode="bilinear", antialias=True, align_corners=False
        )

    def batch(self, count: int, *, synthesis: bool) -> Batch:
        """``count`` slices, drawn by the shares and augmented anew."""
        drawn = torch.rand(count, device=self.device)
        pool = (drawn[:, None] >= self.shares.cumsum(0)[None, :-1]).sum(1)
        within = (torch.rand(count, device=self.device) * self.counts[pool]).long()
        indices = self.members[self.starts[pool] + within.clamp(max=self.counts[pool] - 1)]
        maps = self.maps[indices].float() / 255
        grey = maps[:, :1] * self.gain[indices] + self.offset[indices]
        truth = Truth(grey, maps[:, 1:2], maps[:, 2:3], maps[:, 3:])
        annotated = (pool < 2).view(-1, 1, 1, 1).float()
        if synthesis:
            healthy = (pool == POOLS.index("healthy")).view(-1, 1, 1, 1).float()
            sick = chance(grey, self.sick[pool].view(-1, 1, 1, 1))
            donors = Truth(*(channel.roll(1, dims=0) for channel in truth))
            pasted = chance(grey, PASTED) * annotated.roll(1, dims=0)
            truth = with_disease(truth, sick, healthy, at_most=AT_MOST_SICK)
            truth = with_lesions_of(truth, donors, pasted)
        # Consolidation is moved as a share of infection and separated again: where infection ends
        # neither class is mixed with background.
        both = torch.cat(
            [truth.grey, truth.infection, truth.infection * truth.consolidation], dim=1
        )
        moved = move(both, self.size)
        infection = moved[:, 1:2].clamp(0, 1)
        consolidation = (moved[:, 2:] / infection.clamp(min=1e-3)).clamp(0, 1)
        sharp = (infection > 0.5).float()
        infection = torch.where(annotated > 0, sharp, infection)
        return Batch(look(moved[:, :1]), infection, consolidation)
