"""Small chest-like volumes, DICOM series and slice images for the tests of readers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

Edit = Callable[[int, FileDataset], None]


def chest(depth: int = 12, rows: int = 36, columns: int = 40, *, seed: int = 0) -> np.ndarray:
    """(D, H, W) int16 HU, canonical: a body with two lungs of different size, no symmetry.

    The right lung (low columns) is larger, the spine lies behind (high rows), a liver fills the
    right side of the last slices.
    """
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(
        np.linspace(0, 1, depth),
        np.linspace(-1, 1, rows),
        np.linspace(-1, 1, columns),
        indexing="ij",
    )
    hu = np.full(z.shape, -1000.0)
    hu[(x / 0.9) ** 2 + (y / 0.8) ** 2 < 1] = 40
    hu[((x + 0.42) / 0.36) ** 2 + (y / 0.6) ** 2 < 1] = -850
    hu[((x - 0.42) / 0.28) ** 2 + (y / 0.5) ** 2 < 1] = -850
    hu[(x / 0.12) ** 2 + ((y - 0.6) / 0.15) ** 2 < 1] = 400
    hu[(z > 0.8) & (((x + 0.42) / 0.36) ** 2 + (y / 0.6) ** 2 < 1)] = 60
    return np.rint(hu + rng.normal(0, 10, hu.shape)).clip(-1024, 3071).astype(np.int16)


def write_series(
    folder: Path,
    values: np.ndarray | None = None,
    *,
    spacing: tuple[float, float, float] = (2.0, 0.7, 0.8),
    directions: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    origin: tuple[float, float, float] = (-20.0, -30.0, 100.0),
    step: tuple[float, float, float] | None = None,
    edit: Edit | None = None,
    series_uid: str | None = None,
    prefix: str = "IM",
) -> list[Path]:
    """Write (D, H, W) HU ``values`` as axial CT files, superior first, and return their paths.

    spacing: slice, row, column in mm. directions: ImageOrientationPatient. step: from slice to
    slice in LPS+ mm (by default straight down). edit changes a dataset before it is saved; one
    that deletes ``PixelData`` leaves the file without.
    """
    values = chest() if values is None else values
    folder.mkdir(parents=True, exist_ok=True)
    step = (0, 0, -spacing[0]) if step is None else step
    study, series = generate_uid(), series_uid or generate_uid()
    paths = []
    for index, plane in enumerate(values):
        dataset = _dataset(plane, spacing)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.ImagePositionPatient = [
            round(o + index * s, 6) for o, s in zip(origin, step, strict=True)
        ]
        dataset.ImageOrientationPatient = list(directions)
        dataset.InstanceNumber = index + 1
        if edit is not None:
            edit(index, dataset)
        paths.append(folder / f"{prefix}{index:04d}.dcm")
        save(dataset, paths[-1])
    return paths


def save(dataset: FileDataset, path: Path) -> None:
    """Save as it is, without any correction."""
    pydicom.dcmwrite(path, dataset, enforce_file_format=False)


def _dataset(plane: np.ndarray, spacing: tuple[float, float, float]) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientID = "canary-id-1"
    dataset.PatientName = "Canary^Name"
    dataset.SliceThickness = spacing[0]
    dataset.PixelSpacing = [spacing[1], spacing[2]]
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    stored = np.clip(plane.astype(np.int32) + 1024, 0, 4095).astype("<u2")
    dataset.PixelData = stored.tobytes()
    return dataset


def compress(path: Path, syntax: str) -> None:
    """Rewrite a file in a compressed transfer syntax of GDCM by its name."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def write_slices(folder: Path) -> None:
    """Write the chest as 8-bit PNG slices, superior first."""
    folder.mkdir()
    for index, plane in enumerate(np.clip((chest() + 1350) / 6, 0, 255).astype(np.uint8)):
        Image.fromarray(plane).save(folder / f"{index}.png")
