"""Branching vessels and bronchi of the phantom's lungs.

Each lobe has an artery, a vein and a bronchus. A tree grows by halving a set of target points
spread through its lobe again and again, each half getting a branch towards its middle; radii
follow Murray's law (the cube of a branch's radius is the sum of its children's cubes, here with
the exponent 2.7 that lungs show).
"""

from dataclasses import dataclass

import numpy as np

from lungscore.labels import LOBES
from lungscore.scan.phantom_shapes import Axes

#: Where the trees of each lobe enter: artery, vein (z, y, x in mm).
ROOTS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "RUL": ((110, 2, -38), (128, -6, -34)),
    "RML": ((132, 2, -42), (138, -4, -34)),
    "RLL": ((132, 14, -44), (148, 16, -30)),
    "LUL": ((110, 6, 44), (130, -6, 34)),
    "LLL": ((126, 24, 50), (148, 18, 34)),
}
#: 2 ** LEVELS targets per tree.
LEVELS = 10
LEAF_RADIUS_MM = 0.36
MURRAY = 2.7


@dataclass(frozen=True)
class Branches:
    """Curved pieces of n vessels: start, bend and end (n, 3) in mm, radius at start and end (n,).

    generation: 0 at the root.
    """

    start: np.ndarray
    bend: np.ndarray
    end: np.ndarray
    start_radius: np.ndarray
    end_radius: np.ndarray
    generation: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> "Branches":
        return Branches(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def grow_trees(
    rng: np.random.Generator, plan: Axes, lobes: np.ndarray, room_mm: np.ndarray
) -> tuple[Branches, Branches]:
    """All vessels, and the bronchi (radius of the airway inside), of the lobes of a coarse plan.

    room_mm: distance of each plan voxel to the pleura or a fissure; vessels keep away from both.
    """
    vessels, bronchi = [], []
    positions = [axis.ravel() for axis in plan]
    for name, (artery, vein) in ROOTS.items():
        inside = np.argwhere((lobes == LOBES[name]) & (room_mm > 3.5))
        if len(inside) < 2:
            continue
        for root in (artery, vein):
            picked = inside[rng.integers(len(inside), size=2**LEVELS)]
            targets = np.stack([positions[i][picked[:, i]] for i in range(3)], axis=1)
            targets += rng.uniform(-2, 2, targets.shape)
            tree = _grow(rng, np.array(root, dtype=np.float64), targets)
            vessels.append(tree)
            if root is artery:
                bronchi.append(_bronchi_beside(tree))
    return _join(vessels), _join(bronchi)


def _grow(rng: np.random.Generator, root: np.ndarray, targets: np.ndarray) -> Branches:
    """Halve the targets level by level; all branches of a level at once."""
    count = len(targets)
    group = np.zeros(count, dtype=np.int64)
    tips, before = root[None], root[None] - (root * (0, 0, 0.2))[None]
    levels = []
    for generation in range(LEVELS + 1):
        groups = 2**generation
        size = count // groups
        middle = np.stack([np.bincount(group, targets[:, i]) for i in range(3)], axis=1) / size
        parent = np.arange(groups) // 2 if generation else np.zeros(1, dtype=np.int64)
        start = tips[parent]
        reach = rng.uniform(0.42, 0.62, (groups, 1)) if generation < LEVELS else 1.0
        if generation == 0:
            reach = 0.28
        end = start + reach * (middle - start)
        length = np.linalg.norm(end - start, axis=1, keepdims=True)
        end = end + rng.normal(0, 0.07, end.shape) * length
        heading = start - before[parent]
        heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-6
        bend = (start + end) / 2 * 0.5 + (start + 0.45 * length * heading) * 0.5
        radius = LEAF_RADIUS_MM * size ** (1 / MURRAY) * np.ones(groups)
        thinner = radius * (0.86 if generation < LEVELS else 0.5)
        levels.append(
            Branches(start, bend, end, radius, thinner, np.full(groups, generation))
        )
        tips, before = end, bend
        if generation < LEVELS:
            group = _halve(targets - end[group], group, groups)
    return _join(levels)


def _halve(offsets: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Split every group at the median of its widest direction."""
    size = len(group) // groups
    by_group = np.argsort(group, kind="stable").reshape(groups, size)
    members = offsets[by_group]  # (groups, size, 3)
    widest = np.argmax(members.std(axis=1), axis=1)
    along = np.take_along_axis(members, widest[:, None, None], axis=2)[..., 0]
    ranked = np.take_along_axis(by_group, np.argsort(along, axis=1), axis=1)
    result = np.empty_like(group)
    result[ranked[:, : size // 2].ravel()] = np.repeat(2 * np.arange(groups), size // 2)
    result[ranked[:, size // 2 :].ravel()] = np.repeat(2 * np.arange(groups) + 1, size // 2)
    return result


def _bronchi_beside(artery: Branches) -> Branches:
    """Airways that run beside the first generations of an artery."""
    tree = artery[artery.generation <= 5]
    aside = np.array([0.25, 0.7, -0.65]) * (tree.start_radius * 1.75 + 0.5)[:, None]
    return Branches(
        tree.start + aside,
        tree.bend + aside,
        tree.end + aside,
        tree.start_radius * 0.72,
        tree.end_radius * 0.72,
        tree.generation,
    )


def _join(parts: list[Branches]) -> Branches:
    names = Branches.__dataclass_fields__
    return Branches(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def fill_points(branches: Branches, *, voxel_mm3: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) in mm that fill the branches evenly, and the part of a voxel each fills."""
    chord = np.linalg.norm(branches.end - branches.start, axis=1) + 0.2
    section = np.pi * ((branches.start_radius + branches.end_radius) / 2) ** 2
    volume = chord * section / voxel_mm3  # in voxels
    # Nine points in a full voxel, and no gap of more than 1 mm along thin branches.
    counts = np.maximum(np.maximum(1, chord), np.round(volume * 9)).astype(np.int64)
    branch = np.repeat(np.arange(len(counts)), counts)
    order = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    t = ((order + 0.5) / counts[branch])[:, None]
    start, bend, end = (getattr(branches, name)[branch] for name in ("start", "bend", "end"))
    centre = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
    thickness = branches.end_radius - branches.start_radius
    radius = branches.start_radius[branch] + t[:, 0] * thickness[branch]
    # A sunflower spiral fills the disc across the branch without gaps or clumps.
    radius = radius * np.sqrt((order * 0.7548776662 + 0.5) % 1.0)
    turn = order * 2.399963229728653
    direction = end - start
    direction = direction / (np.linalg.norm(direction, axis=1, keepdims=True) + 1e-9)
    helper = np.where(np.abs(direction[:, :1]) < 0.8, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    first = np.cross(direction, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(direction, first)
    across = np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second
    return centre + radius[:, None] * across, (volume / counts)[branch]
