"""Disease that the annotated slices hardly show, made in slices that hold little of it.

Consolidation from nodules to whole lungs, ground-glass opacity with and without crazy paving,
bronchi that stay full of air, lesions at the pleura and the diaphragm: each with the mask that says
what it is. Effusion, emphysema and the density of dependent lung are made as well, and stay
background. Slices are (N, 1, H, W) in standard view (anterior up), grey levels 0…1 of the networks'
window; soft tissue is about as bright as the slice's own chest wall.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from lungscore.learning.timed.augmentation import chance, normal, smooth_field, soften, uniform

#: Share of lesions that fill one side of a plane through a lung (a lobe, a lung) rather than a
#: ragged ball; of lesions that are dense; of dense ones with bronchi full of air; of ground-glass
#: with crazy paving; of slices that get a second lesion.
LOBAR, DENSE, BRONCHI, PAVING, SECOND = 0.35, 0.6, 0.6, 0.35, 0.4
#: Semi-axis of a ball, as a fraction of half the slice's height, drawn evenly in its logarithm.
SMALLEST, LARGEST = 0.05, 0.9
#: Of the slices that get a lesion, no more than this share gets a second one.
SECOND_OF = 0.6
#: Shares of slices with an effusion and emphysema, and of healthy ones with dependent density.
EFFUSION, EMPHYSEMA, DEPENDENT = 0.06, 0.08, 0.3


class Truth(NamedTuple):
    """grey, and masks in 0…1: infection, consolidation given infection, lungs. All (N, 1, H, W)."""

    grey: Tensor
    infection: Tensor
    consolidation: Tensor
    lungs: Tensor


def with_disease(slices: Truth, sick: Tensor, healthy: Tensor, *, at_most: float = 1.0) -> Truth:
    """Slices with lesions where ``sick`` is 1, and with what only looks like disease on some.

    sick: (N, 1, 1, 1), 0 or 1. healthy: the same, 1 where a slice shows a healthy person.
    at_most: of the batch, no more than this share gets lesions: those that no slice needs would
    cost as much as others.
    """
    tissue = tissue_level(slices)

    def twice(slices: Truth, tissue: Tensor, sick: Tensor) -> Truth:
        again = sick * chance(sick, SECOND)
        return _of_part(_lesion, SECOND_OF, _lesion(slices, tissue, sick), tissue, again)

    return _of_part(twice, at_most, _harmless(slices, tissue, healthy), tissue, sick)


def with_lesions_of(slices: Truth, donors: Truth, chosen: Tensor) -> Truth:
    """Real lesions pasted: those of ``donors``, where both have lung, for ``chosen`` ones.

    chosen: (N, 1, 1, 1), 0 or 1.
    """
    mask = donors.infection * (slices.lungs > 0.5) * chosen
    alpha = soften(mask, 1)
    return slices._replace(
        grey=torch.lerp(slices.grey, donors.grey, alpha),
        infection=torch.maximum(slices.infection, mask),
        consolidation=torch.where(mask > 0.5, donors.consolidation, slices.consolidation),
    )


def tissue_level(slices: Truth) -> Tensor:
    """(N, 1, 1, 1): how bright soft tissue is, from the brighter pixels beside the lungs."""
    step = 4
    grey = slices.grey[..., ::step, ::step].flatten(1)
    outside = (slices.lungs[..., ::step, ::step].flatten(1) < 0.5) & (grey > 0.55) & (grey < 1.25)
    total = outside.sum(1).clamp(min=1)
    level = (grey * outside).sum(1) / total
    level = torch.where(outside.sum(1) > 20, level, torch.full_like(level, 0.9))
    return level.clamp(0.7, 1.05).view(-1, 1, 1, 1)


def _of_part(
    work: Callable[[Truth, Tensor, Tensor], Truth],
    share: float,
    slices: Truth,
    tissue: Tensor,
    sick: Tensor,
) -> Truth:
    """``work`` of slices, levels of tissue and ``sick``, for this share of the batch: the sick.

    How many that are depends on the size of the batch alone, so that a step can be recorded.
    """
    some = sick.flatten().topk(math.ceil(len(sick) * share)).indices
    made = work(Truth(*(maps[some] for maps in slices)), tissue[some], sick[some])
    return Truth(*(maps.index_copy(0, some, new) for maps, new in zip(slices, made, strict=True)))


def _lesion(slices: Truth, tissue: Tensor, sick: Tensor) -> Truth:
    grey = slices.grey
    lungs = functional.max_pool2d((slices.lungs > 0.5).float(), 3, stride=1, padding=1)
    depth = _ball_or_lobe(slices, lungs)  # above 0 within, in about half heights
    dense = chance(grey, DENSE)
    sharp = torch.exp(uniform(grey, 2.6, 4.6))
    seam = uniform(grey, 0.02, 0.3) * dense  # ground-glass around a dense core
    core = torch.sigmoid(depth * sharp) * lungs * sick
    whole = torch.sigmoid((depth + seam) * sharp) * lungs * sick
    # An eighth of the lung at least stays as it was in a lesion of ground-glass: vessels show.
    glass = uniform(grey, 0.27, 0.65) * (1 + 0.2 * smooth_field(1, (7, 9), grey)).clamp(0.6, 1.3)
    solid = uniform(grey, 0.85, 1.0) * (1 + 0.06 * smooth_field(1, (7, 9), grey)).clamp(0.8, 1.06)
    fluid = tissue * uniform(grey, 0.9, 1.06)
    lines = (1 - smooth_field(1, (34, 42), grey).abs() * 4).clamp(min=0)
    glass = glass + 0.22 * lines * chance(grey, PAVING) * (1 - dense)
    grain = torch.randn_like(grey) * uniform(grey, 0.0, 0.035)
    filled = torch.lerp(grey, torch.maximum(grey, fluid), glass.clamp(0, 0.85))
    grey = torch.lerp(grey, filled, whole)
    solid_grey = torch.lerp(grey, fluid + grain, solid)
    air = uniform(grey, 0.05, 0.3)
    tubes = _bronchi(grey) * chance(grey, BRONCHI)
    solid_grey = torch.lerp(solid_grey, air, tubes)
    grey = torch.lerp(grey, solid_grey, core * dense)
    infected = (whole > 0.5).float()
    consolidated = (core > 0.5).float() * dense
    fresh = infected * (slices.infection < 0.5)
    consolidation = slices.consolidation * (1 - fresh)
    return slices._replace(
        grey=grey,
        infection=torch.maximum(slices.infection, infected),
        consolidation=torch.maximum(consolidation, consolidated),
    )


def _ball_or_lobe(slices: Truth, lungs: Tensor) -> Tensor:
    """(N, 1, H, W), above 0 within a lesion about a random place of the lungs."""
    grey = slices.grey
    height, width = grey.shape[-2:]
    y, x = _places(grey)
    # Posterior places are likelier, as in COVID-19; where there is no lung, any will do.
    step = 4
    weight = lungs[..., ::step, ::step] * (0.35 + 0.65 * (y[..., ::step, :] + 1) / 2)
    score = torch.rand_like(weight) * weight
    chosen = score.flatten(1).argmax(1)
    columns = weight.shape[-1]
    centre_y = (chosen // columns * step * 2 / height - 1).view(-1, 1, 1, 1)
    centre_x = (chosen % columns * step * 2 / width - 1).view(-1, 1, 1, 1)
    # Both in half heights, so that a ball is round: the slice is stored wider than tall.
    aside, below = (x - centre_x) * width / height, y - centre_y
    angle = uniform(grey, 0, torch.pi)
    along = aside * angle.cos() + below * angle.sin()
    across = below * angle.cos() - aside * angle.sin()
    size = torch.exp(uniform(grey, math.log(SMALLEST), math.log(LARGEST)))
    aspect = torch.exp(normal(grey) * 0.3)
    ragged = 0.28 * smooth_field(1, (6, 8), grey) + 0.14 * smooth_field(1, (16, 20), grey)
    distance = ((along / aspect) ** 2 + (across * aspect) ** 2 + 1e-6).sqrt()
    ball = size - distance + ragged * size
    # A plane that tilts about the fissures', with all of one lung behind it.
    tilt = normal(grey) * 0.5 + torch.where(chance(grey, 0.7) > 0, 0.0, torch.pi)
    behind = below * tilt.cos() + aside * tilt.sin() + uniform(grey, -0.1, 0.9)
    same_side = (x * centre_x > 0).float()
    lobe = torch.minimum(behind + 0.05 * ragged, same_side * 4 - 2)
    return torch.where(chance(grey, LOBAR) > 0, lobe, ball)


def _bronchi(grey: Tensor) -> Tensor:
    """(N, 1, H, W) in 0…1: thin winding lines, some of them, as bronchi full of air show."""
    course = smooth_field(1, (8, 10), grey)
    somewhere = torch.sigmoid((smooth_field(1, (7, 9), grey) - 0.2) * 8)
    calibre = uniform(grey, 0.04, 0.13)
    return torch.exp(-((course / calibre) ** 2)) * somewhere * uniform(grey, 0.5, 1)


def _harmless(slices: Truth, tissue: Tensor, healthy: Tensor) -> Truth:
    grey, lungs = slices.grey, (slices.lungs > 0.5).float()
    clean = lungs * (slices.infection < 0.1)
    y, x = _places(grey)
    # Emphysema: patches of almost nothing but air.
    holes = torch.sigmoid((smooth_field(1, (9, 11), grey) - 0.4) * 8) * clean
    holes = holes * uniform(grey, 0.2, 0.8) * chance(grey, EMPHYSEMA)
    grey = grey * (1 - holes)
    # Dependent density of a healthy person: a little more towards the back, without a border.
    back = (y - uniform(grey, -0.1, 0.4)).clamp(min=0)
    grey = grey + 0.1 * uniform(grey, 0, 1) * back * clean * healthy * chance(grey, DEPENDENT)
    # Effusion: even fluid behind a border that climbs the chest wall; no lung any more.
    side = torch.where(chance(grey, 0.5) > 0, 1.0, -1.0)
    lateral = (x * side).clamp(0, 1)
    level = uniform(grey, 0.1, 0.7) - uniform(grey, 0.0, 0.7) * lateral**2
    fluid = torch.sigmoid((y - level) * 60) * (x * side > 0) * (slices.lungs > 0.5)
    fluid = fluid * chance(grey, EFFUSION)
    even = tissue * uniform(grey, 0.86, 0.99) + 0.01 * torch.randn_like(grey)
    gone = (fluid > 0.5).float()
    return Truth(
        torch.lerp(grey, even, fluid),
        slices.infection * (1 - gone),
        slices.consolidation * (1 - gone),
        slices.lungs * (1 - gone),
    )


def _places(like: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 1, H, 1) and (1, 1, 1, W): -1 at the top and the left, 1 at the bottom and the right."""
    height, width = like.shape[-2:]
    y = torch.linspace(-1, 1, height, device=like.device).view(1, 1, -1, 1)
    x = torch.linspace(-1, 1, width, device=like.device).view(1, 1, 1, -1)
    return y, x
