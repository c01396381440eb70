"""DICOM Segmentation objects read by pydicom alone, as any other program would read them."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from pydicom.dataset import Dataset


def frames_of(instance: Dataset) -> np.ndarray:
    """(frames, rows, columns) bool: bits packed from the lowest on, without gaps between frames."""
    count, rows, columns = int(instance.NumberOfFrames), instance.Rows, instance.Columns
    assert (instance.BitsAllocated, instance.SegmentationType) == (1, "BINARY")
    bits = np.unpackbits(np.frombuffer(instance.PixelData, np.uint8), bitorder="little")
    return bits[: count * rows * columns].reshape(count, rows, columns).astype(bool)


def segment_numbers(instance: Dataset) -> list[int]:
    """The segment of each frame."""
    shared = instance.SharedFunctionalGroupsSequence[0].get("SegmentIdentificationSequence")
    return [
        int((frame.get("SegmentIdentificationSequence") or shared)[0].ReferencedSegmentNumber)
        for frame in instance.PerFrameFunctionalGroupsSequence
    ]


def voxels_of(instance: Dataset) -> dict[int, np.ndarray]:
    """(n, 3) places of the voxels of each segment in the patient, mm, RAS+, by its number."""
    shared = instance.SharedFunctionalGroupsSequence[0]
    orientation = np.array(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, float
    ).reshape(2, 3)
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    places: dict[int, list[np.ndarray]] = {}
    groups = instance.PerFrameFunctionalGroupsSequence
    for group, number, frame in zip(
        groups, segment_numbers(instance), frames_of(instance), strict=True
    ):
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(frame)
        lps = origin + np.outer(columns * column_mm, orientation[0])
        lps = lps + np.outer(rows * row_mm, orientation[1])
        places.setdefault(number, []).append(lps * (-1, -1, 1))
    return {number: np.concatenate(parts) for number, parts in places.items()}


def labels_at(mask: Path, places: np.ndarray) -> np.ndarray:
    """The labels of a NIfTI mask at ``places`` (n, 3), which must be the centres of voxels."""
    image = nib.load(mask)
    inverse = np.linalg.inv(image.affine)
    voxels = places @ inverse[:3, :3].T + inverse[:3, 3]
    assert np.abs(voxels - np.rint(voxels)).max() < 0.01
    return np.asarray(image.dataobj)[tuple(np.rint(voxels).astype(int).T)]


def referenced_images(instance: Dataset) -> list[str | None]:
    """The image that each frame refers to."""
    uids = []
    for frame in instance.PerFrameFunctionalGroupsSequence:
        derivations = frame.get("DerivationImageSequence") or ()
        images = [image for item in derivations for image in item.SourceImageSequence]
        uids.append(images[0].ReferencedSOPInstanceUID if images else None)
    return uids


def headers(series: Path) -> dict[str, Dataset]:
    """The headers of a series by SOPInstanceUID."""
    files = [pydicom.dcmread(file, stop_before_pixels=True) for file in sorted(series.iterdir())]
    return {file.SOPInstanceUID: file for file in files}
