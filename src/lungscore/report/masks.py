"""Masks as NIfTI in the source's own geometry."""

import gzip

import nibabel as nib
import numpy as np

from lungscore.scan.scan import Geometry


def nifti_bytes(labels: np.ndarray, geometry: Geometry) -> bytes:
    """A gzipped NIfTI-1 file (uint8, sform and qform in mm) of canonical (D, H, W) ``labels``.

    Equal labels give equal bytes: no name and no time goes into the gzip header. Level 1: masks
    are nearly all zeros, higher levels cost seconds and save little.
    """
    image = nib.Nifti1Image(geometry.to_source(labels).astype(np.uint8), geometry.affine)
    image.set_sform(geometry.affine, code="scanner")
    image.set_qform(geometry.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)
