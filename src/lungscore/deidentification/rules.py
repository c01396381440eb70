"""What may stay of an image. All else goes, whatever it is called and wherever it stands.

DICOM PS3.15, table E.1-1, lists what must go; a list of what may stay also covers what nobody has
listed. It holds numbers of the geometry, the pixels and the acquisition, and texts of which every
word is known. Of text that anybody could write nothing stays, unless it is asked for.
"""

import re
from dataclasses import dataclass

from lungscore.scan.dicom.header import AVERAGES, PROJECTIONS

CT, MR, PET = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.128",
)
#: Image classes that are taken: CT (also enhanced and converted), MR, PET, CR, DX.
IMAGES = frozenset(
    {
        *(CT, MR, PET, f"{CT}.1", f"{CT}.2", f"{MR}.1", f"{MR}.4", f"{PET}.1"),
        *("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"),
    }
)
#: Captured pictures: single, and with several frames.
CAPTURES = frozenset(
    {"1.2.840.10008.5.1.4.1.1.7", *(f"1.2.840.10008.5.1.4.1.1.7.{n}" for n in range(1, 5))}
)
#: Documents and reports, by the beginnings of their classes: they say in words who it is.
DOCUMENTS = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.")

#: Numbers that stay, by keyword: of any of the numeric VRs, as the dictionary has them.
NUMBERS = frozenset(
    (
        "SeriesNumber AcquisitionNumber InstanceNumber ImagesInAcquisition NumberOfFrames "
        "SamplesPerPixel PlanarConfiguration Rows Columns PixelAspectRatio BitsAllocated "
        "BitsStored HighBit PixelRepresentation SmallestImagePixelValue "
        "LargestImagePixelValue PixelPaddingValue PixelPaddingRangeLimit "
        "FloatPixelPaddingValue DoubleFloatPixelPaddingValue WindowCenter WindowWidth "
        "RescaleIntercept RescaleSlope LossyImageCompressionRatio SliceThickness "
        "SpacingBetweenSlices SliceLocation PixelSpacing ImagerPixelSpacing "
        "ImagePositionPatient ImageOrientationPatient TemporalPositionIdentifier "
        "NumberOfTemporalPositions KVP DataCollectionDiameter ReconstructionDiameter "
        "DistanceSourceToDetector DistanceSourceToPatient GantryDetectorTilt "
        "GantryDetectorSlew TableHeight TableTraverse ExposureTime ExposureTimeInms "
        "XRayTubeCurrent XRayTubeCurrentInmA Exposure ExposureInmAs ExposureInuAs "
        "GeneratorPower FocalSpots RevolutionTime SingleCollimationWidth "
        "TotalCollimationWidth TableSpeed TableFeedPerRotation SpiralPitchFactor CTDIvol "
        "EstimatedDoseSaving CalciumScoringMassFactorDevice DataCollectionCenterPatient "
        "ReconstructionTargetCenterPatient ReconstructionAngle ReconstructionFieldOfView "
        "ReconstructionPixelSpacing TableHorizontalRotationAngle RepetitionTime EchoTime "
        "InversionTime FlipAngle MagneticFieldStrength NumberOfAverages EchoTrainLength "
        "PixelBandwidth PercentSampling PercentPhaseFieldOfView SAR ImagingFrequency "
        "EchoNumbers SliceProgressionDirection DimensionIndexValues InStackPositionNumber "
        "TemporalPositionIndex FrameAcquisitionNumber RealWorldValueSlope "
        "RealWorldValueIntercept RealWorldValueFirstValueMapped RealWorldValueLastValueMapped "
        "NominalPercentageOfCardiacPhase RelativeXRayExposure Sensitivity "
        "DimensionIndexPointer FunctionalGroupPointer"
    ).split()
)

#: Words of an ImageType by which an image is no single slice: without them it would pass for one.
SHOWN = frozenset(PROJECTIONS | AVERAGES)

#: Codes that stay, if they are one of these.
CODES: dict[str, frozenset[str]] = {
    "Modality": frozenset({"CT", "MR", "PT", "CR", "DX", "OT", "SC"}),
    "ImageType": frozenset(
        (
            "ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER OTHER REFORMATTED MPR "
            "RECON HELIX VOLUME NONE MIXED RESAMPLED ADDITION MAX MIN SUBTRACTION"
        ).split()
    )
    | {"PROJECTION IMAGE"}
    | SHOWN,
    "FrameType": frozenset("ORIGINAL DERIVED PRIMARY AXIAL LOCALIZER VOLUME NONE MIXED".split()),
    "PhotometricInterpretation": frozenset(
        "MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_RCT YBR_ICT".split()
    ),
    "PatientPosition": frozenset("HFS HFP HFDL HFDR FFS FFP FFDL FFDR".split()),
    "BodyPartExamined": frozenset(
        "CHEST THORAX LUNG ABDOMEN CHESTABDOMEN CHESTABDPELVIS HEART NECK WHOLEBODY".split()
    ),
    "RotationDirection": frozenset({"CW", "CC"}),
    "ScanOptions": frozenset("HELICAL AXIAL SPIRAL SEQUENCE".split()),
    "AcquisitionType": frozenset("SPIRAL SEQUENCED CONSTANT_ANGLE STATIONARY FREE".split()),
    "RescaleType": frozenset({"HU", "US"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "LossyImageCompressionMethod": frozenset(
        "ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_13818_2".split()
    ),
    "BurnedInAnnotation": frozenset({"NO"}),
    "VolumetricProperties": frozenset("VOLUME SAMPLED DISTORTED MIXED".split()),
    "VolumeBasedCalculationTechnique": frozenset("NONE MAX_IP MIN_IP AVERAGE_IP MPR".split()),
    "PixelPresentation": frozenset("COLOR MONOCHROME MIXED TRUE_COLOR".split()),
    "PixelSpacingCalibrationType": frozenset({"GEOMETRY", "FIDUCIAL"}),
    "VOILUTFunction": frozenset("LINEAR LINEAR_EXACT SIGMOID".split()),
    "FilterType": frozenset("BODY HEAD WEDGE FLAT".split()),
}

#: Reconstruction kernels as makers call them; another text in their place goes.
KERNEL = re.compile(
    r"[A-Z][a-z]?\d{2,3}[a-z]?|FC\d{2}|STANDARD|STND|LUNG|CHEST|DETAIL|EDGE|SOFT|BONE|BONEPLUS|"
    r"ULTRA|[A-E]|L|Y[A-E]|IMR\d|[1-5]"
)

#: Sequences whose items are gone through in the same way: they hold geometry or references.
SEQUENCES = frozenset(
    (
        "ReferencedImageSequence SourceImageSequence SharedFunctionalGroupsSequence "
        "PerFrameFunctionalGroupsSequence PixelMeasuresSequence PlanePositionSequence "
        "PlaneOrientationSequence FrameContentSequence FrameVOILUTSequence "
        "PixelValueTransformationSequence CTImageFrameTypeSequence MRImageFrameTypeSequence "
        "CTAcquisitionTypeSequence CTAcquisitionDetailsSequence CTTableDynamicsSequence "
        "CTPositionSequence CTGeometrySequence CTReconstructionSequence CTExposureSequence "
        "CTXRayDetailsSequence DimensionOrganizationSequence DimensionIndexSequence "
        "DerivationImageSequence RealWorldValueMappingSequence"
    ).split()
)

#: UIDs of things, which are replaced, and of kinds of things, which stay if DICOM defines them.
UIDS = frozenset(
    (
        "SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID "
        "SynchronizationFrameOfReferenceUID ReferencedSOPInstanceUID ConcatenationUID "
        "DimensionOrganizationUID IrradiationEventUID AcquisitionUID"
    ).split()
)
KINDS = frozenset({"SOPClassUID", "ReferencedSOPClassUID"})

#: Attributes that an image must have, empty: what they held is gone.
EMPTY = (
    *("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "ReferringPhysicianName"),
    *("StudyDate", "StudyTime", "PositionReferenceIndicator", "Manufacturer"),
)

DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
TIMES = ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime")
#: With ``retain_device``, as they are: their text may be anything.
DEVICE = (
    *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
    *("StationName", "ConvolutionKernel"),
)
#: With ``retain_characteristics``.
SEX, AGE, BUILD = "PatientSex", "PatientAge", ("PatientSize", "PatientWeight")

#: PS3.15, table E.3.10-1, of CT: private numbers known to be safe. Creator -> group -> elements.
SAFE_PRIVATE: dict[str, tuple[int, frozenset[int]]] = {
    "GEMS_ACQU_01": (0x0019, frozenset({0x23, 0x24, 0x27, 0x2A, 0x2B})),
    "GEMS_HELIOS_01": (0x0045, frozenset({0x01, 0x02})),
    "ELSCINT1": (0x01F1, frozenset({0x07, 0x26, 0x27})),
}

NUMERIC_VRS = frozenset("DS IS US SS UL SL UV SV FL FD AT".split())
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True)
class Options:
    """What stays on top of the basic profile.

    retain_dates: dates, moved by the same days for all images of a patient, and times.
    retain_device: maker, model, serial number, software, station and kernel, as they are.
    retain_characteristics: sex, age (90 and above as 90), size and weight. allow_burned_in,
    allow_captures: take images although a name may be seen in them.
    """

    retain_dates: bool = False
    retain_device: bool = False
    retain_characteristics: bool = False
    allow_burned_in: bool = False
    allow_captures: bool = False

    def codes(self) -> list[tuple[str, str]]:
        """The method as PS3.16, CID 7050, codes it."""
        chosen = [("113100", "Basic Application Confidentiality Profile")]
        chosen += [("113111", "Retain Safe Private Option")]
        if self.retain_dates:
            meaning = "Retain Longitudinal Temporal Information Modified Dates Option"
            chosen += [("113107", meaning)]
        if self.retain_device:
            chosen += [("113109", "Retain Device Identity Option")]
        if self.retain_characteristics:
            chosen += [("113108", "Retain Patient Characteristics Option")]
        return chosen
