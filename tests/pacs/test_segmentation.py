"""Segmentation objects hold the masks of the result, where they lie in the patient."""

from collections.abc import Callable
from datetime import datetime
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from lungscore.inference import Segmenter
from lungscore.pacs.objects import stamp_of
from lungscore.pacs.segmentation import segmentation
from lungscore.pacs.stored_masks import Stored, read_stored_case
from lungscore.scan.phantom import Phantom
from tests.pacs.reader import headers, labels_at, referenced_images, segment_numbers, voxels_of
from tests.pacs.series import DIRECTIONS, analysed, write_phantom
from tests.sampling import sampled
from tests.scan.scan_builder import compress

pytest.importorskip("highdicom", reason="highdicom is not here: pip install lungscore[dicom]")

MOMENT = datetime(2026, 1, 2, 3, 4, 5)
Made = Callable[[str], tuple[Path, Path]]

#: Codes of the segments: label in the mask -> (code of its type, code of its modifier).
LUNGS = {1: ("39607008", "24028007"), 2: ("39607008", "7771000")}
LOBES = {3: "42400003", 4: "72481006", 5: "266005", 1: "44714003", 2: "41224006"}
LESIONS = {1: "112120", 2: "95436008"}


def written(kind: str, case: Stored, folder: Path, **options: str | None) -> pydicom.FileDataset:
    stamp = stamp_of(case.content, MOMENT)
    instance = segmentation(kind, case.masks[kind], case.source, case.result, stamp, **options)
    assert instance is not None
    instance.save_as(folder / f"{kind}.dcm", enforce_file_format=True)
    return pydicom.dcmread(folder / f"{kind}.dcm")


def mask_of_segment(instance: pydicom.Dataset, number: int, kind: str) -> int:
    """The label in the mask of ``kind`` that a segment's codes mean."""
    (segment,) = (s for s in instance.SegmentSequence if s.SegmentNumber == number)
    (type_,) = segment.SegmentedPropertyTypeCodeSequence
    if kind == "lungs":
        (modifier,) = type_.SegmentedPropertyTypeModifierCodeSequence
        return {codes: label for label, codes in LUNGS.items()}[
            (type_.CodeValue, modifier.CodeValue)
        ]
    table = {"lobes": LOBES, "lesions": LESIONS}[kind]
    return {code: label for label, code in table.items()}[type_.CodeValue]


@pytest.mark.parametrize(
    ("lying", "kind"), sampled(product(DIRECTIONS, ["lungs", "lobes", "lesions"]), every=5)
)
def test_segments_are_the_masks_wherever_the_patient_lies(
    lying: str, kind: str, made: Made, tmp_path: Path
) -> None:
    series, folder = made(lying)
    instance = written(kind, read_stored_case(folder, series), tmp_path)
    mask = folder / f"{kind}.nii.gz"
    counted = dict(
        zip(*np.unique(np.asarray(nib.load(mask).dataobj), return_counts=True), strict=True)
    )
    places = voxels_of(instance)
    assert len(places) == len(instance.SegmentSequence) == len(counted) - 1
    for number, voxels in places.items():
        label = mask_of_segment(instance, number, kind)
        assert set(labels_at(mask, voxels)) == {label}
        assert len(voxels) == counted[label]


@pytest.mark.parametrize("lying", ["feet-first", "oblique"])
def test_every_frame_refers_to_the_image_it_lies_on(lying: str, made: Made, tmp_path: Path) -> None:
    series, folder = made(lying)
    instance = written("lungs", read_stored_case(folder, series), tmp_path)
    images = headers(series)
    frames = instance.PerFrameFunctionalGroupsSequence
    for frame, uid in zip(frames, referenced_images(instance), strict=True):
        image = images[uid]
        assert frame.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(
            image.ImagePositionPatient
        )
    shared = instance.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    image = next(iter(images.values()))
    assert list(measures.PixelSpacing) == list(image.PixelSpacing) == [3.75, 3.0]
    assert instance.FrameOfReferenceUID == image.FrameOfReferenceUID
    (referenced,) = instance.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == image.SeriesInstanceUID


def long_decimals(index: int, dataset: FileDataset) -> None:
    """More letters than DICOM allows."""
    dataset.ImageOrientationPatient = ["1", "0", "6.123233995736766e-17", "0", "1", "0"]
    dataset.PixelSpacing = ["3.7500000000000001", "3.0000000000000001"]
    dataset.ImagePositionPatient = [f"{value:.15f}" for value in dataset.ImagePositionPatient]
    dataset.SliceThickness = "17.500000000000001"


def other_directions(index: int, dataset: FileDataset) -> None:
    """Directions that differ less than the reader minds."""
    angle = 2e-4 * (index % 2)
    row, column = (np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0)
    dataset.ImageOrientationPatient = [round(float(value), 6) for value in (*row, *column)]
    dataset.PixelSpacing = [3.75 + 0.0003 * (index % 2), 3.0]


def numbers_as_text(index: int, dataset: FileDataset) -> None:
    """A decimal comma in another representation."""
    dataset.add_new("PixelSpacing", "LO", ["3,75", "3,0"])
    dataset.add_new("SliceThickness", "LO", "17,5")


@pytest.mark.parametrize("edit", [long_decimals, other_directions, numbers_as_text])
def test_geometry_that_the_analysis_takes_is_written_as_it_was_read(
    edit: Callable[[int, FileDataset], None], made: Made, tmp_path: Path
) -> None:
    series, folder = made("axial")
    (tmp_path / "series").mkdir()
    for index, path in enumerate(sorted(series.iterdir())):
        dataset = pydicom.dcmread(path)
        edit(index, dataset)
        pydicom.dcmwrite(tmp_path / "series" / path.name, dataset, enforce_file_format=False)
    case = read_stored_case(folder, tmp_path / "series")
    assert case.source.faults == ()
    instance = written("lungs", case, tmp_path)
    for number, voxels in voxels_of(instance).items():
        label = mask_of_segment(instance, number, "lungs")
        assert set(labels_at(folder / "lungs.nii.gz", voxels)) == {label}


def test_patient_and_study_are_the_scans_and_the_series_is_new(made: Made, tmp_path: Path) -> None:
    series, folder = made("axial")
    instance = written("lesions", read_stored_case(folder, series), tmp_path)
    image = next(iter(headers(series).values()))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyID"):
        assert instance[keyword].value == image[keyword].value
    assert instance.SeriesInstanceUID != image.SeriesInstanceUID
    assert instance.Modality == "SEG"
    assert "Research use only" in instance.ContentDescription
    for segment in instance.SegmentSequence:
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmName == "lungscore"
        assert segment.TrackingUID.startswith("2.25.")
        assert len(segment.RecommendedDisplayCIELabValue) == 3


def test_the_same_result_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    series, folder = made("axial")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        written("lungs", read_stored_case(folder, series), tmp_path / name)
    first, second = ((tmp_path / name / "lungs.dcm").read_bytes() for name in ("first", "second"))
    assert first == second


def test_regions_have_a_code_each_and_lie_in_their_lobes(made: Made, tmp_path: Path) -> None:
    series, folder = made("axial")
    instance = written("regions", read_stored_case(folder, series), tmp_path)
    codes = [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in instance.SegmentSequence]
    assert len(set(codes)) == len(codes)
    lobes = folder / "lobes.nii.gz"
    for number, voxels in voxels_of(instance).items():
        (segment,) = (s for s in instance.SegmentSequence if s.SegmentNumber == number)
        (region,) = segment.AnatomicRegionSequence
        assert {LOBES[label] for label in labels_at(lobes, voxels)} == {region.CodeValue}


def test_no_cause_is_stated_unless_asked(made: Made, tmp_path: Path) -> None:
    series, folder = made("axial")
    case = read_stored_case(folder, series)
    assert "840539006" not in str(written("lesions", case, tmp_path))
    stated = written("lesions", case, tmp_path, etiology="covid-19")
    for segment in stated.SegmentSequence:
        (type_,) = segment.SegmentedPropertyTypeCodeSequence
        assert type_.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "840539006"


@pytest.mark.slow
def test_a_frame_between_missing_slices_refers_to_none(
    tmp_path: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter
) -> None:
    series = write_phantom(tmp_path / "ct", small_phantom("moderate"))
    sorted(series.iterdir())[8].unlink()
    folder = analysed(series, tmp_path / "out", segmenter, allow_gaps=True)
    instance = written("lungs", read_stored_case(folder, series), tmp_path)
    uids = referenced_images(instance)
    assert uids.count(None) == 2  # one of each lung
    assert {uid for uid in uids if uid} <= set(headers(series))
    for number, voxels in voxels_of(instance).items():
        label = mask_of_segment(instance, number, "lungs")
        assert set(labels_at(folder / "lungs.nii.gz", voxels)) == {label}
    (referenced,) = instance.ReferencedSeriesSequence
    assert len(referenced.ReferencedInstanceSequence) == len(headers(series))


@pytest.mark.slow
def test_a_series_that_came_compressed_is_referred_to_as_it_is(
    tmp_path: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter
) -> None:
    series = write_phantom(tmp_path / "ct", small_phantom("moderate"), "oblique")
    for file in series.iterdir():
        compress(file, "JPEGLosslessProcess14_1")
    folder = analysed(series, tmp_path / "out", segmenter)
    instance = written("lesions", read_stored_case(folder, series), tmp_path)
    assert instance.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert {uid for uid in referenced_images(instance)} <= set(headers(series))
    assert len(segment_numbers(instance)) == instance.NumberOfFrames


def test_a_mask_of_the_users_is_not_called_automatic(made: Made) -> None:
    series, folder = made("axial")
    case = read_stored_case(folder, series)
    notice = {"code": "user-lobes", "message": ""}
    result = {**case.result, "warnings": [*case.result["warnings"], notice]}
    stamp = stamp_of(case.content, MOMENT)
    for kind, origin in (("lobes", "MANUAL"), ("lesions", "AUTOMATIC")):
        instance = segmentation(kind, case.masks[kind], case.source, result, stamp)
        for segment in instance.SegmentSequence:
            assert segment.SegmentAlgorithmType == origin
            named = "SegmentationAlgorithmIdentificationSequence" in segment
            assert named == (origin == "AUTOMATIC")


def test_healthy_lungs_have_no_segmentation_of_lesions(tmp_path: Path, made: Made) -> None:
    series, folder = made("axial")
    case = read_stored_case(folder, series)
    stamp = stamp_of(case.content, MOMENT)
    nothing = np.zeros_like(case.masks["lesions"])
    assert segmentation("lesions", nothing, case.source, case.result, stamp) is None
    only = np.where(case.masks["lesions"] == 2, np.uint8(2), np.uint8(0))
    instance = segmentation("lesions", only, case.source, case.result, stamp)
    (segment,) = instance.SegmentSequence
    assert segment.SegmentNumber == 1
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == LESIONS[2]


def test_what_the_series_itself_violates_is_named_without_values(
    tmp_path: Path, small_phantom: Callable[[str], Phantom], segmenter: Segmenter
) -> None:
    def spoil(index: int, dataset: FileDataset) -> None:
        dataset.PatientBirthDate, dataset.PatientSex = "1960.01.01", "female"
        dataset.StudyInstanceUID = "a1-canary"

    series = write_phantom(tmp_path / "ct", small_phantom("moderate"), edit=spoil)
    case = read_stored_case(analysed(series, tmp_path / "out", segmenter), series)
    text = " ".join(case.source.faults)
    for keyword in ("PatientBirthDate", "PatientSex", "StudyInstanceUID"):
        assert keyword in text
    for value in ("canary", "1960", "female"):
        assert value not in text
    instance = written("lungs", case, tmp_path)
    assert instance.PatientSex == instance.PatientBirthDate == ""
    assert instance.StudyInstanceUID == "a1-canary"
