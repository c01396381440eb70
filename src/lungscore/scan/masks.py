"""A user's own masks: label volumes that must lie where the scan lies."""

from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError

from lungscore.errors import InputError
from lungscore.scan.scan import Geometry, Scan

#: Masks may disagree with the scan's affine by this much (mm), as tools round their headers.
TOLERANCE_MM = 0.05

Kind = Literal["lungs", "lobes", "lesions"]

#: Foreign numberings of the lobes, each to ours (labels.LOBES): TotalSegmentator's 10–14.
_FOREIGN_LOBES = {10: 1, 11: 2, 12: 3, 13: 4, 14: 5}

_HIGHEST = {"lungs": 2, "lobes": 5, "lesions": 2}


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
    """(canonical (D, H, W) uint8 labels, geometry) of a NIfTI or NRRD mask."""
    if not path.is_file():
        raise InputError("input-not-found", f"there is no mask {path.name}")
    values, affine = _read_nrrd(path) if _is_nrrd(path) else _read_nifti(path)
    if values.ndim != 3:
        raise InputError("volume-4d", f"{path.name} has {values.ndim} axes", expected="three")
    found = [int(value) for value in np.unique(values)]
    if values.dtype.kind == "f" and not np.array_equal(np.unique(values), found):
        raise InputError("mask-labels", f"{path.name} holds fractions", expected="whole labels")
    if kind == "lobes" and found and max(found) > 5 and set(found) <= {0, *_FOREIGN_LOBES}:
        table = np.zeros(max(_FOREIGN_LOBES) + 1, np.uint8)
        table[list(_FOREIGN_LOBES)] = list(_FOREIGN_LOBES.values())
        values = table[values.astype(np.uint8)]
    elif not set(found) <= set(range(_HIGHEST[kind] + 1)):
        raise InputError(
            "mask-labels",
            f"{path.name} holds the labels {found[:10]}",
            expected=f"0 to {_HIGHEST[kind]}" + (" or 10 to 14" if kind == "lobes" else ""),
            hint="docs/result.md lists the label values",
        )
    shape = (values.shape[0], values.shape[1], values.shape[2])
    geometry = Geometry(shape, affine)
    return np.ascontiguousarray(geometry.to_canonical(values.astype(np.uint8))), geometry


def check_same_place(
    name: str, mask: Geometry, other: Geometry, *, spacing_known: bool = True
) -> None:
    """Raise mask-geometry unless both geometries put the same voxels at the same places."""
    shapes = tuple(
        tuple(np.asarray(g.to_canonical(np.empty(g.shape, np.uint8))).shape) for g in (mask, other)
    )
    if shapes[0] != shapes[1]:
        raise InputError("mask-geometry", f"{name} has {shapes[0]} voxels", expected=f"{shapes[1]}")
    if not spacing_known:
        return
    corners = np.array([(z, y, x, 1) for z in (0, 1) for y in (0, 1) for x in (0, 1)], float)
    corners[:, :3] *= np.array(shapes[0]) - 1
    apart = np.abs((mask.canonical_affine - other.canonical_affine) @ corners.T).max()
    if apart > TOLERANCE_MM:
        raise InputError(
            "mask-geometry",
            f"{name} lies up to {apart:.2f} mm away from the scan",
            expected="the scan's own geometry",
            hint="resample the mask to the scan",
        )


def _is_nrrd(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"NRRD"


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        image = nib.load(path)
        values = np.asarray(image.dataobj)
    except (ImageFileError, OSError, ValueError, EOFError) as error:
        raise InputError(
            "format-not-recognised", f"{path.name} is no readable NIfTI or NRRD mask"
        ) from error
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    return values, image.affine


def _read_nrrd(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import nrrd

    from lungscore.scan.nrrd import _affine as nrrd_affine

    try:
        values, header = nrrd.read(str(path))
    except (nrrd.NRRDError, OSError, ValueError, EOFError) as error:
        raise InputError(
            "format-not-recognised", f"{path.name} is no readable NIfTI or NRRD mask"
        ) from error
    affine, _, _ = nrrd_affine(header, values.shape, path.name)
    return values, affine
