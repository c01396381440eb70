"""Fit and measure what tells lungs that lack a lobe, on manual lobe masks with lobes taken away.

    python experiments/missing_lobes.py FOLDER -o src/lungscore/anatomy/missing_lobes.npz \\
        --results experiments/results/missing_lobes.json

FOLDER: as for fit_lobe_atlas.py. A lobe is taken out of the mask of its lung; of its room, the
part nearest to the other lobes is given back, as far as these have expanded into it: nothing (the
lobe is collapsed or resected and its neighbours stay as they were), half, three quarters, or all,
after which the mask is that of a whole lung. The shapes are fitted with nothing and half given
back. All figures are leave-one-out.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from fit_lobe_atlas import lungs_of, read_lobes
from lungscore.anatomy.atlas import LUNG_LOBES, lung_shape
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.lobes import mirrored
from lungscore.anatomy.missing import LungShapes
from lungscore.files import atomic_path, atomic_write
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG

MODES, RIDGE = 12, 0.3
#: The parts of a lobe's room that its neighbours fill; and those that the fit sees.
FILLED, FITTED = (0.0, 0.5, 0.75, 1.0), (0.0, 0.5)

#: Of one lung, by the lobe taken away (None for none) and the part of its room that is filled.
Shapes = dict[tuple[str | None, float], np.ndarray]


def shapes_of(lobes: np.ndarray, spacing_mm: tuple[float, ...], side: int) -> Shapes:
    """The shapes of one lung, whole and without each lobe."""
    whole = lungs_of(lobes) == side
    box = lung_box(whole)
    whole, lobes = whole[box], lobes[box]
    shapes: Shapes = {(None, 1.0): shape_of(whole, spacing_mm, side)}
    for name in LUNG_LOBES[side]:
        lobe = lobes == LOBES[name]
        rest = whole & ~lobe
        away_mm = ndimage.distance_transform_edt(~rest, sampling=spacing_mm)
        shapes[name, 1.0] = shapes[None, 1.0]
        for filled in FILLED[:-1]:
            given_back = lobe & (away_mm <= np.quantile(away_mm[lobe], filled)) if filled else False
            shapes[name, filled] = shape_of(rest | given_back, spacing_mm, side)
    return shapes


def shape_of(mask: np.ndarray, spacing_mm: tuple[float, ...], side: int) -> np.ndarray:
    return lung_shape(mirrored(mask[lung_box(mask)], side), spacing_mm)  # type: ignore[arg-type]


def fit_shapes(cases: Sequence[Shapes], side: int) -> LungShapes:
    """A linear discriminant: one covariance of all kinds, each about its own middle."""
    kinds = [[case[None, 1.0] for case in cases]]
    for name in LUNG_LOBES[side]:
        kinds.append([case[name, filled] for case in cases for filled in FITTED])
    stacked = [np.stack(kind).astype(np.float64) for kind in kinds]
    every = np.concatenate(stacked)
    mean = every.mean(axis=0).astype(np.float16)
    _, _, modes = np.linalg.svd(every - every.mean(axis=0), full_matrices=False)
    modes = modes[:MODES].astype(np.float16)
    places = [(kind - mean) @ modes.T.astype(np.float64) for kind in stacked]
    within = sum(np.cov(kind.T) for kind in places) / len(places) + RIDGE * np.eye(MODES)
    middles = np.stack([kind.mean(axis=0) for kind in places])
    return LungShapes(mean, modes, middles, np.linalg.inv(within))


def measure(cases: Mapping[int, Sequence[Shapes]]) -> dict[str, Any]:
    """Named and accused, each case with shapes that were fitted without it."""
    named = {filled: dict.fromkeys(LOBES, 0) for filled in FILLED}
    misnamed = dict.fromkeys(FILLED, 0)
    accused, count = [], len(cases[RIGHT_LUNG])
    for index in range(count):
        for side, lungs in cases.items():
            fitted = fit_shapes([*lungs[:index], *lungs[index + 1 :]], side)
            for (lobe, filled), shape in lungs[index].items():
                missing = fitted.missing(shape)
                name = None if missing is None else LUNG_LOBES[side][missing]
                if lobe is None:
                    accused += [[index, name]] if name else []
                else:
                    named[filled][lobe] += name == lobe
                    misnamed[filled] += name not in (lobe, None)
    total = count * len(LOBES)
    return {
        "n": count,
        "healthy_accused": accused,
        "by_part_of_the_room_filled": {
            f"{filled:g}": {
                "named": sum(named[filled].values()),
                "another_lobe_named": misnamed[filled],
                "of": total,
                "named_by_lobe": named[filled],
            }
            for filled in FILLED
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args()
    cases: dict[int, list[Shapes]] = {RIGHT_LUNG: [], LEFT_LUNG: []}
    for path in sorted(arguments.folder.glob("*.nrrd")):
        lobes, spacing_mm = read_lobes(path)
        steps = tuple(2 if size < 2 else 1 for size in spacing_mm)
        lobes = lobes[:: steps[0], :: steps[1], :: steps[2]]
        coarse = tuple(size * step for size, step in zip(spacing_mm, steps, strict=True))
        for side, shapes in cases.items():
            shapes.append(shapes_of(lobes, coarse, side))
        print(len(cases[RIGHT_LUNG]), flush=True)
    stored = {}
    for name, side in (("right", RIGHT_LUNG), ("left", LEFT_LUNG)):
        fitted = fit_shapes(cases[side], side)
        for part in LungShapes.__dataclass_fields__:
            stored[f"{name}_{part}"] = getattr(fitted, part)
    with atomic_path(arguments.out) as path, path.open("wb") as file:
        np.savez_compressed(file, **stored)
    results = {
        "what": "lobes taken out of manual masks that are named by the shape of their lung",
        "data": "26 manual lobe masks of LUNA16 scans (Tang et al. 2019, CC BY-NC-SA 4.0)",
        "command": "python experiments/missing_lobes.py FOLDER "
        f"-o {arguments.out.as_posix()} --results {arguments.results.as_posix()}",
        **measure(cases),
    }
    atomic_write(arguments.results, json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
