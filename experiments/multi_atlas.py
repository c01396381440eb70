"""Do other models of the shape of the lungs find lobes better than the one that ships?

    python experiments/multi_atlas.py FOLDER -o experiments/results/multi-atlas.json

FOLDER: as for fit_lobe_atlas.py. Only the right and left lung mask of each case is shown, and all
is leave-one-out: the lobes of the case that is scored are not among those that a model is fitted
to. Lungs are sampled at PLACES³ places fixed in lung_coordinates, where Dice is measured too, also
that of the shipped model. For registration, the depth below the surface of each lung is matched to
the mean of all lungs by demons (Thirion, Med Image Anal 1998); this mean includes the outline of
the case scored, never its lobes. The models:

- label fusion: the registered lobes of the other lungs vote, weighted by likeness of shape and hila
- registered: the regression that ships, but for borders in registered coordinates
- both lungs: one regression for the oblique fissures of both lungs, in the usual coordinates
- means of the borders of two models
- chosen: of all these and the shipped one, the one with the highest mean on the other cases
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from evaluate_lobes import dice, gains, table
from fit_lobe_atlas import (
    HILUM_SHARES,
    RIDGE,
    LungCase,
    border,
    fit_borders,
    lungs_of,
    read_cases,
)
from lungscore.anatomy.atlas import LUNG_LOBES, lung_coordinates
from lungscore.anatomy.borders import Borders, terms
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.lobes import mirrored
from lungscore.files import atomic_write
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.statistics.bootstrap import SEED

SIDES = RIGHT_LUNG, LEFT_LUNG
PLACES, REACH = 32, 1.4
AXIS = np.linspace(-REACH, REACH, PLACES)
GRID = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
INDEX = np.indices((PLACES,) * 3).astype(np.float32)
#: Depths matched lie within these bounds, mm; displacements are smoothed by this many places.
DEPTHS_MM, SMOOTH, ROUNDS = (-20.0, 30.0), 2.0, 25
#: How much the fissure of one lung says about the other's; places at which borders are fitted.
SHARED, FITTED_PLACES = 0.8, 3000


@dataclass(frozen=True)
class Side:
    """The lungs of one side: what a fit sees of them, their lobes (n, PLACES³; 0 outside), the same
    registered, and borders fitted to these; the way back from there (n, 3, PLACES³)."""

    cases: Sequence[LungCase]
    lobes: np.ndarray
    registered: np.ndarray
    borders: np.ndarray
    back: np.ndarray

    def traits(self, known: list[int]) -> np.ndarray:
        """(n, t) of each lung, scaled to the ``known``: its shape and the heights of both hila."""
        shapes = np.stack([case.shape for case in self.cases]).astype(float)
        shapes -= shapes[known].mean(axis=0)
        shapes /= np.sqrt((shapes[known] ** 2).sum(axis=1).mean())
        hila = np.array([case.hila for case in self.cases])
        heights = (hila - np.nanmean(hila[known], axis=0)) / np.nanstd(hila[known], axis=0)
        return np.hstack([shapes, np.nan_to_num(heights) * np.sqrt(HILUM_SHARES)])

    def restored(self, lobes: np.ndarray, case: int) -> np.ndarray:
        """``lobes`` (PLACES³) of registered coordinates in those of a case."""
        shares = [warped((lobes == lobe) * 1.0, self.back[case]) for lobe in range(1, 4)]
        return np.argmax(shares, axis=0) + 1


def sampled(lobes: np.ndarray, spacing_mm: Any, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest lobe of each place, from 1 as in LUNG_LOBES, and its depth in the lung, mm."""
    steps = [max(1, round(3 / size)) for size in spacing_mm]
    lobes = lobes[:: steps[0], :: steps[1], :: steps[2]]
    spacing_mm = np.multiply(spacing_mm, steps)
    mask = lungs_of(lobes) == side
    box = lung_box(mask)
    mask, near = mirrored(mask[box], side), mirrored(lobes[box], side)
    order = np.zeros(max(LOBES.values()) + 1, np.uint8)
    order[[LOBES[name] for name in LUNG_LOBES[side]]] = range(1, len(LUNG_LOBES[side]) + 1)
    inner = np.pad(mask, 2)
    depth_mm = ndimage.distance_transform_edt(inner, sampling=spacing_mm)
    away_mm, nearest = ndimage.distance_transform_edt(
        ~inner, sampling=spacing_mm, return_indices=True
    )
    at = [(AXIS - axis[0]) / (axis[1] - axis[0]) for axis in lung_coordinates(mask)]
    places = np.stack(np.meshgrid(*at, indexing="ij"))
    last = np.reshape(inner.shape, (3, 1, 1, 1)) - 1.0
    inside = (places + 2).clip(0, last)
    beyond = (places + 2 - inside) * np.reshape(spacing_mm, (3, 1, 1, 1))
    depth = ndimage.map_coordinates(depth_mm - away_mm, inside, order=1)
    everywhere = np.pad(order[near], 2)[tuple(nearest)]
    depth -= np.sqrt((beyond**2).sum(axis=0))
    return ndimage.map_coordinates(everywhere, inside, order=0), depth


def warped(values: np.ndarray, by: np.ndarray, order: int = 1) -> np.ndarray:
    """``values`` at every place moved ``by`` (3, …) places."""
    return ndimage.map_coordinates(values, INDEX + by, order=order, mode="nearest")


def displacement(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """(3, …) the smooth displacement that leads from places of ``fixed`` to those of ``moving``."""
    by, slope = np.zeros_like(INDEX), np.stack(np.gradient(fixed))
    for _ in range(ROUNDS):
        off = fixed - warped(moving, by)
        by = by + off * slope / ((slope**2).sum(axis=0) + (off / 4) ** 2 + 1e-3)
        by = np.stack([ndimage.gaussian_filter(part, SMOOTH, truncate=2.5) for part in by])
    return by


def inverse(by: np.ndarray) -> np.ndarray:
    back = np.zeros_like(by)
    for _ in range(8):
        back = -np.stack([warped(part, back) for part in by])
    return back


def side_of(masks: Sequence[Any], cases: Sequence[LungCase], side: int) -> Side:
    pairs = zip(*(sampled(*mask, side) for mask in masks), strict=True)
    lobes, depths = (np.stack(part) for part in pairs)
    inside, depths = depths > 0, depths.clip(*DEPTHS_MM).astype(np.float32)
    mean = depths.mean(axis=0)
    ways = [displacement(mean, depth) for depth in depths]
    registered = [warped(lung, by, 0) for lung, by in zip(lobes, ways, strict=True)]
    borders = np.stack([fitted(lung, mean > 0) for lung in registered])
    back = np.stack([inverse(by) for by in ways])
    return Side(cases, lobes * inside, np.stack(registered), borders, back)


def lobes_of(borders: np.ndarray) -> np.ndarray:
    horizontal = borders[1] if len(borders) > 1 else None
    return np.stack(list(Borders((AXIS, AXIS, AXIS), borders[0], horizontal).lobes())) + 1


def fitted(lobes: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(1 or 2, 6) the borders of ``lobes``, of which only those ``inside`` are looked at."""
    chosen = np.random.default_rng(SEED).choice(np.flatnonzero(inside), FITTED_PLACES)
    z, y, x = (axis.ravel()[chosen] for axis in GRID)
    lobe, last = lobes.ravel()[chosen], lobes.max()
    upper = lobe < last
    surfaces = [border(terms(z, x), y, ~upper)]
    if last == 3:
        surfaces.append(border(terms(y, x)[upper], z[upper], lobe[upper] == 2))
    return np.stack(surfaces)


def predicted(products: np.ndarray, known: list[int], case: int, values: np.ndarray) -> np.ndarray:
    """The value (1 or 2, 6) of ``case`` by a ridge regression on the values of the ``known``."""
    mean = values[known].mean(axis=0)
    inner = products[np.ix_(known, known)] + RIDGE * np.eye(len(known))
    weights = np.linalg.solve(inner, products[known, case])
    return mean + np.tensordot(weights, values[known] - mean, 1)


def of_both_lungs(
    traits: dict[int, np.ndarray], known: list[int], case: int, borders: dict[int, np.ndarray]
) -> list[np.ndarray]:
    """The oblique border (6,) of either lung of ``case``, from the lungs of both sides."""
    both, count = np.vstack(list(traits.values())), len(traits[RIGHT_LUNG])
    side = np.arange(2 * count) // count
    products = both @ both.T * np.where(side == side[:, None], 1.0, SHARED)
    means = [borders[side][known, 0].mean(axis=0) for side in SIDES]
    off = np.vstack([borders[side][:, 0] - mean for side, mean in zip(SIDES, means, strict=True)])
    rows = known + [count + lung for lung in known]
    return [means[n] + predicted(products, rows, n * count + case, off) for n in range(2)]


def lobes_by_model(sides: dict[int, Side], case: int) -> dict[str, dict[int, np.ndarray]]:
    """By model and side, the lobes of ``case``, 0 outside the lung."""
    known = [lung for lung in range(len(sides[RIGHT_LUNG].cases)) if lung != case]
    traits = {side: lungs.traits(known) for side, lungs in sides.items()}
    borders = {side: np.stack([c.borders for c in lungs.cases]) for side, lungs in sides.items()}
    obliques = of_both_lungs(traits, known, case, borders)
    models: dict[str, dict[int, np.ndarray]] = {}
    for oblique, (side, lungs) in zip(obliques, sides.items(), strict=True):
        products, inside = traits[side] @ traits[side].T, lungs.lobes[case] > 0
        atlas, lung = fit_borders([lungs.cases[index] for index in known]), lungs.cases[case]
        shipped = atlas.borders_of(atlas.traits_of(lung.shape, lung.hila))
        both = np.vstack([oblique[None], predicted(products, known, case, borders[side])[1:]])
        moved = lungs.restored(lobes_of(predicted(products, known, case, lungs.borders)), case)
        unlikeness = ((traits[side][known] - traits[side][case]) ** 2).sum(axis=1)
        weights, others = np.exp(-unlikeness), lungs.registered[known]
        votes = [np.tensordot(weights, others == lobe, 1) for lobe in range(1, 4)]
        registered = fitted(moved, inside)
        for name, lobes in {
            "shipped": lobes_of(shipped),
            "label fusion": lungs.restored(np.argmax(votes, axis=0) + 1, case),
            "registered": moved,
            "both lungs": lobes_of(both),
            "mean of shipped and registered": lobes_of((shipped + registered) / 2),
            "mean of both lungs and registered": lobes_of((both + registered) / 2),
        }.items():
            models.setdefault(name, {})[side] = lobes * inside
    return models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    masks, cases = read_cases(arguments.folder)
    sides = {side: side_of(masks, [case[side] for case in cases], side) for side in SIDES}
    rows: dict[str, list[list[float]]] = {}
    for case in range(len(cases)):
        for name, model in lobes_by_model(sides, case).items():
            scores = [
                dice(model[side] == number, sides[side].lobes[case] == number)
                for side, names in LUNG_LOBES.items()
                for number in range(1, len(names) + 1)
            ]
            rows.setdefault(name, []).append(scores)
    dices = {name: np.array(scores) for name, scores in rows.items()}
    scores_of_all = np.stack(list(dices.values()))
    means = scores_of_all.mean(axis=2)
    best = (means.sum(axis=1, keepdims=True) - means).argmax(axis=0)
    dices["chosen"] = scores_of_all[best, np.arange(len(cases))]
    results = {
        "what": "Dice of lobes found from the lung mask's shape by several models, leave-one-out",
        "data": "26 manual lobe masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": f"python experiments/multi_atlas.py FOLDER -o {arguments.out.as_posix()}",
        "n": len(cases),
        "seed": SEED,
        "interval": "95 % percentile bootstrap over cases",
        "dice": {name: table(scores) for name, scores in dices.items()},
        "gain": {name: gains(scores, dices["shipped"]) for name, scores in dices.items()},
    }
    atomic_write(arguments.out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps({name: figures["mean of five"] for name, figures in results["gain"].items()}))


if __name__ == "__main__":
    main()
