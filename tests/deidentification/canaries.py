"""An image full of canaries: in every value representation, on every level, beside the data set."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

#: VR -> a public attribute of it that may name the patient or has nothing to do in the image.
PUBLIC = {
    "AE": "RetrieveAETitle",
    "AS": "PatientAge",
    "AT": "SelectorAttribute",
    "CS": "PatientSexNeutered",
    "DA": "PatientBirthDate",
    "DS": "PatientWeight",
    "DT": "AcquisitionDateTime",
    "FD": "EventTimeOffset",
    "FL": "ExaminedBodyThickness",
    "IS": "ReferencedFrameNumber",
    "LO": "InstitutionName",
    "LT": "AdditionalPatientHistory",
    "OB": "EncapsulatedDocument",
    "OD": "DoubleFloatPixelData",
    "OF": "FloatPixelData",
    "OL": "LongPrimitivePointIndexList",
    "OV": "ExtendedOffsetTable",
    "OW": "RedPaletteColorLookupTableData",
    "PN": "PatientName",
    "SH": "AccessionNumber",
    "SL": "ReferencePixelX0",
    "SS": "TagAngleSecondAxis",
    "ST": "InstitutionAddress",
    "SV": "SelectorSVValue",
    "TM": "PatientBirthTime",
    "UC": "StrainDescription",
    "UI": "InstanceCreatorUID",
    "UL": "SimpleFrameList",
    "UN": "SelectorUNValue",
    "UR": "RetrieveURL",
    "US": "ReferencedWaveformChannels",
    "UT": "CameraOwnerName",
    "UV": "SelectorUVValue",
}
TEXTS = set("AE AS CS DA DT LO LT PN SH ST TM UC UI UR UT".split())
BYTES = set("OB OD OF OL OV OW UN".split())


def text_of(number: int, representation: str) -> str:
    """A canary that fits its representation, and can be told from all others."""
    name = f"CANARY{number:02d}"
    return {
        "AS": f"{number:03d}Y",
        "DA": f"1913{number % 12 + 1:02d}{number % 28 + 1:02d}",
        "DT": f"1914{number % 12 + 1:02d}{number % 28 + 1:02d}010203",
        "TM": f"0102{number % 60:02d}.98{number:02d}",
        "UI": f"1.2.3.77777.{number}",
        "UR": f"http://canary/{name}",
    }.get(representation, name)


def value_of(number: int, representation: str) -> object:
    """The canary ``number`` as a value."""
    if representation in TEXTS:
        return text_of(number, representation)
    if representation in BYTES:
        return (text_of(number, representation) * 4)[:32].encode()
    if representation in ("DS", "IS"):
        return str(77000 + number)
    if representation == "AT":
        return 0x77770000 + number
    return float(77000 + number) if representation in ("FL", "FD") else 7700 + number


def encoded(value: object, representation: str) -> list[bytes]:
    """How a canary would stand in a file."""
    if isinstance(value, bytes):
        return [value[:16]]
    if isinstance(value, str):
        return [value.encode()]
    kinds = {"FL": "<f4", "FD": "<f8", "SL": "<i4", "SS": "<i2", "SV": "<i8"}
    kinds |= {"UL": "<u4", "US": "<u2", "UV": "<u8"}
    if representation == "AT":
        number = int(str(value))
        return [np.array([number >> 16, number & 0xFFFF], "<u2").tobytes()]
    return [np.array([value], kinds[representation]).tobytes()]


def image_of_canaries(path: Path) -> list[bytes]:
    """Write the image; what stands in it and must not come out."""
    canaries: list[bytes] = []
    number = 0

    def put(dataset: Dataset, tag: object, representation: str) -> None:
        nonlocal number
        number += 1
        value = value_of(number, representation)
        dataset.add_new(tag, representation, value)
        canaries.extend(encoded(value, representation))

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.77777.901"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "CANARYAE"
    meta.SendingApplicationEntityTitle = "CANARYSEND"
    meta.PrivateInformationCreatorUID, meta.PrivateInformation = "1.2.3.77777.902", b"CANARYINFO"
    canaries += [b"CANARYAE", b"CANARYSEND", b"CANARYINFO", b"1.2.3.77777.90"]
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"CANARYPREAMBLE".ljust(128, b"\0"))
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3.77777.901"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.77777.903", "1.2.3.77777.904"
    dataset.FrameOfReferenceUID = "1.2.3.77777.905"
    dataset.Modality, dataset.PatientID = "CT", "CANARYID"
    canaries.append(b"CANARYID")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "CANARYTYPE"]
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Rows = dataset.Columns = 4
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PixelSpacing = 0, [0.5, 0.5]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    dataset.SliceThickness, dataset.ConvolutionKernel, dataset.KVP = 1.25, "CANARYKERNEL", 120
    canaries += [b"CANARYTYPE", b"CANARYKERNEL"]
    # Pixels, with a drawing in the unused bits and a text behind them.
    pixels = np.arange(16, dtype="<u2") + 1000
    dataset.PixelData = (pixels | 0xA000).tobytes() + b"CANARYBEHINDPIXELS"
    canaries.append(b"CANARYBEHINDPIXELS")
    # A public attribute of every representation; the pixels in floating point would be the image's.
    item, safe = Dataset(), Dataset()
    for representation, keyword in PUBLIC.items():
        tag = pydicom.datadict.tag_for_keyword(keyword)
        if tag is not None and keyword not in ("FloatPixelData", "DoubleFloatPixelData"):
            put(dataset, tag, representation)
            put(item, tag, representation)
            put(safe, tag, representation)
    # The same in a sequence that goes, and in one whose items stay.
    nested = Dataset()
    nested.add_new(0x00081140, "SQ", Sequence([item]))
    dataset.RequestAttributesSequence = Sequence([nested])
    safe.ReferencedSOPClassUID, safe.ReferencedSOPInstanceUID = CTImageStorage, "1.2.3.77777.906"
    dataset.ReferencedImageSequence = Sequence([safe])
    # Private elements of every representation, on both levels; a safe one that holds text.
    for owner in (dataset, safe):
        block = owner.private_block(0x0077, "CANARYCREATOR", create=True)
        for offset, representation in enumerate(PUBLIC):
            put(owner, block.get_tag(offset + 1), representation)
    block = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x23, "DS", "25.5")
    block.add_new(0x27, "LO", "CANARYSAFE")
    block.add_new(0x02, "DS", "77099")
    canaries += [b"CANARYCREATOR", b"CANARYSAFE", b"77099", b"1.2.3.77777"]
    # Overlays, curves, what the dictionary does not know, digital signatures.
    dataset.add_new(0x60003000, "OW", b"CANARYOVERLAY123")
    dataset.add_new(0x60000022, "LO", "CANARYOVERLAYTXT")
    dataset.add_new(0x50003000, "OW", b"CANARYCURVE12345")
    dataset.add_new(0x00181FFE, "LO", "CANARYUNKNOWN")
    dataset.add_new(0xFFFCFFFC, "OB", b"CANARYPADDING123")
    canaries += [b"CANARYOVERLAY", b"CANARYCURVE", b"CANARYUNKNOWN", b"CANARYPADDING"]
    pydicom.dcmwrite(path, dataset, enforce_file_format=False)
    with open(path, "ab") as file:
        file.write(b"CANARYBEHINDALL")
    canaries.append(b"CANARYBEHINDALL")
    return canaries
