"""The DICOM series that a result was computed from: what objects made of it refer to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds, validate_value

from lungscore.errors import InputError, ResourceError
from lungscore.guard import reported
from lungscore.pacs.uids import uid_of
from lungscore.scan.dicom.header import CT_IMAGE, Header, parse, quiet_pydicom
from lungscore.scan.dicom.stack import common_directions
from lungscore.scan.read import opened
from lungscore.scan.recognise import Inventory
from lungscore.scan.scan import Scan

#: What is taken over of the patient, the study and the frame of reference. What DICOM wants there
#: even if it is empty (type 2) comes first.
TYPE_2 = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
OPTIONAL = (
    *("IssuerOfPatientID", "PatientAge", "PatientSize", "PatientWeight", "StudyDescription"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    "LongitudinalTemporalInformationModified",
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName"),
    *("ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
    *("ClinicalTrialTimePointID", "Manufacturer", "ManufacturerModelName", "PatientPosition"),
    *("SoftwareVersions", "LossyImageCompression", "SeriesNumber", "InstanceNumber"),
)
#: What objects refer to by: without these nothing can.
IDENTIFIERS = (*("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),)
_OTHERS = ("SpecificCharacterSet", "SOPClassUID", "Modality", "ImageType")


@dataclass(frozen=True)
class Source:
    """A series, as a result was computed from it.

    scan: as it was read. images: one header for each slice along the last axis of
    ``scan.geometry``, in UTF-8, with valid values only, of one direction and one pixel spacing.
    faults: what the series itself violates, in words, without values. interpolated: numbers of
    slices that no image fills; their headers are made up and must not be referred to.
    """

    scan: Scan
    images: tuple[Dataset, ...]
    faults: tuple[str, ...]
    interpolated: frozenset[int]

    @property
    def first(self) -> Dataset:
        """The header of an image that is there."""
        return next(image for n, image in enumerate(self.images) if n not in self.interpolated)

    def planes(self, labels: np.ndarray) -> np.ndarray:
        """Canonical (D, H, W) ``labels`` as (images, rows, columns), as the images store them."""
        return np.ascontiguousarray(self.scan.geometry.to_source(labels).transpose(2, 1, 0))


def read_source(path: Path, result: Mapping[str, Any]) -> Source:
    """The series of ``result`` (the content of a result.json) at ``path``, a folder, file or zip.

    Raises InputError ``source-not-dicom``, ``source-missing``, ``source-changed``,
    ``source-unusable``, or what reading a scan raises.
    """
    given = result["input"]
    if given["kind"] != "dicom" or not given["series_uid"]:
        raise InputError(
            "source-not-dicom",
            f"The result was computed from {_KINDS.get(given['kind'], 'another format')}",
            expected="a result of a DICOM series, which DICOM objects must refer to",
            hint="Analyse the DICOM series itself",
        )
    with opened(path) as files, reported(path.name):
        if files.content != "dicom":
            raise InputError(
                "source-missing",
                f"{path.name} contains no DICOM series",
                expected="the folder of the series that was analysed",
            )
        return _read(path, files, result)


_KINDS = {
    "nifti": "a NIfTI file",
    "nrrd": "an NRRD file",
    "metaimage": "a MetaImage file",
    "slices": "slice images",
    "slice": "a slice image",
    "array": "an array",
    "phantom": "the built-in phantom",
    "dicom": "DICOM files without a SeriesInstanceUID",
}


def check_library() -> None:
    """Raise ResourceError ``library-missing``, before any work, where highdicom is not there."""
    try:
        import highdicom  # noqa: F401
    except ModuleNotFoundError as error:
        hint = 'Install it with: pip install "lungscore[dicom]"'
        raise ResourceError(
            "library-missing", f"{error.name} is not installed", hint=hint
        ) from None


def check_source(path: Path, series: str | None) -> None:
    """Whether DICOM objects could refer to what would be analysed at ``path``, by its headers.

    series: the UID asked for. Raises InputError ``source-not-dicom``, ``source-unusable``, or what
    reading headers raises.
    """
    check_library()
    from lungscore.scan.dicom.read import read_groups
    from lungscore.scan.dicom.series import choose_series

    with opened(path) as files, reported(path.name):
        if files.content != "dicom":
            raise InputError(
                "source-not-dicom",
                f"{path.name} is not DICOM",
                expected="a DICOM series, which DICOM objects must refer to",
                hint="Leave --dicom out",
            )
        groups = read_groups(files.files, files.names(path.name))
        _check_identifiers(choose_series(groups.groups, series).headers, unique=False)


def _read(path: Path, files: Inventory, result: Mapping[str, Any]) -> Source:
    from lungscore.scan.dicom.read import read_dicom, read_groups
    from lungscore.scan.volume import to_scan

    uid = result["input"]["series_uid"]
    codes = {warning["code"] for warning in result["warnings"]}
    filled = bool(codes & {"gaps-interpolated", "slices-replaced"})
    groups = read_groups(files.files, files.names(path.name))
    if uid not in {group.uid for group in groups.groups}:
        raise InputError(
            "source-missing",
            f"{path.name} contains {len(groups.groups)} series, but not that of the result",
            expected=f"the series {uid}",
            hint="Give the folder of the series that was analysed with --source",
        )
    volume = read_dicom(groups, series=uid, allow_gaps=filled)
    scan = to_scan(volume, result["case"], path.name, allow_gaps=filled)
    _check_unchanged(path, scan, result)
    headers = volume.images
    _check_identifiers([header for header in headers if header is not None])
    images, faults = _images(headers, scan)
    lost = frozenset(number for number, header in enumerate(headers) if header is None)
    return Source(scan, images, faults, lost)


def _check_unchanged(path: Path, scan: Scan, result: Mapping[str, Any]) -> None:
    said = tuple(result["input"]["shape"])
    known = result["input"].get("voxels_sha256")
    if scan.shape != said:
        text = f"It has {scan.shape} voxels (slices, rows, columns), not {said}"
    elif known is not None and scan.voxels_sha256 != known:
        text = "Its voxels are not those that were analysed"
    else:
        return
    raise InputError(
        "source-changed",
        f"The series in {path.name} has changed since it was analysed. {text}",
        expected="the series as it was analysed",
        hint="Analyse the series again",
    )


def _check_identifiers(headers: Sequence[Header], *, unique: bool = True) -> None:
    """Raise ``source-unusable`` where objects would be of no study, place or image.

    unique: whether the images have been cleared of copies, so that no two may share a UID.
    """
    values: dict[str, list[Any]] = {
        "StudyInstanceUID": [header.study for header in headers],
        "PixelSpacing": [header.pixel_spacing for header in headers],
        "ImagePositionPatient": [header.position for header in headers],
        "ImageOrientationPatient": [header.orientation for header in headers],
    }
    problems = [
        f"{keyword} is missing or empty in {missing} of {len(headers)} images"
        for keyword, texts in values.items()
        if (missing := sum(not text for text in texts))
    ]
    uids = [header.sop_uid for header in headers if header.sop_uid]
    if unique and len(set(uids)) < len(uids):
        problems.append(f"{len(uids)} images share {len(set(uids))} SOPInstanceUIDs")
    if (count := len({header.frame for header in headers})) > 1:
        problems.append(f"the images have {count} different values of FrameOfReferenceUID")
    if problems:
        raise InputError(
            "source-unusable",
            "DICOM objects cannot refer to this series: " + "; ".join(problems),
            expected="images of one study and one frame of reference that state where they lie, "
            "each with a SOPInstanceUID of its own",
            hint="Repair the identifiers of the series, then analyse it again",
        )


def _images(
    headers: Sequence[Header | None], scan: Scan
) -> tuple[tuple[Dataset, ...], tuple[str, ...]]:
    """The headers to refer to, and what the series violates."""
    faults: Counter[str] = Counter()
    tags = [*TYPE_2, *OPTIONAL, *IDENTIFIERS, *_OTHERS]
    orientation = _orientation([header for header in headers if header is not None])
    spacing = next(header.pixel_spacing for header in headers if header is not None)
    images: list[Dataset | None] = []
    with quiet_pydicom():
        for header in headers:
            if header is None:
                images.append(None)
                continue
            raw = parse(header.path, tags, with_pixels=False, name=header.name)
            image, wrong = cleaned(raw)
            faults.update(wrong)
            image.Rows, image.Columns = header.rows, header.columns
            image.PixelSpacing = _decimals(spacing)
            image.ImageOrientationPatient = _decimals(orientation)
            image.ImagePositionPatient = _decimals(header.position)
            if header.thickness is not None:
                image.SliceThickness = format_number_as_ds(header.thickness)
            faults.update(_complete(image, header, scan))
            images.append(image)
    total = sum(header is not None for header in headers)
    series = {image.SeriesInstanceUID for image in images if image is not None}
    if len(series) > 1:
        raise InputError(
            "source-unusable",
            f"The images of one series have {len(series)} different values of SeriesInstanceUID",
            expected="one SeriesInstanceUID",
            hint="Give the images one SeriesInstanceUID, then analyse the series again",
        )
    texts = tuple(f"{fault} (in {count} of {total} images)" for fault, count in faults.items())
    return tuple(_completed(images)), texts


def _orientation(headers: Sequence[Header]) -> Sequence[float]:
    """The one direction of all images: that of the scan, where theirs differ a little."""
    orientations = np.array([header.orientation for header in headers], np.float64)
    if np.ptp(orientations, axis=0).max() == 0:
        return orientations[0].tolist()
    return common_directions(orientations, "the series").ravel().tolist()


def _decimals(numbers: Sequence[float] | None) -> list[str]:
    """Numbers as the header's reader understood them: what stands in a file may be longer than
    DICOM allows, or be text."""
    return [format_number_as_ds(number) for number in numbers or ()]


def _complete(image: Dataset, header: Header, scan: Scan) -> Iterator[str]:
    """Fill in what a header lacks and objects need; gives what it was, in words.

    UIDs that are missing are made from the series' UID and the image's place: no other system knows
    them, but objects of one series then agree.
    """
    stand_ins = {
        "SOPClassUID": CT_IMAGE,
        "Modality": "CT",
        "SeriesInstanceUID": header.series_uid,
        "SOPInstanceUID": uid_of("image", header.series_uid, header.position),
        "FrameOfReferenceUID": uid_of("frame of reference", header.series_uid),
        "SliceThickness": _number(scan.spacing_mm[0] if scan.spacing_mm else 1.0),
    }
    for keyword, value in stand_ins.items():
        if not image.get(keyword):
            setattr(image, keyword, value)
            yield f"{keyword} is missing" + (
                ", references use a UID made for it" if keyword.endswith("InstanceUID") else ""
            )


def cleaned(raw: Dataset) -> tuple[Dataset, list[str]]:
    """A copy in UTF-8 that holds valid values only, and what was wrong, without values.

    UIDs stay as they are, since what is made of the series must name it as it names itself. Other
    invalid values are left out, or empty where DICOM wants the element.
    """
    raw.decode()
    image = Dataset()
    faults = []
    for element in raw:
        keyword = element.keyword
        if keyword == "SpecificCharacterSet":
            continue
        value = element.value
        if element.VR == "PN":
            value = str(value)
        if not _is_valid(element.VR, keyword, value):
            faults.append(f"{keyword} is invalid (value representation {element.VR})")
            if element.VR != "UI":
                continue
        setattr(image, keyword, value)
    for keyword in TYPE_2:
        if keyword not in image:
            setattr(image, keyword, "")
    image.SpecificCharacterSet = UTF_8
    return image, faults


#: The character set of all that is written: ours and that of any source fit into it.
UTF_8 = "ISO_IR 192"
_SEXES = {"", "M", "F", "O"}


def _is_valid(kind: str, keyword: str, value: Any) -> bool:
    if kind == "SQ":
        return True
    values = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    if keyword == "PatientSex" and (value or "") not in _SEXES:
        return False
    try:
        for item in values:
            if item is not None and item != "":
                validate_value(kind, str(item) if kind != "US" else item, config.RAISE)
    except (ValueError, TypeError):
        return False
    return True


def _completed(images: list[Dataset | None]) -> list[Dataset]:
    """``images`` with a made-up header where none is: that of the one before, moved along."""
    present = [number for number, image in enumerate(images) if image is not None]
    first, last = images[present[0]], images[present[-1]]
    if first is None or last is None or len(present) == len(images):
        return [image for image in images if image is not None]
    positions = [np.array(image.ImagePositionPatient, float) for image in (first, last)]
    step = (positions[1] - positions[0]) / (present[-1] - present[0])
    result = []
    for number, image in enumerate(images):
        if image is None:
            image = deepcopy(first)
            image.SOPInstanceUID = f"2.25.{number}"
            position = positions[0] + (number - present[0]) * step
            image.ImagePositionPatient = _decimals(position.tolist())
        result.append(image)
    return result


def _number(value: float) -> str:
    """A decimal string, 16 letters at most."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
