"""A small chest as a DICOM series that lies in any direction, and its result."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from lungscore.analysis import analyze
from lungscore.inference import Segmenter
from lungscore.report.outputs import write_outputs
from lungscore.scan.phantom import Phantom
from tests.scan.scan_builder import write_series

SPACING = (17.5, 3.75, 3.0)

#: How slices lie: direction of columns and rows, and from slice to slice; mm, LPS+.
AXIAL = ((1, 0, 0, 0, 1, 0), (0, 0, -1))


def _turned(degrees: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Axial slices, turned about the patient's right–left axis and then the vertical one."""
    a, b = np.deg2rad(degrees), np.deg2rad(degrees / 2)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    turn = about_z @ about_x
    columns, rows, step = turn @ (1, 0, 0), turn @ (0, 1, 0), turn @ (0, 0, -1)
    return tuple(map(float, (*columns, *rows))), tuple(map(float, step))


#: Feet first: the table goes the other way, and slices are listed from the feet up. Prone: rows and
#: columns both turned.
DIRECTIONS = {
    "axial": AXIAL,
    "feet-first": ((-1, 0, 0, 0, 1, 0), (0, 0, 1)),
    "prone": ((-1, 0, 0, 0, -1, 0), (0, 0, -1)),
    "oblique": _turned(12),
}


def write_phantom(
    folder: Path,
    phantom: Phantom,
    lying: str = "axial",
    *,
    edit: Callable[[int, FileDataset], None] | None = None,
) -> Path:
    """The phantom as a series of valid CT images that lie as ``lying`` says."""
    directions, step = DIRECTIONS[lying]
    # From the canonical axes (down, back, left) to those of the images.
    down, back, left = (-1 if turned else 1 for turned in _turns(directions, step))
    values = phantom.scan.values[::down, ::back, ::left]
    frame, uids = generate_uid(), [generate_uid() for _ in values]

    def complete(index: int, dataset: FileDataset) -> None:
        dataset.file_meta.MediaStorageSOPInstanceUID = uids[index]
        dataset.SOPInstanceUID, dataset.FrameOfReferenceUID = uids[index], frame
        dataset.PatientName, dataset.PatientID = "Müller^Test", "T-1"
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.PatientBirthDate, dataset.PatientSex = "19600101", "F"
        dataset.StudyDate, dataset.StudyTime = "20200102", "030405"
        dataset.StudyID, dataset.AccessionNumber = "S1", "A1"
        dataset.ReferringPhysicianName = ""
        dataset.StudyDescription = "Thorax"
        dataset.PositionReferenceIndicator = ""
        dataset.Manufacturer, dataset.SeriesNumber = "Maker", 2
        dataset.PatientPosition = {"feet-first": "FFS", "prone": "HFP"}.get(lying, "HFS")
        dataset.SliceThickness = str(SPACING[0])
        if edit is not None:
            edit(index, dataset)

    write_series(
        folder,
        values,
        spacing=SPACING,
        directions=tuple(round(value, 9) for value in directions),
        step=tuple(SPACING[0] * value for value in step),
        edit=complete,
    )
    return folder


def _turns(directions: tuple[float, ...], step: tuple[float, ...]) -> tuple[bool, bool, bool]:
    """Whether slices, rows and columns run against the canonical axes."""
    return step[2] > 0, directions[4] < 0, directions[0] < 0


def analysed(series: Path, out: Path, segmenter: Segmenter, **options: object) -> Path:
    """The folder of results of ``series``."""
    return write_outputs(analyze(series, segmenter=segmenter, **options), out)


def repaired(series: Path, folder: Path) -> Path:
    """A copy of ``series`` with valid identifiers: those of images, series, study and frame."""
    folder.mkdir(parents=True)
    study, series_uid, frame = generate_uid(), generate_uid(), generate_uid()
    for path in sorted(series.iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series_uid
        dataset.FrameOfReferenceUID = frame
        dataset.save_as(folder / path.name)
    return folder
