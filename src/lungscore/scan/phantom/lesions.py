"""Lesions of the phantom: what they are, the presets, and their shape."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lungscore.labels import LOBE_ORDER, LOBES
from lungscore.scan.phantom.lungs import LungShape
from lungscore.scan.phantom.shapes import Axes, SmoothField

#: Random fields that make borders ragged, from coarse to fine, and how much each does.
Ragged = tuple[SmoothField, SmoothField, SmoothField]
_RAGGED = (0.8, 0.4, 0.25)


@dataclass(frozen=True)
class PhantomLesion:
    """One lesion.

    lobe: a key of labels.LOBES; the lesion ends at the borders of its lobe.
    centre: where in the lobe's bounding box, as fractions (z, y, x): 0 is superior, anterior, the
        patient's right; 1 inferior, posterior, left.
    axes_mm: semi-axes (z, y, x) in mm before the border is made uneven.
    pleural: whether it lies on the outer pleura nearest to ``centre`` and spreads along it.
    unevenness: how ragged the border is; 0 is smooth.
    lobe_fraction: if given, the lesion grows or shrinks until it holds this part of its lobe
        (nearly: it is adjusted on a coarse grid; the masks hold the exact volume).
    """

    kind: Literal["ggo", "consolidation"]
    lobe: str
    centre: tuple[float, float, float] = (0.5, 0.7, 0.5)
    axes_mm: tuple[float, float, float] = (22.0, 22.0, 22.0)
    pleural: bool = True
    unevenness: float = 0.3
    lobe_fraction: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("ggo", "consolidation"):
            raise ValueError(f"kind is 'ggo' or 'consolidation', not {self.kind!r}")
        if self.lobe not in LOBES:
            raise ValueError(f"lobe is one of {', '.join(LOBES)}, not {self.lobe!r}")
        if min(self.axes_mm) <= 0:
            raise ValueError(f"axes_mm {self.axes_mm} are not all positive")
        if self.lobe_fraction is not None and not 0 < self.lobe_fraction <= 1:
            raise ValueError(f"lobe_fraction {self.lobe_fraction} is not in (0, 1]")


#: preset → (GGO patches, their semi-axis in mm, how many of them have a consolidated core).
_PATCHES: dict[str, tuple[int, tuple[float, float], int]] = {
    "few-patches": (5, (16, 22), 1),
    "several-patches": (11, (18, 30), 4),
    "many-patches": (22, (30, 46), 10),
}
#: The presets of make_phantom.
PRESETS = ("healthy", "few-patches", "several-patches", "many-patches", "dense", "one-lung")
#: Their former names, which are still accepted. They read like a severity, which is measured, not
#: given.
FORMER_NAMES = {"mild": "few-patches", "moderate": "several-patches", "severe": "many-patches"}
#: COVID-19 favours the lower lobes (weights in LOBE_ORDER: RUL, RML, RLL, LUL, LLL).
_LOBE_WEIGHTS = (0.18, 0.08, 0.30, 0.16, 0.28)


def preset_lesions(preset: str, rng: np.random.Generator) -> tuple[PhantomLesion, ...]:
    """The lesions of a preset.

    healthy: none. few-patches, several-patches, many-patches: peripheral GGO patches, some with a
    consolidated core. dense: a third of the right lower lobe consolidated at the pleura. one-lung:
    no left lung, a few patches in the right one. Former names are accepted.
    """
    preset = FORMER_NAMES.get(preset, preset)
    if preset == "healthy":
        return ()
    if preset == "dense":
        dense = PhantomLesion(
            "consolidation", "RLL", (0.55, 1.0, 0.4), (60, 40, 50), lobe_fraction=1 / 3
        )
        return (replace(dense, kind="ggo", lobe_fraction=0.42), dense)
    count, sizes, cores = _PATCHES["few-patches" if preset == "one-lung" else preset]
    names = LOBE_ORDER[:3] if preset == "one-lung" else LOBE_ORDER
    weights = np.array(_LOBE_WEIGHTS[: len(names)])
    # In turn, not by chance: more patches are more infection for every seed.
    shares = np.cumsum(weights / weights.sum())
    first = (np.arange(count) + rng.uniform(0.2, 0.8)) / count
    lobes = [names[i] for i in rng.permutation(np.searchsorted(shares, first))]
    patches = [_patch(rng, lobe, sizes) for lobe in lobes]
    centres = [
        replace(
            patch,
            kind="consolidation",
            axes_mm=_scaled(patch.axes_mm, (0.5, 0.5, 0.5)),
            unevenness=0.75,
        )
        for patch in patches[:cores]
    ]
    return (*patches, *centres)


def _patch(rng: np.random.Generator, lobe: str, sizes: tuple[float, float]) -> PhantomLesion:
    size = rng.uniform(*sizes)
    right = lobe.startswith("R")
    outer = rng.beta(2, 4)  # of the lobe's width, from the ribs
    return PhantomLesion(
        "ggo",
        lobe,
        (
            float(rng.uniform(0.2, 0.85)),
            float(rng.beta(4, 2)),
            float(outer if right else 1 - outer),
        ),
        _scaled((size, size, size), rng.uniform(0.8, 1.3, 3)),
        pleural=bool(rng.random() < 0.85),
        unevenness=float(rng.uniform(0.25, 0.45)),
    )


def _scaled(
    axes_mm: tuple[float, float, float], factors: Sequence[float] | np.ndarray
) -> tuple[float, float, float]:
    z, y, x = (float(axis * factor) for axis, factor in zip(axes_mm, factors, strict=True))
    return z, y, x


@dataclass(frozen=True)
class PlacedLesion:
    """A lesion with its centre in mm and the growth that gives it its share of the lobe."""

    lesion: PhantomLesion
    centre_mm: tuple[float, float, float]
    growth: float = 0.0


def place(lesion: PhantomLesion, plan: Axes, chest: LungShape, ragged: Ragged) -> PlacedLesion:
    """Find the lesion's place on a coarse plan of the chest. ValueError if its lobe is absent."""
    inside = np.argwhere(chest.lobes == LOBES[lesion.lobe])
    if not len(inside):
        raise ValueError(f"the phantom has no {lesion.lobe}")
    low, high = inside.min(axis=0), inside.max(axis=0)
    wanted = low + np.array(lesion.centre) * (high - low)
    candidates = inside
    if lesion.pleural:
        depth = -chest.cage[tuple(inside.T)]
        candidates = inside[depth <= max(8.0, float(depth.min()) + 2.0)]
    nearest = candidates[((candidates - wanted) ** 2).sum(axis=1).argmin()]
    z, y, x = (float(axis.ravel()[i]) for axis, i in zip(plan, nearest, strict=True))
    placed = PlacedLesion(lesion, (z, y, x))
    if lesion.lobe_fraction is None:
        return placed
    outside = _outside(placed, plan, chest.cage, ragged)[tuple(inside.T)]
    return replace(placed, growth=float(np.quantile(outside, lesion.lobe_fraction)))


def lesion_amount(placed: PlacedLesion, axes: Axes, cage: np.ndarray, ragged: Ragged) -> np.ndarray:
    """(D, H, W) 0…1: how far each position belongs to the lesion; inside is > 0.5."""
    soft_mm = 13.0 if placed.lesion.kind == "ggo" else 6.0
    size = float(np.mean(placed.lesion.axes_mm)) * (1 + max(placed.growth, 0.0))
    outside = _outside(placed, axes, cage, ragged) - np.float32(placed.growth)
    return np.clip(0.5 - outside * np.float32(size / soft_mm), 0, 1)


def reach_mm(placed: PlacedLesion) -> tuple[np.ndarray, np.ndarray]:
    """The box beyond which the lesion certainly ends: (low, high) in mm."""
    # Noise shrinks distances to 0.35 of themselves at most; the pleural form to 0.6 ** 0.5.
    weakest = max(0.35, 1 - 3 * placed.lesion.unevenness) * (0.77 if placed.lesion.pleural else 1)
    reach = np.array(placed.lesion.axes_mm) * (1 + placed.growth) / weakest + 8.0
    return np.subtract(placed.centre_mm, reach), np.add(placed.centre_mm, reach)


def _outside(placed: PlacedLesion, axes: Axes, cage: np.ndarray, ragged: Ragged) -> np.ndarray:
    """Negative inside, in parts of the lesion's size."""
    lesion = placed.lesion
    squared = sum(
        ((axis - np.float32(c)) / np.float32(r)) ** 2
        for axis, c, r in zip(axes, placed.centre_mm, lesion.axes_mm, strict=True)
    )
    if lesion.pleural:
        depth = np.clip(-cage, 0, None) / np.float32(0.9 * np.mean(lesion.axes_mm))
        squared = 0.6 * squared + depth**2
    noise = sum(weight * field(axes) for weight, field in zip(_RAGGED, ragged, strict=True))
    # The centre always lies inside: the noise stretches and never moves the whole.
    stretch = np.clip(1 + np.float32(lesion.unevenness) * noise, 0.35, None)
    return np.sqrt(squared) * stretch - 1
