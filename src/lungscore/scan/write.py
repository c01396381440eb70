"""Scans and masks as files: a DICOM CT series and NIfTI."""

import gzip
import hashlib
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import nibabel as nib
import numpy as np
from nibabel.nifti1 import Nifti1Extension
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from lungscore.errors import ResourceError
from lungscore.files import atomic_path, write_error
from lungscore.labels import Label, rgb
from lungscore.scan.scan import Geometry, Scan

#: Stored value 0 is this many Hounsfield units.
RESCALE_INTERCEPT = -1024


def write_nifti(scan: Scan, path: Path) -> None:
    """Write a scan in its own source geometry to ``path`` (.nii or .nii.gz), int16."""
    values = np.ascontiguousarray(scan.geometry.to_source(scan.values))
    image = nib.Nifti1Image(values, scan.geometry.affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)


def nifti_bytes(
    labels: np.ndarray, geometry: Geometry, names: Sequence[Label] | None = None
) -> bytes:
    """A gzipped NIfTI-1 file (uint8, sform and qform in mm) of canonical (D, H, W) ``labels``.

    names: what the values are called, written into an extension of the header.

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
    if names:
        header.extensions.append(Nifti1Extension(0, label_table(names)))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0, filename="") as file:
        header.write_to(file)
        file.write(bytes(header["vox_offset"].astype(int) - file.tell()))
        for plane in range(stored.shape[2]):  # the last axis is the slowest
            file.write(stored[:, :, plane].astype(np.uint8).tobytes(order="F"))
    return packed.getvalue()


def label_table(names: Sequence[Label]) -> bytes:
    """Names and colours of label values in the XML of Connectome Workbench's label tables.

    The form that TotalSegmentator writes and reads, too.
    """
    table = ElementTree.Element("LabelTable")
    for label in names:
        attributes = {"Key": str(label.value)}
        for name, part in zip(("Red", "Green", "Blue"), rgb(label.colour), strict=True):
            attributes[name] = f"{part / 255:.4f}"
        entry = ElementTree.SubElement(table, "Label", {**attributes, "Alpha": "1"})
        entry.text = label.name
    extension = ElementTree.Element("CaretExtension")
    volume = ElementTree.SubElement(extension, "VolumeInformation", Index="0")
    volume.append(table)
    return ElementTree.tostring(extension, encoding="utf-8", xml_declaration=True)


def write_dicom_series(scan: Scan, folder: Path) -> str:
    """Write a scan in HU as one uncompressed DICOM file per slice; returns the series UID.

    The patient is named PHANTOM; UIDs follow from the voxels, so the same scan gives the same
    files. The folder appears when it is complete. ResourceError ``output-exists`` if it is there;
    ValueError for grey levels, no spacing, or oblique axes.
    """
    if scan.units != "hu" or scan.spacing_mm is None:
        raise ValueError("a CT series needs Hounsfield units and spacing")
    affine = scan.geometry.canonical_affine
    if np.count_nonzero(np.abs(affine[:3, :3]) > 1e-6) != 3:
        raise ValueError("only scans along the patient's axes can be written as a series")
    if folder.exists():
        raise ResourceError(
            "output-exists", f"{folder.name} already exists", hint="Choose another folder"
        )
    identity = hashlib.sha256(scan.values.tobytes() + affine.tobytes()).hexdigest()
    temporary = folder.with_name(f".tmp-{os.getpid()}-{folder.name}")
    try:
        temporary.mkdir(parents=True)
        for index in range(scan.shape[0]):
            dataset = _slice_dataset(scan, affine, identity, index)
            with atomic_path(temporary / f"{index + 1:04d}.dcm") as path:
                dataset.save_as(path, enforce_file_format=True)
        os.replace(temporary, folder)
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _uid(identity, "series")


def _uid(identity: str, *names: str) -> UID:
    return generate_uid(entropy_srcs=[identity, *names])


def _slice_dataset(scan: Scan, affine: np.ndarray, identity: str, index: int) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(identity, "slice", str(index))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    _describe(dataset, identity)
    depth_mm, row_mm, column_mm = scan.spacing_mm or (0.0, 0.0, 0.0)
    # DICOM's patient axes point left, backwards and up: two signs differ from the affine's.
    corner = np.diag((-1.0, -1.0, 1.0)) @ (affine @ (index, 0, 0, 1))[:3]
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in corner]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SliceLocation = f"{corner[2]:.6f}"
    dataset.SliceThickness = f"{depth_mm:.6f}"
    dataset.PixelSpacing = [f"{row_mm:.6f}", f"{column_mm:.6f}"]
    stored = np.clip(scan.values[index], RESCALE_INTERCEPT, 3071) - RESCALE_INTERCEPT
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = RESCALE_INTERCEPT, 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = -600, 1500
    dataset.PixelData = stored.astype("<u2").tobytes()
    return dataset


def _describe(dataset: FileDataset, identity: str) -> None:
    dataset.PatientName = "PHANTOM"
    dataset.PatientID = f"PHANTOM-{identity[:8]}"
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID = _uid(identity, "study")
    dataset.SeriesInstanceUID = _uid(identity, "series")
    dataset.FrameOfReferenceUID = _uid(identity, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyDate, dataset.StudyTime = "20200101", "120000"
    dataset.StudyID, dataset.SeriesNumber = "1", 1
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.Modality = "CT"
    dataset.Manufacturer = "lungscore phantom"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionNumber = 1
    dataset.PatientPosition = "HFS"
    dataset.GantryDetectorTilt = 0
    dataset.KVP = 120
