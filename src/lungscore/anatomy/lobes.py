"""Lobes from the shape of the lungs, and from the fissures where a CT shows them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lungscore.anatomy.atlas import (
    BLOCK_MM,
    LUNG_LOBES,
    LungAtlas,
    load_atlas,
    lung_coordinates,
    lung_traits,
)
from lungscore.anatomy.borders import Borders
from lungscore.anatomy.boxes import Box, box_of_label
from lungscore.anatomy.fissures import THICKEST_MM
from lungscore.anatomy.grid import spacing_of_lungs
from lungscore.anatomy.pieces import join_pieces
from lungscore.labels import LEFT_LUNG, LOBES

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class LungDivision:
    """How one lung was divided.

    box: where the lung lies; shape: of the lung (atlas.lung_shape); borders: those within the box,
    of the left lung in a mirror.
    errors: (N, 1 or 2, 6) by how much each border may be off, as ``Borders.moved`` takes it: the
    errors of the atlas on each of its own lungs, scaled to how unusual this lung is.
    """

    box: Box
    shape: np.ndarray
    borders: Borders
    errors: np.ndarray


@dataclass(frozen=True, eq=False)
class DividedLungs:
    """Lobes, uint8 (D, H, W) of labels.LOBES, and by the label of each lung how they came about."""

    lobes: np.ndarray
    lungs: Mapping[int, LungDivision]


def find_lobes(
    lung_labels: np.ndarray,
    spacing_mm: Spacing | None,
    *,
    hounsfield: np.ndarray | None = None,
    atlas: Mapping[int, LungAtlas] | None = None,
) -> np.ndarray:
    """The lobes of the lungs, uint8 (D, H, W) of labels.LOBES; see ``divide_lungs``."""
    return divide_lungs(lung_labels, spacing_mm, hounsfield=hounsfield, atlas=atlas).lobes


def divide_lungs(
    lung_labels: np.ndarray,
    spacing_mm: Spacing | None,
    *,
    hounsfield: np.ndarray | None = None,
    atlas: Mapping[int, LungAtlas] | None = None,
) -> DividedLungs:
    """Divide the lungs into lobes.

    lung_labels: (D, H, W) with 1 right and 2 left lung; a lung that is missing has no lobes.
    spacing_mm: (z, y, x), None where unknown. hounsfield: (D, H, W) the CT, or None. The lower lobe
    lies behind a quadratic surface, the middle lobe below another; both follow from the shape of
    the lung and the heights of both hila by a ridge regression on manual lobe masks (anatomy.atlas,
    the default of ``atlas``). Where the CT is thin enough and shows a fissure near the border of
    two lobes, the border moves there (anatomy.fissures). Without, the result is an approximation.
    """
    atlas = atlas or load_atlas()
    if spacing_mm is None or spacing_mm[0] > THICKEST_MM:
        hounsfield = None
    if spacing_mm is None:
        spacing_mm = spacing_of_lungs(lung_labels)
    boxes, shapes, hila = {}, {}, {}
    for side in LUNG_LOBES:
        if (box := box_of_label(lung_labels, side)) is not None:
            boxes[side] = box
            lung = mirrored(lung_labels[box] == side, side)
            shapes[side], hila[side] = lung_traits(lung, spacing_mm)
    lobes = np.zeros(lung_labels.shape, np.uint8)
    divisions = {}
    for side, box in boxes.items():
        both = hila[side], next((hila[other] for other in boxes if other != side), float("nan"))
        traits = atlas[side].traits_of(shapes[side], both)
        oblique, *horizontal = atlas[side].borders_of(traits)
        lung = mirrored(lung_labels[box] == side, side)
        borders = Borders(lung_coordinates(lung), oblique, horizontal[0] if horizontal else None)
        errors = atlas[side].errors_at(atlas[side].distance(shapes[side], traits))
        if hounsfield is not None:
            borders = borders.traced(lung, mirrored(hounsfield[box], side), spacing_mm, errors)
        names, inside = LUNG_LOBES[side], mirrored(lobes[box], side)
        values = np.array([LOBES[name] for name in names], np.uint8)
        for plane, mask, lobe in zip(inside, lung, borders.lobes(), strict=True):
            plane[mask] = values[lobe[mask]]
        steps = tuple(max(1, round(BLOCK_MM / size)) for size in spacing_mm)
        join_pieces(inside, [LOBES[name] for name in names], steps)
        divisions[side] = LungDivision(box, shapes[side], borders, errors)
    return DividedLungs(lobes, divisions)


def mirrored(values: np.ndarray, side: int) -> np.ndarray:
    """``values`` (D, H, W) of one lung, the ribs' side first as in the atlas."""
    return values[:, :, ::-1] if side == LEFT_LUNG else values
