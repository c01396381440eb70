"""Fit the lobe atlas to manual lobe masks.

    python experiments/fit_lobe_atlas.py FOLDER -o src/lungscore/anatomy/lobe_atlas.npz

FOLDER holds the lobe masks of Tang et al. 2019 on LUNA16 (NRRD, value & 511: 4 RUL, 5 RML, 6 RLL,
7 LUL, 8 LLL). The number of modes, the ridge and the importance of the hilum were chosen by
leave-one-out over these masks (evaluate_lobes.py), among few values: the figures hardly depend on
them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import nrrd
import numpy as np
from scipy import optimize

from lungscore.anatomy.atlas import LUNG_LOBES, LungAtlas, lung_coordinates, lung_traits
from lungscore.anatomy.boxes import lung_box
from lungscore.files import atomic_path
from lungscore.labels import LEFT_LUNG, LOBES, RIGHT_LUNG
from lungscore.scan import Geometry

SEED, VOXELS_PER_LUNG = 0, 1500
MODES, HILUM_IMPORTANCE, RIDGE = 12, 0.6, 1e-3
#: A lobe's voxels weigh by its volume to the power of minus this: between as many voxels, as many
#: as they are, and all lobes alike. The middle lobe would suffer otherwise.
BALANCE = 0.5
LUNA_VALUES = {4: "RUL", 5: "RML", 6: "RLL", 7: "LUL", 8: "LLL"}
#: Masks are read at every n-th voxel so that voxels are near this size, mm.
VOXEL_MM = 1.5

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class LungCase:
    """What the fit sees of one lung: quadratic features (n, 10), lobe index (n,), traits."""

    features: np.ndarray
    lobe: np.ndarray
    shape: np.ndarray
    hilum: float


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


def lung_case(lobes: np.ndarray, spacing_mm: Spacing, side: int, seed: int) -> LungCase:
    """One lung of manual ``lobes``, seen at random voxels."""
    rng = np.random.default_rng((SEED, seed, side))
    mask = lungs_of(lobes) == side
    box = lung_box(mask)
    mask, lobes = mask[box], lobes[box]
    if side == LEFT_LUNG:  # the atlas has the lateral side first
        mask, lobes = mask[:, :, ::-1], lobes[:, :, ::-1]
    chosen = rng.choice(np.flatnonzero(mask), VOXELS_PER_LUNG)
    index = np.unravel_index(chosen, mask.shape)
    places = [axis[i] for axis, i in zip(lung_coordinates(mask), index, strict=True)]
    columns = [np.ones(len(chosen)), *places]
    columns += [places[a] * places[b] for a, b in combinations_with_replacement(range(3), 2)]
    values = [LOBES[name] for name in LUNG_LOBES[side]]
    lobe = np.argmax(lobes[index][:, None] == values, axis=1)
    return LungCase(np.stack(columns, axis=1), lobe, *lung_traits(mask, spacing_mm))


def fit_atlas(cases: Sequence[LungCase]) -> LungAtlas:
    """The atlas of one lung: how shapes vary, and how the quadrics of the lobes follow them."""
    shapes = np.stack([case.shape for case in cases]).astype(np.float64)
    mean = shapes.mean(axis=0)
    _, strength, modes = np.linalg.svd(shapes - mean, full_matrices=False)
    strength, modes = strength[:MODES], modes[:MODES]
    deviation = strength / np.sqrt(len(cases))
    # Stored in float16, so what is fitted here is what will be used.
    mean, modes = mean.astype(np.float16), (modes / deviation[:, None]).astype(np.float16)
    heights = np.array([case.hilum for case in cases])
    unfitted = LungAtlas(
        mean,
        modes,
        np.array([np.nanmean(heights), np.nanstd(heights)]),
        np.append(strength / strength[0], HILUM_IMPORTANCE),
        np.empty(0),
    )
    traits = np.stack([unfitted.traits_of(case.shape, case.hilum) for case in cases])
    features = np.stack([case.features for case in cases])
    weights = fit(features, np.stack([case.lobe for case in cases]), traits)
    parts = (unfitted.mean, unfitted.modes, unfitted.hilum, unfitted.importance)
    return LungAtlas(*parts, (weights - weights[:1]).astype(np.float32))


def fit(features: np.ndarray, lobe: np.ndarray, traits: np.ndarray) -> np.ndarray:
    """(lobes, 10, traits) of a multinomial logistic model with a ridge on all but the mean lung.

    features: (cases, n, 10). lobe: (cases, n). traits: (cases, traits), the first of them 1.
    """
    count = lobe.max() + 1
    shape = count, features.shape[2], traits.shape[1]
    one_hot = np.eye(count)[lobe]
    shares = one_hot.mean(axis=(0, 1))
    importance = shares[lobe] ** -BALANCE
    importance /= importance.sum()
    ridge = np.full(shape, RIDGE)
    ridge[:, :, 0] = 1e-5

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        quadrics = np.einsum("kpt,ct->cpk", weights, traits)
        logits = features @ quadrics
        logits -= logits.max(axis=2, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(axis=2, keepdims=True)
        missed = -np.log((chances * one_hot).sum(axis=2) + 1e-12)
        wrong = (chances - one_hot) * importance[:, :, None]
        slope = np.einsum("cpk,ct->kpt", features.transpose(0, 2, 1) @ wrong, traits)
        value = (missed * importance).sum() + (ridge * weights**2).sum()
        return float(value), (slope + 2 * ridge * weights).ravel()

    start = np.zeros(np.prod(shape))
    optimum = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150})
    return optimum.x.reshape(shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    masks = [read_lobes(path) for path in sorted(arguments.folder.glob("*.nrrd"))]
    stored = {}
    for name, side in (("right", RIGHT_LUNG), ("left", LEFT_LUNG)):
        cases = [lung_case(*mask, side, number) for number, mask in enumerate(masks)]
        atlas = fit_atlas(cases)
        for field in LungAtlas.__dataclass_fields__:
            stored[f"{name}_{field}"] = getattr(atlas, field)
    with atomic_path(arguments.out) as path, path.open("wb") as file:
        np.savez_compressed(file, **stored)


if __name__ == "__main__":
    main()
