"""Fit the lobe atlas to manual lobe masks.

    python experiments/fit_lobe_atlas.py FOLDER -o src/lungscore/anatomy/lobe_atlas.npz

FOLDER holds the lobe masks of Tang et al. 2019 on LUNA16 (NRRD, value & 511: 4 RUL, 5 RML, 6 RLL,
7 LUL, 8 LLL). The number of modes, the ridge and the shares of the hila were chosen over these
masks (evaluate_lobes.py) by leave-one-out and by fitting to the ten or fifteen lungs least like
the one predicted, among few values: the figures hardly depend on them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nrrd
import numpy as np
from scipy import optimize

from lungscore.anatomy.atlas import LUNG_LOBES, LungAtlas, lung_coordinates, lung_traits
from lungscore.anatomy.borders import terms
from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.lobes import mirrored
from lungscore.files import atomic_path
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.scan import Geometry

SEED, VOXELS_PER_LUNG = 0, 6000
MODES, RIDGE = 12, 1.0
#: What the heights of the lung's own and the other hilum weigh beside its whole shape, which is 1.
HILUM_SHARES = 0.6, 0.3
#: Over how much of the lung's unit a border is soft while it is fitted, and what its bending costs.
SOFTNESS, BENDING = 0.04, 1e-4
LUNA_VALUES = {4: "RUL", 5: "RML", 6: "RLL", 7: "LUL", 8: "LLL"}
#: Masks are read at every n-th voxel so that voxels are near this size, mm.
VOXEL_MM = 1.5

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class LungCase:
    """What the fit sees of one lung: borders (1 or 2, 6), shape, heights of both hila."""

    borders: np.ndarray
    shape: np.ndarray
    hila: tuple[float, float]


def read_values(path: Path) -> tuple[np.ndarray, Geometry]:
    """The values of a file (D, H, W) in canonical axes, as in LUNA_VALUES, and its geometry."""
    values, header = nrrd.read(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(header["space directions"]).T
    affine[:2] *= -1  # the files are in LPS
    geometry = Geometry(values.shape, affine)
    return np.ascontiguousarray(geometry.to_canonical(values) & 511), geometry


def read_lobes(path: Path) -> tuple[np.ndarray, Spacing]:
    """Manual lobes, uint8 (D, H, W) of labels.LOBES in canonical axes, and their spacing."""
    values, geometry = read_values(path)
    table = np.zeros(512, np.uint8)
    for value, name in LUNA_VALUES.items():
        table[value] = LOBES[name]
    lobes = table[values]
    steps = [max(1, round(VOXEL_MM / size)) for size in geometry.spacing_mm]
    spacing = tuple(size * step for size, step in zip(geometry.spacing_mm, steps, strict=True))
    return lobes[:: steps[0], :: steps[1], :: steps[2]].copy(), spacing  # type: ignore[return-value]


def lungs_of(lobes: np.ndarray) -> np.ndarray:
    """The lung labels that manual ``lobes`` make up."""
    right = np.isin(lobes, [LOBES[name] for name in LUNG_LOBES[RIGHT_LUNG]])
    left = np.isin(lobes, [LOBES[name] for name in LUNG_LOBES[LEFT_LUNG]])
    return right * np.uint8(RIGHT_LUNG) + left * np.uint8(LEFT_LUNG)


def lung_cases(lobes: np.ndarray, spacing_mm: Spacing, seed: int) -> dict[int, LungCase]:
    """Both lungs of manual ``lobes``."""
    shapes, hila, borders = {}, {}, {}
    for side in LUNG_LOBES:
        rng = np.random.default_rng((SEED, seed, side))
        mask = lungs_of(lobes) == side
        box = lung_box(mask)
        mask, near = mirrored(mask[box], side), mirrored(lobes[box], side)
        shapes[side], hila[side] = lung_traits(mask, spacing_mm)
        index = np.unravel_index(rng.choice(np.flatnonzero(mask), VOXELS_PER_LUNG), mask.shape)
        z, y, x = (axis[i] for axis, i in zip(lung_coordinates(mask), index, strict=True))
        values = [LOBES[name] for name in LUNG_LOBES[side]]
        lobe = np.argmax(near[index][:, None] == values, axis=1)
        lower, upper = lobe == len(values) - 1, lobe < len(values) - 1
        surfaces = [border(terms(z, x), y, lower)]
        if len(values) > 2:
            surfaces.append(border(terms(y, x)[upper], z[upper], lobe[upper] == 1))
        borders[side] = np.stack(surfaces)
    return {
        side: LungCase(borders[side], shapes[side], (hila[side], hila[other]))
        for side, other in ((RIGHT_LUNG, LEFT_LUNG), (LEFT_LUNG, RIGHT_LUNG))
    }


def border(terms_of: np.ndarray, places: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """(6,) the quadratic that parts places ``beyond`` from the others best, by a logistic loss.

    terms_of: (n, 6); places: (n,) along the axis across which the border lies.
    """
    sign = np.where(beyond, 1.0, -1.0)
    terms_of, places = terms_of.astype(np.float64), places.astype(np.float64)

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        beyond_by = sign * (places - terms_of @ coefficients) / SOFTNESS
        slope = sign / (1 + np.exp(beyond_by.clip(-50, 50))) / SOFTNESS
        value = np.logaddexp(0, -beyond_by).mean() + BENDING * (coefficients[3:] ** 2).sum()
        bending = 2 * BENDING * np.append(np.zeros(3), coefficients[3:])
        return float(value), (terms_of * slope[:, None]).mean(axis=0) + bending

    fitted: np.ndarray = optimize.minimize(loss, np.zeros(6), jac=True, method="L-BFGS-B").x
    return fitted


def fit_atlas(cases: Sequence[LungCase]) -> LungAtlas:
    """The atlas of one lung, with its errors on each lung when fitted to the others."""
    whole = fit_borders(cases)
    distances, errors = [], []
    for index, case in enumerate(cases):
        others = fit_borders([*cases[:index], *cases[index + 1 :]])
        traits = others.traits_of(case.shape, case.hila)
        distances.append(others.distance(case.shape, traits))
        errors.append(case.borders - others.borders_of(traits))
    return replace(
        whole,
        distances=np.array(distances, np.float32),
        errors=np.array(errors, np.float32),
    )


def fit_borders(
    cases: Sequence[LungCase], hilum_shares: tuple[float, float] = HILUM_SHARES
) -> LungAtlas:
    """How shapes vary, and how the borders follow them by a ridge regression."""
    shapes = np.stack([case.shape for case in cases]).astype(np.float64)
    mean = shapes.mean(axis=0)
    _, strength, modes = np.linalg.svd(shapes - mean, full_matrices=False)
    whole = (strength**2).sum()
    count = min(MODES, len(cases) - 1)  # so many directions do so many lungs differ in
    strength, modes = strength[:count], modes[:count]
    deviation = strength / np.sqrt(len(cases))
    heights = np.array([case.hila for case in cases])
    importance = np.append(strength / np.sqrt(whole), np.sqrt(hilum_shares))
    # Stored in float16, so what is fitted here is what will be used.
    unfitted = LungAtlas(
        mean=mean.astype(np.float16),
        modes=(modes / deviation[:, None]).astype(np.float16),
        spread=np.array(whole / len(cases)),
        hila=np.stack([np.nanmean(heights, axis=0), np.nanstd(heights, axis=0)], axis=1),
        importance=importance,
        borders=np.empty(0),
        traits=np.empty(0),
        distances=np.empty(0),
        errors=np.empty(0),
    )
    traits = np.stack([unfitted.traits_of(case.shape, case.hila) for case in cases])
    borders = np.stack([case.borders for case in cases])
    middle = borders.mean(axis=0)
    differences = (borders - middle).reshape(len(cases), -1)
    ridge = traits.T @ traits + RIDGE * np.eye(traits.shape[1])
    changes = np.linalg.solve(ridge, traits.T @ differences).T.reshape(*middle.shape, -1)
    fitted = np.concatenate([middle[..., None], changes], axis=-1)
    return replace(unfitted, borders=fitted.astype(np.float32), traits=traits.astype(np.float32))


def read_cases(folder: Path) -> tuple[list[tuple[np.ndarray, Spacing]], list[dict[int, LungCase]]]:
    """Of every manual mask in ``folder``: what ``read_lobes`` gives, and its lung cases by side."""
    masks = [read_lobes(path) for path in sorted(folder.glob("*.nrrd"))]
    return masks, [lung_cases(*mask, number) for number, mask in enumerate(masks)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    _, cases = read_cases(arguments.folder)
    stored = {}
    for name, side in (("right", RIGHT_LUNG), ("left", LEFT_LUNG)):
        atlas = fit_atlas([case[side] for case in cases])
        for part in LungAtlas.__dataclass_fields__:
            stored[f"{name}_{part}"] = getattr(atlas, part)
    with atomic_path(arguments.out) as path, path.open("wb") as file:
        np.savez_compressed(file, **stored)


if __name__ == "__main__":
    main()
