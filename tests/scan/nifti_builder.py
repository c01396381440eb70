"""Chests as NIfTI files, in any order of their axes."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel import orientations

#: Every order and direction of three axes.
ORIENTATIONS = [
    np.array([(axis, flip) for axis, flip in zip(order, flips, strict=True)])
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]

SPACING = (2.0, 0.7, 0.8)


def canonical_affine() -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = -SPACING[0], -SPACING[1], -SPACING[2]
    affine[:3, 3], affine[3, 3] = (15.0, -3.0, 120.0), 1.0
    return affine


def stored(values: np.ndarray, orientation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Canonical values in another axis order, with the affine that says so."""
    turned = orientations.apply_orientation(values, orientation)
    return turned, canonical_affine() @ orientations.inv_ornt_aff(orientation, values.shape)


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    if affine is None:
        values, affine = stored(values, ORIENTATIONS[5])
    nib.save(nib.Nifti1Image(values, affine), path)
    return path
