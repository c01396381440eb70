"""Inf-Net's training losses, as equations (1) and (2) of the paper mean them.

The published code passes ``reduce='none'`` where ``reduction='none'`` was meant: torch reads the
string as "average", so the boundary weights of the cross-entropy cancel out. The ``paper`` recipe
keeps that, since the published numbers were made with it; the default recipe does not.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lungscore.networks import NetworkOutput


def boundary_weight(truth: Tensor) -> Tensor:
    """1 far from a border of ``truth`` (N, 1, H, W), up to 6 on it (31 x 31 neighbourhood)."""
    mean = _mean_along(_mean_along(truth, -1), -2)
    return 1 + 5 * (mean - truth).abs()


def _mean_along(image: Tensor, axis: int) -> Tensor:
    """The mean of 31 pixels along the axis -1 or -2, zeros outside the image."""
    # Differences of running sums: on a processor much faster than avg_pool2d.
    margin = (16, 15) if axis == -1 else (0, 0, 16, 15)
    sums, length = functional.pad(image, margin).cumsum(axis), image.shape[axis]
    return (sums.narrow(axis, 31, length) - sums.narrow(axis, 0, length)) / 31


def segmentation_loss(
    logits: Tensor, truth: Tensor, weight: Tensor, *, weighted_cross_entropy: bool = True
) -> Tensor:
    """L_seg = L_IoU + L_BCE (equation 1, lambda 1), boundary-weighted, averaged over the batch.

    All (N, 1, H, W), truth in 0…1, ``weight`` as boundary_weight makes it.
    ``weighted_cross_entropy=False`` is the paper recipe.
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    if weighted_cross_entropy:
        cross_entropy = (weight * cross_entropy).sum((2, 3)) / weight.sum((2, 3))
    probs = logits.sigmoid()
    overlap = (weight * probs * truth).sum((2, 3))
    total = (weight * (probs + truth)).sum((2, 3))
    iou = 1 - (overlap + 1) / (total - overlap + 1)
    return cross_entropy.mean() + iou.mean()


def infection_loss(output: NetworkOutput, truth: Tensor, edge: Tensor, *, recipe: str) -> Tensor:
    """L_total (equation 2): every side output against the infection, plus the edge if there is one.

    truth, edge: (N, 1, H, W) in 0…1. recipe: "default" or "paper".
    """
    weighted = recipe != "paper"
    weight = boundary_weight(truth)
    losses = [
        segmentation_loss(logits.float(), truth, weight, weighted_cross_entropy=weighted)
        for logits in output.side_outputs
    ]
    return torch.stack(losses).sum() + _edge_loss(output, edge)


def lesion_loss(output: NetworkOutput, classes: Tensor, edge: Tensor, *, recipe: str) -> Tensor:
    """Loss of the multi-class stage: every side output against background, GGO, consolidation.

    classes: (N, 1, H, W) of 0, 1, 2. Default: boundary-weighted cross-entropy, plus one minus the
    soft Dice of GGO and of consolidation over the batch (a slice may lack a class). Paper: the mean
    binary cross-entropy of three independent sigmoids.
    """
    truth = functional.one_hot(classes.squeeze(1).long(), 3).movedim(-1, 1).float()  # (N, 3, H, W)
    if recipe == "paper":
        losses = [
            functional.binary_cross_entropy_with_logits(logits.float(), truth)
            for logits in output.side_outputs
        ]
        return torch.stack(losses).sum()
    weight = boundary_weight((classes > 0).float()) + boundary_weight((classes > 1).float()) - 1
    weight = weight / weight.mean()
    losses = []
    for logits in output.side_outputs:
        log_probs = logits.float().log_softmax(1)
        cross_entropy = -(weight * truth * log_probs).sum(1).mean()
        probs = log_probs.exp()
        overlap = (probs * truth).sum((0, 2, 3))
        total = (probs + truth).sum((0, 2, 3))
        soft_dice = (2 * overlap + 1) / (total + 1)
        losses.append(cross_entropy + (1 - soft_dice[1:]).mean())
    return torch.stack(losses).sum() + _edge_loss(output, edge)


def _edge_loss(output: NetworkOutput, edge: Tensor) -> Tensor | float:
    if output.edge is None:
        return 0.0
    return functional.binary_cross_entropy_with_logits(output.edge.float(), edge)
