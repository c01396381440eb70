"""A user's own masks: label volumes that must lie where the scan lies."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from lungscore.errors import InputError
from lungscore.guard import reported
from lungscore.scan.scan import Geometry, Scan
from lungscore.scan.volume import VolumeFormat
from lungscore.scan.volume_files import FORMATS, open_volume, volume_format

#: Masks may disagree with the scan's affine by this much (mm), as tools round their headers.
TOLERANCE_MM = 0.05

Kind = Literal["lungs", "lobes", "lesions", "regions"]

#: Foreign numberings of the lobes, each to ours (labels.LOBES): TotalSegmentator's 10–14.
_FOREIGN_LOBES = {10: 1, 11: 2, 12: 3, 13: 4, 14: 5}

_HIGHEST = {"lungs": 2, "lobes": 5, "lesions": 2, "regions": 20}


def read_labels(path: Path, scan: Scan, kind: Kind) -> np.ndarray:
    """The mask at ``path`` as (D, H, W) uint8 labels on the canonical axes of ``scan``.

    Lobes may be numbered as by lungmask (1–5, ours) or TotalSegmentator (10–14). Raises
    mask-geometry where it lies elsewhere than the scan, mask-labels for unknown values.
    """
    labels, geometry = read_label_volume(path, kind)
    check_same_place(path.name, geometry, scan.geometry, spacing_known=scan.spacing_mm is not None)
    # Both arrays may be stored along different axes: the canonical ones are what they share.
    return labels


def read_label_volume(path: Path, kind: Kind) -> tuple[np.ndarray, Geometry]:
    """(canonical (D, H, W) uint8 labels, geometry) of a NIfTI, NRRD or MetaImage mask.

    Raises InputError ``input-not-found``, ``format-not-recognised``, ``mask-labels``, or what
    ``scan.nifti.open_nifti`` raises for a header.
    """
    with reported(path.name), open_volume(path, mask_format(path)) as stored:
        values, labels = _gather(stored.planes, stored.shape, path.name)
    if kind == "lobes" and max(labels) > _HIGHEST[kind] and labels <= {0, *_FOREIGN_LOBES}:
        table = np.zeros(max(_FOREIGN_LOBES) + 1, np.uint8)
        table[list(_FOREIGN_LOBES)] = list(_FOREIGN_LOBES.values())
        values = table[values]
    elif max(labels) > _HIGHEST[kind]:
        shown = ", ".join(str(label) for label in sorted(labels)[:10])
        raise InputError(
            "mask-labels",
            f"{path.name} contains the labels {shown}",
            expected=f"0 to {_HIGHEST[kind]}" + (" or 10 to 14" if kind == "lobes" else ""),
            hint="docs/result.md lists the label values",
        )
    geometry = Geometry(stored.shape, stored.affine, oriented=stored.oriented)
    return np.ascontiguousarray(geometry.to_canonical(values)), geometry


def check_same_place(
    name: str, mask: Geometry, reference: Geometry, *, spacing_known: bool = True
) -> None:
    """Raise mask-geometry unless both geometries put the same voxels at the same places."""
    shapes = tuple(g.to_canonical(np.empty(g.shape, np.uint8)).shape for g in (mask, reference))
    if shapes[0] != shapes[1]:
        raise InputError(
            "mask-geometry",
            f"{name} has {shapes[0]} voxels (slices, rows, columns)",
            expected=f"{shapes[1]}",
            hint=_what_to_do(mask, reference, spacing_known),
        )
    if not spacing_known:
        return
    corners = np.array([(z, y, x, 1) for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
    corners[:, :3] *= np.array(shapes[0]) - 1
    apart = np.abs((mask.canonical_affine - reference.canonical_affine) @ corners.T).max()
    if apart > TOLERANCE_MM:
        raise InputError(
            "mask-geometry",
            f"{name} is up to {apart:.2f} mm away from its position in the scan",
            expected="the geometry of the scan, and of the other masks",
            hint="Resample the mask to the scan",
        )


def _what_to_do(mask: Geometry, reference: Geometry, spacing_known: bool) -> str:
    """Advice for a mask of another size: cropped, or of another grid."""
    if not spacing_known:
        return "save the mask at the size of the scan"
    into = np.linalg.inv(reference.canonical_affine) @ mask.canonical_affine
    size = np.array(mask.to_canonical(np.empty(mask.shape, np.uint8)).shape)
    room = np.array(reference.to_canonical(np.empty(reference.shape, np.uint8)).shape)
    first, last = into[:3, 3], into[:3, 3] + into[:3, :3] @ (size - 1)
    same_grid = np.abs(into[:3, :3] - np.eye(3)).max() < 0.01
    if same_grid and (first > -0.5).all() and (last < room - 0.5).all():
        z, y, x = np.rint(first).astype(int)
        return (
            f"the mask is a cropped part of the scan that begins at slice {z + 1}, row {y + 1}, "
            f"column {x + 1}: pad it with 0 to the whole scan, or export it with the scan as the "
            "reference (3D Slicer: export the segmentation with the CT as reference volume)"
        )
    return "resample the mask to the scan's grid with nearest-neighbour interpolation"


def mask_format(path: Path) -> VolumeFormat:
    """The format of the mask at ``path``, told by its content.

    Raises InputError ``input-not-found``, ``input-unreadable`` or ``format-not-recognised``.
    """
    try:
        content = volume_format(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError("input-not-found", f"No such mask file: {path}") from None
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name}: {error.strerror}") from None
    if content is None:
        raise InputError(
            "format-not-recognised", f"{path.name} is not a mask file", expected=FORMATS
        )
    return content


def _gather(
    planes: Iterable[np.ndarray], shape: tuple[int, int, int], source: str
) -> tuple[np.ndarray, set[int]]:
    """uint8 labels in the source's own order, and which occur."""
    values = np.empty(shape, np.uint8, order="F")
    present: set[int] = set()
    for index, plane in enumerate(planes):
        with np.errstate(invalid="ignore"):
            labels = plane.astype(np.uint8)
        if not np.array_equal(labels, plane):
            raise InputError(
                "mask-labels",
                f"{source} contains values from {plane.min():g} to {plane.max():g}",
                expected="whole numbers from 0",
                hint="Resample masks without interpolation",
            )
        values[..., index] = labels
        present.update(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    return values, present
