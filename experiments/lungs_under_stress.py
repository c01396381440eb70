"""Lungs of phantoms under stress: dense lobes, thick slices, noise, one lung, fluid.

Used by evaluate_lungs.py. The phantoms of seeds 0 to 2 served to choose thresholds; these are
others.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from lungscore.anatomy import find_lungs, include_infection, lung_field
from lungscore.labels import LEFT_LUNG, LOBE_ORDER, RIGHT_LUNG
from lungscore.scan.phantom import Phantom, PhantomLesion, make_phantom
from lungscore.scan.phantom.make import FIELD_MM

SEEDS, FEWER_SEEDS = (3, 4, 5, 6, 7), (3, 4, 5)
SIDES = {"right": RIGHT_LUNG, "left": LEFT_LUNG}
#: Where in its lobe a consolidation begins: at the ribs, or at the diaphragm behind.
AT_RIBS = {"R": (0.55, 1.0, 0.3), "L": (0.55, 1.0, 0.7)}
AT_DIAPHRAGM = (1.0, 0.9, 0.5)
SLICES_MM = (1.0, 2.5, 5.0, 10.0)
NOISE_HU = (18.0, 60.0, 100.0)
#: Part of a lung's room that fluid takes, and its density.
FLUID_PARTS, FLUID_HU = (0.1, 0.25), 20.0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    total = int(a.sum()) + int(b.sum())
    return round(2 * int((a & b).sum()) / total, 4) if total else float("nan")


def measure_stress() -> dict[str, Any]:
    """Every table, each row as mean and lowest over its phantoms."""
    return {
        "seeds": list(SEEDS),
        "fewer_seeds": list(FEWER_SEEDS),
        "a third of a lobe at the ribs": {
            lobe: summary(consolidated(lobe, seed, 1 / 3, AT_RIBS[lobe[0]]) for seed in SEEDS)
            for lobe in LOBE_ORDER
        },
        "at the diaphragm": {
            f"{lobe}, {name}": summary(
                consolidated(lobe, seed, part, AT_DIAPHRAGM) for seed in FEWER_SEEDS
            )
            for lobe in ("RLL", "LLL")
            for name, part in (("one third", 1 / 3), ("two thirds", 2 / 3))
        },
        "slices": {
            f"{preset}, {size:g} mm": summary(sliced(preset, seed, size) for seed in FEWER_SEEDS)
            for preset in ("healthy", "dense")
            for size in SLICES_MM
        },
        "noise": {
            f"{preset}, {noise:g} HU": summary(
                measure(make_phantom(preset, seed=seed, noise_hu=noise)) for seed in FEWER_SEEDS
            )
            for preset in ("healthy", "dense")
            for noise in NOISE_HU
        },
        "one lung": summary(measure(make_phantom("one-lung", seed=s)) for s in FEWER_SEEDS),
        "fluid": {
            f"{side}, {part:.0%}": summary(
                with_fluid(make_phantom("healthy", seed=seed), SIDES[side], part)
                for seed in FEWER_SEEDS
            )
            for side in SIDES
            for part in FLUID_PARTS
        },
    }


def summary(rows: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Mean of each number over the phantoms, of Dice the lowest too; n phantoms."""
    found = list(rows)
    out: dict[str, Any] = {"n": len(found)}
    for name in found[0]:
        values = [row[name] for row in found]
        out[name] = round(float(np.mean(values)), 4)
        if name.startswith("dice"):
            out[f"{name}_lowest"] = min(values)
    return out


def consolidated(
    lobe: str, seed: int, part: float, centre: tuple[float, float, float]
) -> dict[str, float]:
    """A phantom with that part of ``lobe`` consolidated; Dice of the lung that holds it."""
    lesion = PhantomLesion("consolidation", lobe, centre, (60, 40, 50), lobe_fraction=part)
    case = make_phantom("healthy", seed=seed, lesions=(lesion,))
    return measure(case, sides=(RIGHT_LUNG if lobe.startswith("R") else LEFT_LUNG,))


def sliced(preset: str, seed: int, slice_mm: float) -> dict[str, float]:
    """A phantom in slices that far apart."""
    pixel = FIELD_MM[1] / 256
    shape = (round(FIELD_MM[0] / slice_mm), 256, 256)
    return measure(
        make_phantom(preset, seed=seed, shape=shape, spacing_mm=(slice_mm, pixel, pixel))
    )


def with_fluid(case: Phantom, side: int, part: float) -> dict[str, float]:
    """Measures of ``effused``, and what part of the fluid is taken for lung."""
    wet, fluid = effused(case, side, part)
    labels = find_lungs(wet.scan).labels
    return {**measure(wet), "fluid_in_lungs": round(float((labels[fluid] > 0).mean()), 4)}


def effused(case: Phantom, side: int, part: float) -> tuple[Phantom, np.ndarray]:
    """A phantom with an effusion: fluid at the back and base of one lung's room, up the ribs.

    The fluid, bool (D, H, W), is no lung.
    """
    room = case.lungs == side
    spacing_mm = np.array(case.scan.spacing_mm)
    depth_mm = ndimage.distance_transform_edt(room, sampling=spacing_mm)
    z, y, _ = np.nonzero(room)
    low = 0.6 * (y - y.min()) / np.ptp(y) + 0.4 * (z - z.min()) / np.ptp(z)
    low -= 0.3 * np.minimum(depth_mm[room], 40) / 40
    fluid = np.zeros_like(room)
    fluid[room] = low > np.quantile(low, 1 - part)
    values = case.scan.values.astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 18, int(fluid.sum()))
    values[fluid] = FLUID_HU + noise
    # Voxels that lung filled in part only are filled by fluid now.
    edge = ndimage.binary_dilation(fluid, iterations=2) & (case.lungs == 0) & (values < -50)
    values[edge] = FLUID_HU
    scan = replace(case.scan, values=np.round(values).astype(np.int16))
    return replace(case, scan=scan, lungs=np.where(fluid, 0, case.lungs).astype(np.uint8)), fluid


def measure(case: Phantom, *, sides: tuple[int, ...] = (RIGHT_LUNG, LEFT_LUNG)) -> dict[str, float]:
    """Dice of the worse of ``sides``, as found and with the true infection joined.

    Also how much of the lung that is missing the field holds, and what is not lung though found,
    in ml, and how much of that is gas: trachea, bronchi, bowel.
    """
    scan = case.scan
    found = find_lungs(scan)
    joined = include_infection(found, case.lesions > 0, scan)
    there = [side for side in sides if (case.lungs == side).any()]
    aerated = found.labels if found.aerated is None else found.aerated
    hidden = (case.lungs > 0) & (aerated == 0)
    wrong = (found.labels > 0) & (case.lungs == 0)
    voxel_ml = scan.voxel_ml or float("nan")
    return {
        "dice": min(dice(found.labels == side, case.lungs == side) for side in there),
        "dice_with_infection": min(
            dice(joined.labels == side, case.lungs == side) for side in there
        ),
        "hidden_ml": float(hidden.sum()) * voxel_ml,
        "hidden_in_field": float(lung_field(found, scan.spacing_mm)[hidden].mean()),
        "wrong_ml": float(wrong.sum()) * voxel_ml,
        "wrong_gas_ml": float((wrong & (scan.values < -700)).sum()) * voxel_ml,
    }
