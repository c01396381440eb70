"""Where the outline of a lung follows no edge that the scan shows."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from lungscore.anatomy.boxes import lung_box
from lungscore.anatomy.checks import TIPS
from lungscore.anatomy.closing import close_ball
from lungscore.anatomy.overview import Overview
from lungscore.anatomy.ribs import back_of, towards_ribs
from lungscore.errors import Notice
from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

LUNGS = {RIGHT_LUNG: "right lung", LEFT_LUNG: "left lung"}
#: An outline has no edge where tissue is dense so far on both sides of it, mm.
DEPTH_MM = 5.0
#: Vessels of healthy hila are cut over less than this in one place, cm².
CUT_CM2 = 8.0
#: Dense notches at the ribs narrower than this, mm, that take more than this in one slice, mm², are
#: lung. Healthy lungs have none but at their tips. Pixels so far apart are looked at, mm.
NOTCH_MM, RAGGED_MM2, SAMPLED_MM = 10.0, 10.0, 1.25
#: Bone and contrast medium are denser, HU; so are vessels full of it, which hila have.
DENSEST_HU = 200


def edgeless(labels: np.ndarray, overview: Overview) -> np.ndarray:
    """The area of each lung block's faces at which there is no edge, cm², float32.

    labels: 1 right, 2 left on the blocks of ``overview``.
    """
    spacing_mm = overview.grid.spacing_mm
    dense = overview.values >= overview.levels.haze
    if overview.scan.units == "hu":
        dense &= overview.values < DENSEST_HU
    inner, outer = dense & (labels > 0), dense & (labels == 0)
    area = np.zeros(labels.shape, np.float32)
    for axis, size in enumerate(spacing_mm):
        depth = max(1, round(DEPTH_MM / size))
        face_cm2 = np.prod(spacing_mm) / size / 100
        for step in (1, -1):
            face = inner.copy()
            for blocks in range(1, depth + 1):
                face &= _moved(outer, axis, step * blocks)
                if blocks < depth:
                    face &= _moved(inner, axis, -step * blocks)
            area += np.float32(face_cm2) * face
    return area


def cut_tissue(labels: np.ndarray, overview: Overview) -> Iterator[Notice]:
    """``lungs-outline``: where lungs (labels on blocks) are cut off within dense tissue.

    Dense lung beside the heart, the liver or a mass of the hilum has no edge there: what lies on
    either side of the outline may be lung or none.
    """
    area = edgeless(labels, overview)
    faces = area > 0
    if not faces.any():
        return
    box = lung_box(faces, margin=(1, 1, 1))
    places, count = ndimage.label(ndimage.binary_dilation(faces[box], np.ones((3, 3, 3), bool)))
    sizes = np.bincount(places.ravel(), area[box].ravel(), minlength=count + 1)
    cuts = []
    for place in np.flatnonzero(sizes > CUT_CM2):
        cut = (places == place) & faces[box]
        z = np.nonzero(cut)[0].mean() + box[0].start
        name = LUNGS[int(np.bincount(labels[box][cut]).argmax())]
        number = int(z * overview.grid.factors[0]) + 1
        cuts.append(f"{name}, about slice {number} ({sizes[place]:.0f} cm²)")
    if cuts:
        text = (
            f"The outline of the lungs cuts dense tissue where no edge shows: {'; '.join(cuts)}; "
            "part of a mass or of dense lung may be left out"
        )
        yield Notice("lungs-outline", text)


def ragged_outlines(labels: np.ndarray, overview: Overview) -> Iterator[Notice]:
    """``lungs-ragged``: where lungs (labels of the scan's voxels) have notches at the ribs.

    The chest wall is smooth: notches are dense bands of lung that were left out.
    """
    pixels = [max(1, round(SAMPLED_MM / size)) for size in overview.spacing_mm[1:]]
    some = np.s_[:, pixels[0] // 2 :: pixels[0], pixels[1] // 2 :: pixels[1]]
    sampled, values = labels[some], overview.scan.values[some]
    down_mm, across_mm = (
        count * size for count, size in zip(pixels, overview.spacing_mm[1:], strict=True)
    )
    for side in np.unique(sampled[sampled > 0]).tolist():
        box = lung_box(sampled == side, margin=(0, 1, 1))
        lung = sampled[box] == side
        # Each slice for itself: no neighbour is near enough to take part.
        notches = close_ball(lung, (1000.0, down_mm, across_mm), radius_mm=NOTCH_MM / 2)
        notches &= (sampled[box] == 0) & (values[box] >= overview.levels.lung)
        notches &= towards_ribs(lung, side, back=back_of(lung))
        notches = ndimage.binary_opening(notches, np.ones((1, 2, 2), bool))
        areas = np.count_nonzero(notches, axis=(1, 2)) * down_mm * across_mm
        sizes = np.count_nonzero(lung, axis=(1, 2))
        areas[sizes < TIPS * sizes.max()] = 0
        if areas.max() > RAGGED_MM2:
            number = int(areas.argmax()) + box[0].start + 1
            text = (
                f"The outline of the {LUNGS[side]} is ragged at the ribs, most in "
                f"slice {number}: dense bands of lung may be left out there"
            )
            yield Notice("lungs-ragged", text)


def _moved(mask: np.ndarray, axis: int, step: int) -> np.ndarray:
    """``mask`` as seen ``step`` blocks farther along ``axis``; nothing beyond its ends."""
    moved = np.zeros_like(mask)
    here, there = [slice(None)] * 3, [slice(None)] * 3
    here[axis] = slice(None, -step) if step > 0 else slice(-step, None)
    there[axis] = slice(step, None) if step > 0 else slice(None, step)
    moved[tuple(here)] = mask[tuple(there)]
    return moved
