"""A synthetic chest CT whose lungs, lobes and lesions are exactly known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from lungscore.errors import UsageError
from lungscore.labels import CONSOLIDATION, GGO, LEFT_LUNG, LOBE_ORDER, LOBES, RIGHT_LUNG
from lungscore.scan.phantom.body import paint_airways, paint_body
from lungscore.scan.phantom.lesions import (
    FORMER_NAMES,
    PRESETS,
    PhantomLesion,
    PlacedLesion,
    Ragged,
    lesion_amount,
    place,
    preset_lesions,
    reach_mm,
)
from lungscore.scan.phantom.lungs import LungShape, draw_patient, lung_shape
from lungscore.scan.phantom.shapes import Axes, SmoothField, box, coverage, paint, subgrid
from lungscore.scan.phantom.vessels import Branches, fill_points, grow_trees
from lungscore.scan.scan import Geometry, Scan

#: The field of view that holds the whole chest (z, y, x), and where it starts, in mm.
FIELD_MM = (280.0, 358.4, 358.4)
FIELD_START_MM = (-24.0, -167.0, -179.2)
#: The box around the rib cage, in mm: low and high corner.
CHEST_BOX = (np.array((-60.0, -125.0, -178.0)), np.array((360.0, 112.0, 178.0)))
#: The plan, on which trees and lesions are placed, is as coarse as this at every resolution.
PLAN_MM = 4.0
#: Slices painted at a time: small enough for the processor's cache.
SLAB = 8


@dataclass(frozen=True)
class Phantom:
    """A scan and the truth about it.

    scan: kind "phantom", int16 Hounsfield units. lungs (1 right, 2 left), lobes (labels.LOBES)
    and lesions (1 GGO, 2 consolidation): (D, H, W) uint8 on the scan's voxels. lesion_list: what
    was put in. truth: volumes and percentages counted from the masks, see ``measure_truth``.
    """

    scan: Scan
    lungs: np.ndarray
    lobes: np.ndarray
    lesions: np.ndarray
    lesion_list: tuple[PhantomLesion, ...]
    truth: dict[str, Any]


@dataclass(frozen=True)
class _Fields:
    """The random fields of a phantom, by what they shape."""

    ragged: Ragged
    streaks: SmoothField
    clouds: SmoothField
    texture: SmoothField


def make_phantom(
    preset: str = "several-patches",
    *,
    seed: int = 0,
    shape: tuple[int, int, int] = (112, 256, 256),
    spacing_mm: tuple[float, float, float] | None = None,
    lesions: tuple[PhantomLesion, ...] | None = None,
    noise_hu: float = 18.0,
) -> Phantom:
    """A chest CT of a person who does not exist.

    preset: one of PRESETS, or one of their FORMER_NAMES; it names the case. lesions: takes the
    place of the preset's lesions. shape: (D, H, W).
    spacing_mm: (z, y, x); without it the field of view holds the whole chest; with it the field
    of view stays centred on the chest. noise_hu: standard deviation of the image noise. The same
    seed gives the same voxels; the same patient at another resolution. UsageError for an unknown
    preset.
    """
    if preset not in (*PRESETS, *FORMER_NAMES):
        raise UsageError(
            "usage", f"Unknown phantom preset {preset!r}", expected=f"one of {', '.join(PRESETS)}"
        )
    if spacing_mm is None:
        z, y, x = (field / n for field, n in zip(FIELD_MM, shape, strict=True))
        spacing_mm = (z, y, x)
    anatomy, disease, trees, surfaces, noise = (
        np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(5)
    )
    patient = draw_patient(anatomy, left_lung=preset != "one-lung")
    fields = _Fields(
        (SmoothField(disease, 17.0), SmoothField(disease, 7.0), SmoothField(disease, 3.5)),
        SmoothField(surfaces, 11.0),
        SmoothField(surfaces, 24.0),
        SmoothField(surfaces, 4.2),
    )
    name = f"phantom-{seed}" if lesions is not None else f"phantom-{preset}-{seed}"
    if lesions is None:
        lesions = preset_lesions(preset, disease)

    plan = _axes(tuple(int(n // PLAN_MM) for n in FIELD_MM), (PLAN_MM,) * 3, patient.scale)
    chest = lung_shape(patient, plan)
    room = np.minimum(ndimage.distance_transform_edt(chest.lobes > 0) * PLAN_MM, chest.fissure)
    branches = grow_trees(trees, plan, chest.lobes, room)
    placed = [place(lesion, plan, chest, fields.ragged) for lesion in lesions]

    axes = _axes(shape, spacing_mm, patient.scale)
    vessels, bronchi = (_FilledVoxels(tree, axes) for tree in branches)
    walls = _FilledVoxels(_thicker(branches[1]), axes)
    values = np.empty(shape, np.int16)
    lobe_labels, lesion_labels = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    lesion_voxels = np.zeros(len(lesions), np.int64)
    width_mm = float(np.sqrt(spacing_mm[1] * spacing_mm[2]) / patient.scale)
    for first in range(0, shape[0], SLAB):
        slab = slice(first, min(first + SLAB, shape[0]))
        near = (axes[0][slab], axes[1], axes[2])
        hu = np.full((slab.stop - slab.start, *shape[1:]), -1000, np.float32)
        where = (slice(None), *box(near, *CHEST_BOX, margin=0.0)[1:])
        inner = subgrid(near, where)
        chest = lung_shape(patient, inner)
        paint_body(
            hu,
            near,
            patient=patient,
            chest=chest,
            where=where,
            streaks=fields.streaks,
            width_mm=width_mm,
        )
        lung = _parenchyma(inner, fields)
        view = (slab, *where[1:])
        lesion_voxels += _paint_lesions(lung, inner, chest, placed, fields, lesion_labels[view])
        lung += 150 * coverage(chest.fissure - 0.35, width_mm)
        paint(lung, vessels.amount(slab)[where], 38.0)
        paint(lung, walls.amount(slab)[where], 0.0)
        paint(lung, bronchi.amount(slab)[where], -975.0)
        if not patient.left_lung:
            lung[np.broadcast_to(inner[2] >= 2, lung.shape)] = 12.0  # fluid fills the empty side
        paint(hu[where], coverage(chest.lung, width_mm), lung)
        paint_airways(hu, near, width_mm=width_mm)
        lobe_labels[view] = chest.lobes
        values[slab] = _acquire(hu, noise, noise_hu)
    lungs = _sides(lobe_labels)
    scan = Scan(
        values=values,
        units="hu",
        geometry=_geometry(shape, spacing_mm),
        spacing_mm=spacing_mm,
        sides_known=True,
        kind="phantom",
        name=name,
    )
    truth = measure_truth(lungs, lobe_labels, lesion_labels, voxel_ml=scan.voxel_ml or 0.0)
    truth["lesions_ml"] = [float(n * (scan.voxel_ml or 0.0)) for n in lesion_voxels]
    return Phantom(scan, lungs, lobe_labels, lesion_labels, lesions, truth)


def measure_truth(
    lungs: np.ndarray, lobes: np.ndarray, lesions: np.ndarray, *, voxel_ml: float
) -> dict[str, Any]:
    """Volumes in ml and percentages, counted from label arrays (D, H, W).

    Keys: lungs_ml, right_ml, left_ml, infection_ml, ggo_ml, consolidation_ml, infection_percent,
    ggo_percent, consolidation_percent (of both lungs), right_percent, left_percent (infected part
    of that lung), lobes: for each lobe volume_ml, infection_percent, ggo_percent and
    consolidation_percent of that lobe. A percentage of nothing is None.
    """

    def percent(labels: tuple[int, ...], where: np.ndarray) -> float | None:
        total = int(np.count_nonzero(where))
        if not total:
            return None
        return 100.0 * float(np.count_nonzero(np.isin(lesions[where], labels))) / total

    def millilitres(mask: np.ndarray) -> float:
        return float(np.count_nonzero(mask) * voxel_ml)

    both = (GGO, CONSOLIDATION)
    return {
        "lungs_ml": millilitres(lungs > 0),
        "right_ml": millilitres(lungs == RIGHT_LUNG),
        "left_ml": millilitres(lungs == LEFT_LUNG),
        "infection_ml": millilitres(lesions > 0),
        "ggo_ml": millilitres(lesions == GGO),
        "consolidation_ml": millilitres(lesions == CONSOLIDATION),
        "infection_percent": percent(both, lungs > 0),
        "ggo_percent": percent((GGO,), lungs > 0),
        "consolidation_percent": percent((CONSOLIDATION,), lungs > 0),
        "right_percent": percent(both, lungs == RIGHT_LUNG),
        "left_percent": percent(both, lungs == LEFT_LUNG),
        "lobes": {
            name: {
                "volume_ml": millilitres(lobes == LOBES[name]),
                "infection_percent": percent(both, lobes == LOBES[name]),
                "ggo_percent": percent((GGO,), lobes == LOBES[name]),
                "consolidation_percent": percent((CONSOLIDATION,), lobes == LOBES[name]),
            }
            for name in LOBE_ORDER
        },
    }


class _FilledVoxels:
    """How much of each voxel a set of branches fills, slab by slab."""

    def __init__(self, branches: Branches, axes: Axes) -> None:
        self.shape = tuple(axis.size for axis in axes)
        steps = [float(axis.ravel()[1] - axis.ravel()[0]) for axis in axes]
        points, weights = fill_points(branches, voxel_mm3=float(np.prod(steps)))
        starts = np.array([axis.ravel()[0] for axis in axes])
        index = np.round((points - starts) / steps).astype(np.int64)
        inside = ((index >= 0) & (index < self.shape)).all(axis=1)
        flat = np.ravel_multi_index(tuple(index[inside].T), self.shape)
        order = np.argsort(flat, kind="stable")
        self.flat, self.weights = flat[order], weights[inside][order]

    def amount(self, slab: slice) -> np.ndarray:
        """(slab, H, W) float32, 0…1."""
        size = self.shape[1] * self.shape[2]
        low, high = np.searchsorted(self.flat, (slab.start * size, slab.stop * size))
        filled = np.bincount(
            self.flat[low:high] - slab.start * size,
            self.weights[low:high],
            minlength=(slab.stop - slab.start) * size,
        )
        return np.minimum(filled, 1).astype(np.float32).reshape(-1, *self.shape[1:])


def _thicker(bronchi: Branches) -> Branches:
    """The bronchi with their walls."""
    return Branches(
        bronchi.start,
        bronchi.bend,
        bronchi.end,
        bronchi.start_radius * 1.25 + 0.35,
        bronchi.end_radius * 1.25 + 0.35,
    )


def _parenchyma(axes: Axes, fields: _Fields) -> np.ndarray:
    """Aerated lung: denser at the back (the patient lies), uneven on two scales."""
    gravity = np.clip((axes[1] + 85) / 170, 0, 1)
    return -908 + 42 * gravity + 11 * fields.clouds(axes) + 13 * fields.texture(axes)


def _paint_lesions(
    hu: np.ndarray,
    axes: Axes,
    chest: LungShape,
    placed: list[PlacedLesion],
    fields: _Fields,
    labels: np.ndarray,
) -> np.ndarray:
    """Paint lesions into the lung's ``hu`` and write their labels, in place.

    Returns the voxels (n,) that each lesion holds, also where a later one lies over it.
    """
    voxels = np.zeros(len(placed), np.int64)
    for number, lesion in enumerate(placed):
        where = box(axes, *reach_mm(lesion), margin=0.0)
        if any(s.stop <= s.start for s in where):
            continue
        near = subgrid(axes, where)
        lobe = LOBES[lesion.lesion.lobe]
        if not (chest.lobes[where] == lobe).any():
            continue
        amount = lesion_amount(lesion, near, chest.cage[where], fields.ragged)
        amount *= chest.territory[where] == lobe
        texture = fields.texture(near)
        if lesion.lesion.kind == "ggo":
            patchy = np.clip(0.95 - 0.22 * fields.ragged[1](near), 0.6, 1)
            # Thickened septa: a fine net inside the ground glass.
            net = 110 * np.clip(1 - np.abs(texture) * 3, 0, 1)
            target = -570 + 60 * fields.streaks(near) + 30 * texture + net
            amount_hu = amount * patchy
        else:
            target = 8 + 22 * texture
            amount_hu = amount
        view = hu[where]
        paint(view, amount_hu, np.maximum(view, target))
        infected = (amount > 0.5) & (chest.lobes[where] > 0)
        labels[where][infected] = GGO if lesion.lesion.kind == "ggo" else CONSOLIDATION
        voxels[number] = np.count_nonzero(infected)
    return voxels


def _acquire(hu: np.ndarray, rng: np.random.Generator, noise_hu: float) -> np.ndarray:
    """What the scanner makes of it: blur within the slice, noise with the grain of a kernel."""
    blurred = ndimage.gaussian_filter(hu, (0, 0.5, 0.5))
    if noise_hu > 0:
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        noise = ndimage.gaussian_filter(noise, (0, 0.6, 0.6), mode="wrap")
        blurred += noise * np.float32(noise_hu / noise.std())
    return np.clip(np.round(blurred), -1024, 3071).astype(np.int16)


def _axes(
    shape: tuple[int, ...], spacing_mm: tuple[float, ...], scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxel centres in mm of the reference body; the field of view is centred on the chest."""
    result = []
    for i in range(3):
        middle = FIELD_START_MM[i] + FIELD_MM[i] / 2
        positions = middle + (np.arange(shape[i]) - (shape[i] - 1) / 2) * spacing_mm[i]
        around = [1, 1, 1]
        around[i] = -1
        result.append((positions / scale).astype(np.float32).reshape(around))
    return result[0], result[1], result[2]


def _geometry(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Geometry:
    """Stored as NIfTI files mostly are: columns, rows, slices from the feet upwards."""
    z, y, x = spacing_mm
    depth, height, width = shape
    affine = np.diag([-x, -y, z, 1.0])
    affine[:3, 3] = ((width - 1) * x / 2, (height - 1) * y / 2, -(depth - 1) * z)
    return Geometry((width, height, depth), affine)


def _sides(lobes: np.ndarray) -> np.ndarray:
    """Lungs (1 right, 2 left) from lobes."""
    side = np.zeros(max(LOBES.values()) + 1, np.uint8)
    for name, value in LOBES.items():
        side[value] = RIGHT_LUNG if name.startswith("R") else LEFT_LUNG
    return side[lobes]
