"""Which images of a DICOM folder are one scan."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from lungscore.scan import inspect_input, read_scan
from tests.scan.reading import codes, rejection
from tests.scan.scan_builder import chest, save, write_series

STUDY = generate_uid(entropy_srcs=["study"])
Edit = Callable[[int, pydicom.Dataset], None]


def setting(**values: object) -> Edit:
    """An edit that gives every image of a study the same ``values``."""

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.StudyInstanceUID = STUDY
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return edit


@pytest.mark.parametrize("depth", [4, 12, 30])
@pytest.mark.parametrize("own_frames", [False, True])
def test_series_uids_of_their_own_are_read_as_one_series(
    tmp_path: Path, depth: int, own_frames: bool
) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.SeriesInstanceUID = f"1.2.{index}"
        dataset.FrameOfReferenceUID = f"1.3.{index}" if own_frames else "1.3"

    write_series(tmp_path, chest(depth), edit=edit)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest(depth))
    assert "series-merged" in codes(scan)
    assert len(inspect_input(tmp_path)["series"]) == 1


def test_two_kernels_with_uids_of_their_own_stay_apart(tmp_path: Path) -> None:
    for kernel in ("soft", "sharp"):

        def edit(index: int, dataset: pydicom.Dataset, kernel: str = kernel) -> None:
            dataset.StudyInstanceUID = STUDY
            dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[kernel, str(index)])
            dataset.ConvolutionKernel = kernel

        write_series(tmp_path / kernel, edit=edit)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert {"series-merged", "series-left-out"} <= set(codes(scan))


@pytest.mark.parametrize(
    "image_type",
    [
        ["DERIVED", "SECONDARY", "REFORMATTED", "MIP"],
        ["DERIVED", "SECONDARY", "MIN_IP"],
        ["DERIVED", "PRIMARY", "AXIAL", "MINIP"],
        ["DERIVED", "SECONDARY", "PROJECTION IMAGE"],
    ],
)
def test_projections_are_never_the_scan(tmp_path: Path, image_type: list[str]) -> None:
    plain = ["DERIVED", "SECONDARY", "AXIAL"]
    write_series(tmp_path / "plain", edit=setting(ImageType=plain))
    write_series(tmp_path / "mip", chest(24, seed=1), edit=setting(ImageType=image_type))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert "series-left-out" in codes(scan)
    error = rejection(tmp_path / "mip")
    assert error.code == "no-axial-ct"
    assert "projections" in error.found


def test_projections_within_the_series_are_set_aside(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    for number, path in enumerate(paths[2:5]):
        dataset = pydicom.dcmread(path)
        dataset.ImageType = ["DERIVED", "SECONDARY", "MIP"]
        dataset.SOPInstanceUID = generate_uid()
        save(dataset, tmp_path / f"mip{number}.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert any("3 projections" in notice.message for notice in scan.notices)


def test_averages_come_last_and_are_noted(tmp_path: Path) -> None:
    average = ["DERIVED", "SECONDARY", "AXIAL", "AVERAGE"]
    write_series(tmp_path / "average", chest(24, seed=1), edit=setting(ImageType=average))
    assert "averaged-images" in codes(read_scan(tmp_path))
    write_series(tmp_path / "plain", edit=setting(ImageType=["DERIVED", "SECONDARY", "AXIAL"]))
    np.testing.assert_array_equal(read_scan(tmp_path).values, chest())


@pytest.mark.parametrize("description", ["Thorax MIP 8/2", "Lung MinIP_3", "4D AVERAGE"])
def test_what_the_description_alone_calls_a_projection_comes_last_and_is_noted(
    tmp_path: Path, description: str
) -> None:
    write_series(tmp_path / "mip", chest(24, seed=1), edit=setting(SeriesDescription=description))
    assert "averaged-images" in codes(read_scan(tmp_path))
    write_series(tmp_path / "plain", edit=setting(SeriesDescription="Thorax, MIPS in PACS"))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert "averaged-images" not in codes(scan)


def alternating(first: object, second: object, keyword: str) -> Edit:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        setattr(dataset, keyword, (first, second)[index % 2])

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        alternating(1, 2, "AcquisitionNumber"),
        alternating("101500", "101730.25", "AcquisitionTime"),
        alternating("20200101101500", "20200101101730", "AcquisitionDateTime"),
        alternating("B30f", "B70f", "ConvolutionKernel"),
        lambda index, dataset: setattr(
            dataset, "AcquisitionTime", f"1015{index + 20 * (index % 2):02d}"
        ),
    ],
    ids=["numbers", "times", "date and times", "kernels", "running times"],
)
def test_interleaved_acquisitions_are_rejected(tmp_path: Path, edit: Edit) -> None:
    write_series(tmp_path, chest(16), edit=edit)
    assert rejection(tmp_path).code == "mixed-acquisitions"


def test_interleaved_acquisitions_are_told_by_their_content(tmp_path: Path) -> None:
    values = chest(24)
    values[1::2] = np.roll(values[1::2], 5, axis=1)  # another depth of breath
    write_series(tmp_path, values)
    assert rejection(tmp_path).code == "mixed-acquisitions"


@pytest.mark.parametrize(
    "edit",
    [
        lambda index, dataset: setattr(dataset, "AcquisitionNumber", index + 1),
        lambda index, dataset: setattr(dataset, "AcquisitionNumber", index // 4 + 1),
        lambda index, dataset: setattr(dataset, "AcquisitionNumber", 1 + (index > 9)),
        lambda index, dataset: setattr(dataset, "AcquisitionTime", f"1015{59 - index:02d}"),
        lambda index, dataset: setattr(dataset, "AcquisitionTime", "101500"),
    ],
    ids=["one a slice", "one a turn", "two blocks", "upwards", "one time"],
)
def test_acquisitions_that_follow_each_other_are_one_scan(tmp_path: Path, edit: Edit) -> None:
    write_series(tmp_path, chest(16), edit=edit)
    assert read_scan(tmp_path).notices == ()


@pytest.mark.parametrize("image_type", [["DERIVED", "SECONDARY", "OTHER"], ["ORIGINAL", "PRIMARY"]])
@pytest.mark.parametrize("shape", [(50, 40), (36, 40)])
@pytest.mark.parametrize("directions", [[1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]])
def test_a_scout_without_its_name_is_set_aside_and_counted(
    tmp_path: Path, image_type: list[str], shape: tuple[int, int], directions: list[int]
) -> None:
    paths = write_series(tmp_path)
    scout = copy.deepcopy(pydicom.dcmread(paths[0]))
    scout.SOPInstanceUID, scout.ImageType = generate_uid(), image_type
    scout.ImageOrientationPatient, scout.ImagePositionPatient = directions, [-20, -30, 102]
    scout.Rows, scout.Columns = shape
    scout.PixelData = bytes(2 * shape[0] * shape[1])
    save(scout, tmp_path / "A.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert any("1 across the slices" in notice.message for notice in scan.notices)


def test_a_captured_page_without_a_place_is_set_aside(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    page = pydicom.dcmread(paths[0])
    page.SOPInstanceUID, page.ImageType = generate_uid(), ["DERIVED", "SECONDARY"]
    del page.ImagePositionPatient, page.ImageOrientationPatient
    save(page, tmp_path / "A.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert "files-ignored" in codes(scan)


def test_one_identifier_for_all_images_is_noted(tmp_path: Path) -> None:
    write_series(tmp_path, edit=lambda i, dataset: setattr(dataset, "SOPInstanceUID", "1.2.3"))
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())
    assert codes(scan) == ["uid-repeated"]


@pytest.mark.parametrize(
    ("keyword", "values"),
    [("PatientName", ("A^B", "C^D")), ("PatientBirthDate", ("19500101", "19800101"))],
)
def test_two_persons_under_one_identifier_are_noted_without_their_names(
    tmp_path: Path, keyword: str, values: tuple[str, str]
) -> None:
    write_series(tmp_path, edit=lambda i, dataset: setattr(dataset, keyword, values[i > 5]))
    scan = read_scan(tmp_path)
    assert codes(scan) == ["patient-differs"]
    assert not any(value in str(scan.notices) for value in values)


def test_one_name_written_in_two_ways_is_one_person(tmp_path: Path) -> None:
    names = ("DOE^JOHN", "Doe^John^^")
    write_series(tmp_path, edit=lambda i, d: setattr(d, "PatientName", names[i % 2]))
    assert read_scan(tmp_path).notices == ()


def test_two_names_without_identifiers_are_two_patients(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.PatientID, dataset.PatientName = "", ("A^B", "C^D")[index > 5]

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "mixed-patients"


@pytest.mark.parametrize("modality", ["SR", "RTSTRUCT", "PR"])
def test_a_report_beside_a_volume_is_ignored(tmp_path: Path, modality: str) -> None:
    import nibabel as nib

    stored = np.ascontiguousarray(chest().transpose(2, 1, 0))
    nib.save(nib.Nifti1Image(stored, np.diag([-0.8, -0.7, -2, 1])), tmp_path / "ct.nii.gz")
    path = write_series(tmp_path / "dicom", chest(1))[0]
    report = pydicom.dcmread(path)
    report.Modality, report.SOPClassUID = modality, "1.2.840.10008.5.1.4.1.1.88.67"
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    save(report, path)
    scan = read_scan(tmp_path)
    assert scan.kind == "nifti"
    assert "files-ignored" in codes(scan)
