"""The trachea and the main bronchi, followed downwards from slice to slice."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import extent_of

#: The trachea's and main bronchi's lumen in an axial slice, mm²; a leak into the lung is larger.
LUMEN_MM2 = (40.0, 900.0)
SPECK_MM2 = 8.0
#: How far from the midline the trachea and the bronchi may lie, mm.
TRACHEA_OFF_MIDLINE_MM, BRONCHI_OFF_MIDLINE_MM = 35.0, 60.0
#: A patch is at most this many times the trachea's area: it widens where it divides.
WIDEST = 3.0
#: How far a bronchus may move between two slices, in slice distances, and at most, mm.
OBLIQUE, FARTHEST_MM = 0.6, 5.0
#: A tube that is shorter than this is not the trachea, mm.
TRACHEA_LENGTH_MM = 20.0
#: At least this part of what surrounds the trachea or a main bronchus is tissue.
WALLED = 0.6

PatchBox = tuple[slice, slice]
_DISC = ndimage.generate_binary_structure(2, 1)


def find_airways(
    lumen: np.ndarray,
    tissue: np.ndarray,
    spacing_mm: tuple[float, float, float],
    *,
    midline: float,
) -> np.ndarray:
    """The lumen of the trachea and main bronchi, bool (D, H, W); empty where none is found.

    lumen: bool (D, H, W), voxels inside the body that are as dark as air. tissue: voxels denser
    than lung. midline: the column of the patient's middle. Each slice keeps the patches that
    continue the slice above, are no larger than a main bronchus and have tissue around them, so
    the walk ends where a bronchus enters the lung.
    """
    airways = np.zeros_like(lumen)
    start = _trachea(lumen, tissue, spacing_mm, midline=midline)
    if start is None:
        return airways
    top, current, area_mm2 = start
    airways[top] = current
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    # Thick slices: an oblique bronchus moves by about half the slice distance.
    reach = max(1, round(min(OBLIQUE * spacing_mm[0], FARTHEST_MM) / spacing_mm[1]))
    limit_mm2 = min(LUMEN_MM2[1], max(WIDEST * area_mm2, 300.0))
    for z in range(top + 1, len(lumen)):
        near = ndimage.binary_dilation(current, _DISC, iterations=reach)
        current = np.zeros_like(current)
        # Thick slices blur a bronchus: where nothing but tissue is around, all of it counts.
        for dark in (~tissue[z], lumen[z]):
            for box, patch in _patches_at(near, dark, SPECK_MM2 / pixel_mm2, limit_mm2 / pixel_mm2):
                if _off_midline_mm(
                    box, patch, spacing_mm[2], midline
                ) < BRONCHI_OFF_MIDLINE_MM and _is_walled(tissue[z], box, patch):
                    current[box] |= patch
        if not current.any():
            break
        airways[z] = current
    return airways


def _trachea(
    lumen: np.ndarray,
    tissue: np.ndarray,
    spacing_mm: tuple[float, float, float],
    *,
    midline: float,
) -> tuple[int, np.ndarray, float] | None:
    """The trachea, the tallest tube at the midline: its uppermost slice, its patch there, its area.

    The area is the upper quartile over its slices, mm²: larynx and bronchi are narrower.
    """
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    tube = np.zeros_like(lumen)
    for z, plane in enumerate(lumen):
        for box, patch in _patches(plane, LUMEN_MM2[0] / pixel_mm2, LUMEN_MM2[1] / pixel_mm2):
            if (
                is_round(patch, spacing_mm)
                and _off_midline_mm(box, patch, spacing_mm[2], midline) <= TRACHEA_OFF_MIDLINE_MM
                and _is_walled(tissue[z], box, patch)
            ):
                tube[z][box] |= patch
    pieces, _ = ndimage.label(tube)
    tallest: tuple[float, int, int] | None = None
    for label, box in enumerate(ndimage.find_objects(pieces), start=1):
        length = (box[0].stop - box[0].start) * spacing_mm[0]
        # Bowel gas lies lower than the trachea: of tubes of like length the upper one wins.
        rank = length - 0.2 * box[0].start * spacing_mm[0]
        if length >= TRACHEA_LENGTH_MM and (tallest is None or rank > tallest[0]):
            tallest = (rank, label, box[0].start)
    if tallest is None:
        return None
    _, label, top = tallest
    tube = pieces == label
    areas = tube.sum(axis=(1, 2))
    return top, tube[top], float(np.quantile(areas[areas > 0], 0.75)) * pixel_mm2


def _patches(
    plane: np.ndarray, smallest: float, largest: float
) -> Iterator[tuple[PatchBox, np.ndarray]]:
    """The connected patches of one slice in a range of sizes, each as its box and mask in it."""
    patches, count = ndimage.label(plane)
    areas = np.bincount(patches.ravel(), minlength=count + 1)
    for label, box in enumerate(ndimage.find_objects(patches), start=1):
        if smallest <= areas[label] <= largest:
            yield box, patches[box] == label


def _patches_at(
    near: np.ndarray, plane: np.ndarray, smallest: float, largest: float
) -> Iterator[tuple[PatchBox, np.ndarray]]:
    """Those of ``_patches`` that touch ``near``, which is not empty; looked for around it first."""
    margin = int(2 * np.sqrt(largest))
    around = tuple(
        slice(max(span.start - margin, 0), min(span.stop + margin, size))
        for span, size in zip(extent_of(near), plane.shape, strict=True)
    )
    places = []
    for box, patch in _patches(plane[around], smallest, largest):
        place = tuple(
            slice(span.start + whole.start, span.stop + whole.start)
            for span, whole in zip(box, around, strict=True)
        )
        if not (patch & near[place]).any():
            continue
        if any(
            (span.start == whole.start > 0) or (span.stop == whole.stop < size)
            for span, whole, size in zip(place, around, plane.shape, strict=True)
        ):  # who knows how it goes on
            whole_patches = _patches(plane, smallest, largest)
            yield from ((box, patch) for box, patch in whole_patches if (patch & near[box]).any())
            return
        places.append((place, patch))
    yield from places  # type: ignore[misc]


def _is_walled(tissue: np.ndarray, box: PatchBox, patch: np.ndarray) -> bool:
    """Whether most of the ring two pixels around a patch is tissue: a tube in the mediastinum."""
    ring = ndimage.binary_dilation(np.pad(patch, 3), _DISC, iterations=3)
    ring &= ~ndimage.binary_dilation(np.pad(patch, 3), _DISC)
    rows = np.arange(box[0].start - 3, box[0].stop + 3).clip(0, tissue.shape[0] - 1)
    columns = np.arange(box[1].start - 3, box[1].stop + 3).clip(0, tissue.shape[1] - 1)
    return bool(tissue[np.ix_(rows, columns)][ring].mean() >= WALLED)


def is_round(patch: np.ndarray, spacing_mm: tuple[float, ...]) -> bool:
    """Whether a patch fills its box like a disc and is not longer than 2.2 times its width."""
    height, width = patch.shape[0] * spacing_mm[1], patch.shape[1] * spacing_mm[2]
    return bool(patch.mean() > 0.55 and max(height, width) < 2.2 * min(height, width))


def _off_midline_mm(box: PatchBox, patch: np.ndarray, pixel_mm: float, midline: float) -> float:
    middle = box[1].start + np.nonzero(patch)[1].mean() + 0.5
    return abs(float(middle) - midline) * pixel_mm
