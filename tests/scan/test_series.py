"""Which series is read, and series that cannot be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from lungscore.scan import inspect_input, read_scan
from tests.scan.reading import rejection
from tests.scan.scan_builder import chest, save, write_series

STUDY = "1.2.3.4"


def in_study(index: int, dataset: pydicom.Dataset) -> None:
    dataset.StudyInstanceUID = STUDY


def with_tags(**tags: object) -> Callable[[int, pydicom.Dataset], None]:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.StudyInstanceUID = STUDY
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)

    return edit


def notices(path: Path, **options: object) -> dict[str, str]:
    scan = read_scan(path, **options)  # type: ignore[arg-type]
    return {notice.code: notice.message for notice in scan.notices}


# Choice


def test_most_slices_win_and_the_rest_is_listed(tmp_path: Path) -> None:
    write_series(tmp_path / "a", chest(11), series_uid="1.1", edit=in_study)
    write_series(tmp_path / "b", chest(20), series_uid="1.2", edit=in_study)
    scan = read_scan(tmp_path)
    assert scan.series_uid == "1.2"
    assert [entry["series_uid"] for entry in scan.left_out] == ["1.1"]
    assert "series-left-out" in {notice.code for notice in scan.notices}


def test_original_goes_before_derived(tmp_path: Path) -> None:
    derived = with_tags(ImageType=["DERIVED", "SECONDARY", "MPR"])
    write_series(tmp_path / "a", chest(20), series_uid="1.1", edit=derived)
    write_series(tmp_path / "b", chest(11), series_uid="1.2", edit=in_study)
    assert read_scan(tmp_path).series_uid == "1.2"


def test_a_volume_goes_before_few_original_slices(tmp_path: Path) -> None:
    derived = with_tags(ImageType=["DERIVED", "PRIMARY", "AXIAL"])
    write_series(tmp_path / "a", chest(20), series_uid="1.1", edit=derived)
    write_series(tmp_path / "b", chest(11)[4:7], series_uid="1.2", edit=in_study)
    assert read_scan(tmp_path).series_uid == "1.1"


def test_axial_goes_before_coronal(tmp_path: Path) -> None:
    write_series(
        tmp_path / "a",
        np.ascontiguousarray(chest(14).transpose(1, 0, 2)),
        directions=(1, 0, 0, 0, 0, -1),
        step=(0, 1, 0),
        series_uid="1.1",
        edit=in_study,
    )
    write_series(tmp_path / "b", chest(11), series_uid="1.2", edit=in_study)
    assert read_scan(tmp_path).series_uid == "1.2"


def test_thinner_slices_win_at_equal_number(tmp_path: Path) -> None:
    write_series(tmp_path / "a", spacing=(5, 0.7, 0.8), series_uid="1.1", edit=in_study)
    write_series(tmp_path / "b", spacing=(1, 0.7, 0.8), series_uid="1.2", edit=in_study)
    assert read_scan(tmp_path).series_uid == "1.2"


def test_series_asked_for_is_read(tmp_path: Path) -> None:
    write_series(tmp_path / "a", chest(11), series_uid="1.1", edit=in_study)
    write_series(tmp_path / "b", chest(20), series_uid="1.2", edit=in_study)
    assert read_scan(tmp_path, series="1.1").shape[0] == 11


def test_series_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_series(tmp_path, series_uid="1.1")
    error = rejection(tmp_path, series="9.9")
    assert error.code == "series-not-found"
    assert "1.1" in error.expected


def test_scouts_reports_and_captures_are_ignored(tmp_path: Path) -> None:
    scout = with_tags(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    capture = with_tags(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="CT")
    structure = with_tags(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    write_series(tmp_path / "a", chest()[:1], series_uid="1.1", edit=scout)
    write_series(tmp_path / "b", chest()[:2], series_uid="1.2", edit=capture)
    write_series(tmp_path / "c", chest()[:1], series_uid="1.3", edit=structure)
    write_series(tmp_path / "d", series_uid="1.4", edit=in_study)
    scan = read_scan(tmp_path)
    assert scan.series_uid == "1.4"
    assert len(scan.left_out) == 3


def test_scout_inside_the_series_is_ignored_and_counted(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index == 0:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    write_series(tmp_path, edit=edit)
    assert read_scan(tmp_path).shape[0] == 11
    assert "files-ignored" in notices(tmp_path)


def test_only_a_scout_is_rejected(tmp_path: Path) -> None:
    write_series(
        tmp_path, chest()[:2], edit=with_tags(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    )
    assert rejection(tmp_path).code == "no-axial-ct"


def test_unmarked_scout_is_rejected(tmp_path: Path) -> None:
    write_series(tmp_path, chest()[:1], directions=(1, 0, 0, 0, 0, -1))
    assert rejection(tmp_path).code == "no-axial-ct"


@pytest.mark.parametrize("modality", ["MR", "PT", "CR", "US", "canary-modality"])
def test_other_modalities_are_rejected(tmp_path: Path, modality: str) -> None:
    edit = with_tags(Modality=modality, SOPClassUID="1.2.840.10008.5.1.4.1.1.4")
    write_series(tmp_path, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "wrong-modality"
    assert "canary" not in error.message


def test_modality_that_contradicts_its_class_is_rejected(tmp_path: Path) -> None:
    write_series(tmp_path, edit=with_tags(Modality="MR"))
    assert rejection(tmp_path).code == "wrong-modality"


@pytest.mark.parametrize("frames", [1, 12])
def test_enhanced_ct_is_rejected(tmp_path: Path, frames: int) -> None:
    edit = with_tags(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=frames)
    write_series(tmp_path, chest()[:1], edit=edit)
    assert rejection(tmp_path).code == "multiframe-unsupported"


# Patients and copies


@pytest.mark.parametrize("same_series", [True, False])
@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_two_patients_or_studies_are_rejected_without_naming_them(
    tmp_path: Path, keyword: str, same_series: bool
) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.StudyInstanceUID = STUDY
        if index >= 6:
            setattr(dataset, keyword, "99.1")
            dataset.SeriesInstanceUID = "5.5" if same_series else "5.6"
        else:
            dataset.SeriesInstanceUID = "5.5"

    write_series(tmp_path, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "mixed-patients"
    assert "99.1" not in error.message
    assert "canary" not in error.message


def test_series_of_one_patient_among_two_can_be_asked_for(tmp_path: Path) -> None:
    write_series(tmp_path / "a", series_uid="1.1")
    write_series(tmp_path / "b", series_uid="1.2", edit=with_tags(PatientID="other"))
    assert read_scan(tmp_path, series="1.2").series_uid == "1.2"


def test_copied_file_is_used_once(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    (tmp_path / "copy of one").write_bytes(paths[3].read_bytes())
    assert read_scan(tmp_path).shape[0] == 12
    assert "duplicate-file" in notices(tmp_path)


def test_same_image_saved_again_is_used_once(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    dataset = pydicom.dcmread(paths[3])
    dataset.InstitutionName = "changed"
    save(dataset, tmp_path / "again")
    assert read_scan(tmp_path).shape[0] == 12
    assert "duplicate-file" in notices(tmp_path)


def test_same_uid_with_other_pixels_is_rejected(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    dataset = pydicom.dcmread(paths[3])
    dataset.PixelData = pydicom.dcmread(paths[4]).PixelData
    save(dataset, tmp_path / "again")
    assert rejection(tmp_path).code == "duplicate-position"


def test_two_images_at_one_position_are_rejected(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    dataset = pydicom.dcmread(paths[3])
    dataset.SOPInstanceUID = generate_uid()
    save(dataset, tmp_path / "again")
    assert rejection(tmp_path).code == "duplicate-position"


def test_one_uid_for_every_slice_is_no_duplicate(tmp_path: Path) -> None:
    write_series(tmp_path, edit=with_tags(SOPInstanceUID="1.2.3"))
    assert read_scan(tmp_path).shape[0] == 12


# Geometry


def test_missing_slice_is_rejected_with_its_place(tmp_path: Path) -> None:
    write_series(tmp_path)[4].unlink()
    error = rejection(tmp_path)
    assert error.code == "slice-gap"
    assert "between 94.0 and 90.0 mm" in error.found


def test_missing_slice_is_interpolated_when_allowed(tmp_path: Path) -> None:
    values = chest()
    write_series(tmp_path, values)[4].unlink()
    scan = read_scan(tmp_path, allow_gaps=True)
    between = (values[3].astype(float) + values[5]) / 2
    assert scan.shape == values.shape
    assert np.abs(scan.values[4] - between).max() <= 0.5
    np.testing.assert_array_equal(np.delete(scan.values, 4, 0), np.delete(values, 4, 0))
    assert "gaps-interpolated" in notices(tmp_path, allow_gaps=True)


def test_mixed_slice_distances_are_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        z = 100 - 2.5 * index if index < 8 else 82.5 - 5 * (index - 7)
        dataset.ImagePositionPatient = [0, 0, z]

    write_series(tmp_path, chest(16), edit=edit)
    assert rejection(tmp_path, allow_gaps=True).code == "irregular-spacing"


@pytest.mark.parametrize(("jitter_mm", "accepted"), [(1e-4, True), (0.06, False), (0.5, False)])
def test_jitter_of_one_position(tmp_path: Path, jitter_mm: float, accepted: bool) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index == 5:
            x, y, z = dataset.ImagePositionPatient
            dataset.ImagePositionPatient = [x, y, float(z) + jitter_mm]

    write_series(tmp_path, edit=edit)
    if accepted:
        assert read_scan(tmp_path).spacing_mm[0] == pytest.approx(2.0, abs=1e-3)
    else:
        assert rejection(tmp_path).code == "irregular-spacing"


def test_positions_rounded_to_a_tenth_are_even(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.ImagePositionPatient = [0, 0, round(100 - 0.625 * index, 1)]

    write_series(tmp_path, chest(40), edit=edit)
    scan = read_scan(tmp_path)
    assert scan.spacing_mm[0] == pytest.approx(0.625, abs=0.003)
    assert "geometry-repaired" in notices(tmp_path)


def test_rounded_directions_are_one_direction(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.ImageOrientationPatient = [1, 1e-6 * (index % 2), 0, 0, 1, 0]

    write_series(tmp_path, edit=edit)
    assert read_scan(tmp_path).shape[0] == 12


def test_one_slice_of_another_direction_is_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index == 7:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "mixed-geometry"


def test_slices_of_two_sizes_are_rejected(tmp_path: Path) -> None:
    paths = write_series(tmp_path, series_uid="1.1", edit=in_study)
    paths[-1].unlink()
    small = write_series(tmp_path / "b", chest(12, 20, 20), series_uid="1.1", edit=in_study)
    for path in small[:-1]:
        path.unlink()
    assert rejection(tmp_path).code == "mixed-geometry"


def test_two_pixel_spacings_are_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.PixelSpacing = [0.7, 0.8] if index < 6 else [0.6, 0.6]

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "mixed-geometry"


def test_slices_beside_each_other_are_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [float(x) + 10 * (index == 5), y, z]

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "mixed-geometry"


@pytest.mark.parametrize(("degrees", "accepted"), [(0.05, True), (5, False), (-20, False)])
def test_gantry_tilt(tmp_path: Path, degrees: float, accepted: bool) -> None:
    angle = np.deg2rad(degrees)
    directions = (1, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle)))
    write_series(tmp_path, directions=directions)
    if accepted:
        read_scan(tmp_path)
    else:
        error = rejection(tmp_path)
        assert error.code == "gantry-tilt"
        assert f"{abs(degrees)}" in error.found


def test_oblique_slices_along_their_normal_are_no_tilt(tmp_path: Path) -> None:
    angle = np.deg2rad(10)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    write_series(tmp_path, directions=(1, 0, 0, 0, cos, sin), step=(0, 2 * sin, -2 * cos))
    np.testing.assert_array_equal(read_scan(tmp_path).values, chest())


@pytest.mark.parametrize("spacing", [(2, 0.01, 0.01), (2, 9, 9), (40, 0.7, 0.7), (0.02, 0.7, 0.7)])
def test_voxels_of_no_chest_ct_are_rejected(tmp_path: Path, spacing: tuple) -> None:
    write_series(tmp_path, spacing=spacing)
    assert rejection(tmp_path).code == "spacing-out-of-range"


def test_slices_without_position_are_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        del dataset.ImagePositionPatient

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "geometry-invalid"


def test_skewed_directions_are_rejected(tmp_path: Path) -> None:
    write_series(tmp_path, directions=(1, 0, 0, 0.5, 0.5, 0))
    assert rejection(tmp_path).code == "geometry-invalid"


def test_too_many_voxels_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lungscore.scan.affine.MAX_VOXELS", 1000)
    write_series(tmp_path)
    assert rejection(tmp_path).code == "volume-too-large"


def test_inspect_lists_every_series_and_why(tmp_path: Path) -> None:
    scout = with_tags(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "a", chest()[:1], series_uid="1.1", edit=scout)
    write_series(tmp_path / "b", chest(11), series_uid="1.2", edit=in_study)
    write_series(tmp_path / "c", chest(12), series_uid="1.3", edit=in_study)
    series = {entry["series_uid"]: entry for entry in inspect_input(tmp_path)["series"]}
    assert [series[uid]["chosen"] for uid in ("1.1", "1.2", "1.3")] == [False, False, True]
    assert "scout" in series["1.1"]["reason"]
    assert series["1.2"]["reason"]
    assert series["1.3"]["reason"] == ""
