"""Branching vessels and bronchi of the phantom's lungs.

Each lobe has an artery, a vein and a bronchus. A tree grows from the hilum by taking in points
spread through its lobe, always the one that costs least new vessel while its way back to the
hilum stays short (the balance of Cuntz et al., PLoS Comput Biol 2010;6:e1000877). Radii follow
Murray's law: the power of a branch's radius is the sum of its children's.
"""

from dataclasses import dataclass

import numpy as np

from lungscore.labels import LOBES
from lungscore.scan.phantom.shapes import Axes

#: Where the trees of each lobe enter: artery, vein (z, y, x in mm).
ROOTS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "RUL": ((110, 2, -38), (128, -6, -34)),
    "RML": ((132, 2, -42), (138, -4, -34)),
    "RLL": ((132, 14, -44), (148, 16, -30)),
    "LUL": ((110, 6, 44), (130, -6, 34)),
    "LLL": ((126, 24, 50), (148, 18, 34)),
}
#: Points per tree, and how much a long way to the hilum counts against a short new branch.
TARGETS, DIRECTNESS = 620, 0.55
TIP_RADIUS_MM, MURRAY = 0.42, 2.7
#: Bronchi are drawn beside arteries that are at least this thick.
BRONCHUS_FROM_MM = 1.6


@dataclass(frozen=True)
class Branches:
    """Curved pieces of n vessels: start, bend, end (n, 3) in mm, radius at both ends (n,)."""

    start: np.ndarray
    bend: np.ndarray
    end: np.ndarray
    start_radius: np.ndarray
    end_radius: np.ndarray

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
            picked = inside[rng.integers(len(inside), size=TARGETS)]
            targets = np.stack([positions[i][picked[:, i]] for i in range(3)], axis=1)
            targets += rng.uniform(-2, 2, targets.shape)
            tree = grow_tree(np.array(root, dtype=np.float64), targets)
            vessels.append(tree)
            if root is artery:
                bronchi.append(_bronchi_beside(tree))
    return _join(vessels), _join(bronchi)


def grow_tree(root: np.ndarray, targets: np.ndarray) -> Branches:
    """The tree from ``root`` (3,) to all ``targets`` (n, 3)."""
    points = np.concatenate([root[None], targets])
    parent, order = _connect(points)
    tips = np.ones(len(points))  # tips served by each point
    for i in order[::-1]:
        tips[parent[i]] += tips[i]
    heaviest = np.zeros(len(points), dtype=np.int64)
    by_weight = order[np.argsort(tips[order], kind="stable")]
    heaviest[parent[by_weight]] = by_weight  # the last one written is the heaviest child
    inner = np.nonzero(heaviest)[0]
    inner = inner[inner > 0]
    for _ in range(3):  # straighten the main ways
        middle = (points[parent[inner]] + points[heaviest[inner]]) / 2
        points[inner] = 0.45 * points[inner] + 0.55 * middle
    radius = TIP_RADIUS_MM * tips ** (1 / MURRAY)
    start, end = points[parent[order]], points[order]
    heading = start - points[parent[parent[order]]]
    heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-6
    length = np.linalg.norm(end - start, axis=1, keepdims=True)
    bend = 0.6 * (start + end) / 2 + 0.4 * (start + 0.45 * length * heading)
    # A side branch starts at its own radius, the main branch goes on from its parent's.
    main = heaviest[parent[order]] == order
    start_radius = np.where(main, radius[parent[order]], radius[order] * 1.15)
    return Branches(start, bend, end, np.minimum(start_radius, radius[order] * 1.5), radius[order])


def _connect(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parents (n + 1,) of the points of a tree rooted at point 0, and the order they joined."""
    count = len(points)
    parent = np.zeros(count, dtype=np.int64)
    way = np.zeros(count)
    distance = np.linalg.norm(points - points[0], axis=1)
    cost = (1 + DIRECTNESS) * distance
    cost[0] = np.inf
    waiting = np.arange(count) > 0
    order = np.empty(count - 1, dtype=np.int64)
    for step in range(count - 1):
        new = int(cost.argmin())
        order[step], cost[new], waiting[new] = new, np.inf, False
        way[new] = way[parent[new]] + np.linalg.norm(points[new] - points[parent[new]])
        offsets = points - points[new]
        through = (1 + DIRECTNESS) * np.sqrt(np.einsum("ij,ij->i", offsets, offsets))
        through += DIRECTNESS * way[new]
        better = (through < cost) & waiting
        cost[better], parent[better] = through[better], new
    return parent, order


def _bronchi_beside(artery: Branches) -> Branches:
    """Airways that run beside the thicker parts of an artery."""
    tree = artery[artery.end_radius > BRONCHUS_FROM_MM]
    aside = np.array([0.25, 0.7, -0.65]) * (tree.start_radius * 1.75 + 0.5)[:, None]
    return Branches(
        tree.start + aside,
        tree.bend + aside,
        tree.end + aside,
        tree.start_radius * 0.72,
        tree.end_radius * 0.72,
    )


def _join(trees: list[Branches]) -> Branches:
    names = Branches.__dataclass_fields__
    return Branches(*(np.concatenate([getattr(tree, name) for tree in trees]) for name in names))


def fill_points(branches: Branches, *, voxel_mm3: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) in mm that fill the branches evenly, and the part of a voxel each fills."""
    chord = np.linalg.norm(branches.end - branches.start, axis=1) + 0.2
    section = np.pi * ((branches.start_radius + branches.end_radius) / 2) ** 2
    volume = chord * section / voxel_mm3  # in voxels
    # Sixteen points in a full voxel, and no gap of more than 1 mm along thin branches.
    counts = np.maximum(np.maximum(1, chord), np.round(volume * 16)).astype(np.int64)
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
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(direction, first)
    across = np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second
    return centre + radius[:, None] * across, (volume / counts)[branch]
