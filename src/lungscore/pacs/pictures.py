"""Key images and the page of numbers as secondary captures, and the report as a PDF object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from lungscore.pacs.codes import REPORT_TITLE
from lungscore.pacs.objects import (
    MANUFACTURER,
    MODEL,
    SERIES_NUMBERS,
    Stamp,
    concept,
    finish,
    series_of,
)
from lungscore.pacs.source import OPTIONAL, TYPE_2, UTF_8, Source
from lungscore.pacs.summary_page import page_as_pdf, page_as_picture
from lungscore.report.pictures import SINGLE_SIZE, Plane, bounds, draw, length_mm, widened, windowed
from lungscore.version import RESEARCH_USE, __version__

#: Slices shown as key images.
SHOWN = 4

#: Pixels of the line of text below a key image.
_BAND = 26

#: The full report, where it was asked for.
REPORT = "report.pdf"


@dataclass(frozen=True)
class KeyImage:
    """A slice with its contours. index: of the slice, superior first. image: RGB."""

    index: int
    image: Image.Image


def key_images(masks: Mapping[str, np.ndarray], source: Source) -> list[KeyImage]:
    """Slices over the lungs' height, the one with most opacity among them, superior first."""
    lungs, lesions = masks["lungs"], masks["lesions"]
    scan = source.scan
    occupied = np.flatnonzero(lungs.any(axis=(1, 2)))
    if not occupied.size:
        return []
    steps = (np.arange(SHOWN) + 0.5) / SHOWN
    chosen = np.unique(occupied[(steps * occupied.size).astype(int)])
    areas = np.count_nonzero(lesions, axis=(1, 2))
    if areas.any():
        chosen[np.abs(chosen - areas.argmax()).argmin()] = areas.argmax()
    pixel_mm = scan.spacing_mm[1:] if scan.spacing_mm else (1.0, 1.0)
    _, rows, columns = bounds(lungs)
    rows = widened(rows, lungs.shape[1], pixel_mm[0])
    columns = widened(columns, lungs.shape[2], pixel_mm[1])
    scale = SINGLE_SIZE / max(length_mm(rows, pixel_mm[0]), length_mm(columns, pixel_mm[1]))
    letters = ("R", "L") if scan.sides_known else ("", "")
    images = []
    for z in np.unique(chosen).tolist():
        where = (z, rows, columns)
        grey = windowed(scan.values[where], scan.units)
        plane = Plane(grey, lungs[where], lesions[where], None, pixel_mm)
        picture = draw(plane, scale, letters, caption="", name="")
        images.append(KeyImage(z, picture.merged()))
    return images


def secondary_captures(
    images: Sequence[KeyImage], result: Mapping[str, Any], source: Source, stamp: Stamp
) -> list[Dataset]:
    """One series of pictures: the page of numbers, then the key images."""
    page = page_as_picture(result, [entry.image for entry in images])
    captures = [_capture(page, 1, "Numbers", source, stamp)]
    slices = len(source.scan.values)
    for number, entry in enumerate(images, start=2):
        text = f"Slice {entry.index + 1} of {slices}"
        pixels = np.asarray(_captioned(entry.image, f"{text}. {RESEARCH_USE}"))
        capture = _capture(pixels, number, text, source, stamp)
        if (shown := _shown_image(source, entry.index)) is not None:
            item = Dataset()
            item.ReferencedSOPClassUID = shown.SOPClassUID
            item.ReferencedSOPInstanceUID = shown.SOPInstanceUID
            capture.SourceImageSequence = [item]
        captures.append(capture)
    return captures


def _captioned(image: Image.Image, text: str) -> Image.Image:
    """``image`` with a line of text below it."""
    width, height = image.size
    sheet = Image.new("RGB", (width, height + _BAND), "black")
    sheet.paste(image, (0, 0))
    font = ImageFont.load_default(size=16)
    ImageDraw.Draw(sheet).text((6, height + 4), text, fill="white", font=font)
    return sheet


def _shown_image(source: Source, index: int) -> Dataset | None:
    """The image that a canonical slice is; None where it is cut from several, or made up."""
    numbers = np.zeros(source.scan.shape, np.uint8)
    numbers[index] = 1
    filled = source.planes(numbers).any(axis=(1, 2))
    if np.count_nonzero(filled) != 1:
        return None
    number = int(filled.argmax())
    return None if number in source.interpolated else source.images[number]


def _capture(pixels: np.ndarray, number: int, text: str, source: Source, stamp: Stamp) -> Dataset:
    from highdicom.sc import SCImage

    first = source.first
    capture: Any = SCImage.from_ref_dataset(
        ref_dataset=first,
        pixel_array=np.ascontiguousarray(pixels),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **series_of("pictures", stamp, "lungscore key images (research use only)", number),
    )
    _take_over(capture, first)
    capture.BodyPartExamined = "CHEST"
    capture.BurnedInAnnotation = "NO"
    capture.ImageComments = f"{text}. {RESEARCH_USE}"
    if number == 1:
        capture.PatientOrientation = None  # a page of text has none
    return finish(capture, stamp)


def report_document(
    folder: Path,
    result: Mapping[str, Any],
    images: Sequence[KeyImage],
    source: Source,
    stamp: Stamp,
) -> Dataset:
    """The report as Encapsulated PDF: that of ``folder`` where there is one, else one page.

    folder: of the case. The page holds the numbers, the lobes, the key images and the warnings.
    """
    path = folder / REPORT
    pdf = path.read_bytes() if path.is_file() else page_as_pdf(result, [i.image for i in images])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    meta.MediaStorageSOPInstanceUID = stamp.uid("report", "instance", 1)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _take_over(document, source.first)
    document.SpecificCharacterSet = UTF_8
    document.SOPClassUID = EncapsulatedPDFStorage
    document.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    document.StudyInstanceUID = source.first.StudyInstanceUID
    document.SeriesInstanceUID = stamp.uid("report", "series")
    document.SeriesNumber, document.InstanceNumber = SERIES_NUMBERS["report"], 1
    document.SeriesDescription = "lungscore report (research use only)"
    document.Modality, document.ConversionType = "DOC", "WSD"
    document.Manufacturer, document.ManufacturerModelName = MANUFACTURER, MODEL
    document.SoftwareVersions = document.DeviceSerialNumber = __version__
    document.ContentDate, document.ContentTime = stamp.date, stamp.time
    document.AcquisitionDateTime = None
    document.InstanceCreationDate, document.InstanceCreationTime = stamp.date, stamp.time
    document.BurnedInAnnotation = "NO"
    document.DocumentTitle = f"Lung opacity on chest CT. {RESEARCH_USE}"
    document.ConceptNameCodeSequence = [concept(REPORT_TITLE)]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    document.EncapsulatedDocumentLength = len(pdf)
    present = [i for n, i in enumerate(source.images) if n not in source.interpolated]
    document.SourceInstanceSequence = [_reference(image) for image in present]
    return finish(document, stamp)


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    return item


#: Of the scanner, not of the patient or the study.
_EQUIPMENT = {
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "PatientPosition"),
    *("SeriesNumber", "InstanceNumber", "LossyImageCompression", "PositionReferenceIndicator"),
}


def _take_over(instance: Dataset, first: Dataset) -> None:
    """Patient and study of ``first``."""
    for keyword in (*TYPE_2, *OPTIONAL):
        if keyword in first and keyword not in _EQUIPMENT:
            instance[keyword] = first[keyword]
