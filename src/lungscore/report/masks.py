"""Masks as NIfTI in the source's own geometry."""

import gzip
import io

import nibabel as nib
import numpy as np

from lungscore.scan.scan import Geometry


def nifti_bytes(labels: np.ndarray, geometry: Geometry) -> bytes:
    """A gzipped NIfTI-1 file (uint8, sform and qform in mm) of canonical (D, H, W) ``labels``.

    Equal labels give equal bytes: no name and no time goes into the gzip header. Level 1: masks
    are nearly all zeros, higher levels cost seconds and save little.
    """
    stored = geometry.to_source(labels)
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape(stored.shape)
    header.set_sform(geometry.affine, code="scanner")
    header.set_qform(geometry.affine, code="scanner")
    header.set_xyzt_units("mm")
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0, filename="") as file:
        header.write_to(file)
        file.write(bytes(header["vox_offset"].astype(int) - file.tell()))
        for plane in range(stored.shape[2]):  # the last axis is the slowest
            file.write(stored[:, :, plane].astype(np.uint8).tobytes(order="F"))
    return packed.getvalue()
