"""Slices that cannot be right among slices that are."""

import re
from itertools import product
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import ndimage

from lungscore.errors import InputError
from lungscore.scan import read_scan
from lungscore.scan.continuity import fill, find_faults, shown_ranges
from lungscore.scan.phantom import make_phantom
from tests.sampling import sampled
from tests.scan.reading import codes, rejection
from tests.scan.scan_builder import write_series

DEPTH, SIZE = 24, 96


@pytest.fixture(scope="module")
def body() -> np.ndarray:
    return make_phantom("moderate", seed=1, shape=(DEPTH, SIZE, SIZE)).scan.values


def save_nifti(path: Path, values: np.ndarray) -> Path:
    affine = np.diag([-2.5, -2.5, -10.0, 1.0])
    nib.save(nib.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), affine), path)
    return path


def save_nrrd(path: Path, values: np.ndarray) -> Path:
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([2.5, 2.5, -10.0]),
        "space origin": [0, 0, 0],
    }
    nrrd.write(str(path), np.ascontiguousarray(values.transpose(2, 1, 0)), header)
    return path


def save_series(path: Path, values: np.ndarray) -> Path:
    write_series(path, values, spacing=(10.0, 2.5, 2.5))
    return path


def save_slices(path: Path, values: np.ndarray) -> Path:
    path.mkdir()
    grey = np.clip((values.astype(float) + 1350) / 1500 * 255, 0, 255).astype(np.uint8)
    grey[values == -1024] = 0
    for index, plane in enumerate(grey):
        Image.fromarray(plane).save(path / f"{index:03d}.png")
    return path


WRITERS = {
    "series": save_series,
    "scan.nii.gz": save_nifti,
    "scan.nrrd": save_nrrd,
    "slices": save_slices,
}


def named(error: InputError) -> set[int]:
    """The slices that a message names."""
    _, _, places = error.found.partition("from the top: ")
    ranges = re.findall(r"(\d+)(?:–(\d+))?", places)
    return {n for first, last in ranges for n in range(int(first), int(last or first) + 1)}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("index", "rows", "columns"),
    [
        (DEPTH // 2, slice(None), slice(None)),
        (3, slice(None), slice(None)),
        (DEPTH // 2, slice(SIZE // 2, None), slice(None)),
        (DEPTH // 2 + 3, slice(None), slice(None, SIZE // 2)),
        (DEPTH // 2, slice(SIZE // 2, None), slice(SIZE // 2, None)),
    ],
    ids=["whole", "whole-near-the-end", "lower half", "left half", "quarter"],
)
def test_a_blank_part_is_rejected_with_its_place(
    tmp_path: Path, body: np.ndarray, name: str, index: int, rows: slice, columns: slice
) -> None:
    values = body.copy()
    values[index, rows, columns] = -1024
    error = rejection(WRITERS[name](tmp_path / name, values))
    assert error.code == "slices-faulty"
    assert f"from the top: {index + 1} " in error.found


@pytest.mark.parametrize("name", ["series", "scan.nii.gz", "scan.nrrd"])
@pytest.mark.parametrize("shift", [-1024, 1024, 200])
@pytest.mark.parametrize("faulty", [[10], [10, 11], [10, 11, 12, 13, 14], [0, 1], [22, 23]])
def test_slices_on_another_scale_are_rejected_with_their_places(
    tmp_path: Path, body: np.ndarray, name: str, shift: int, faulty: list[int]
) -> None:
    values = body.copy()
    values[faulty] = np.clip(values[faulty].astype(int) + shift, -1024, 3071)
    error = rejection(WRITERS[name](tmp_path / name, values))
    assert error.code == "slices-faulty"
    assert named(error) == {index + 1 for index in faulty}


def test_every_second_slice_on_another_scale_is_rejected(body: np.ndarray) -> None:
    values = body.copy()
    values[::2] = np.clip(values[::2].astype(int) + 1024, -1024, 3071)
    with pytest.raises(InputError) as caught:
        find_faults(values, "hu")
    assert caught.value.code == "mixed-acquisitions"


def test_a_slice_of_something_else_is_found(body: np.ndarray) -> None:
    values = body.copy()
    values[12] = np.random.default_rng(0).integers(-1024, 1000, values[12].shape)
    assert list(find_faults(values, "hu").faulty) == [12]


def test_a_blank_slice_of_zeros_in_a_volume_file(tmp_path: Path, body: np.ndarray) -> None:
    values = body.copy()
    values[9] = 0
    error = rejection(save_nifti(tmp_path / "scan.nii", values))
    assert error.code == "slices-faulty"
    assert "10 blank" in error.found


def test_a_blank_plane_along_another_axis_is_found(tmp_path: Path, body: np.ndarray) -> None:
    values = np.ascontiguousarray(body.transpose(1, 0, 2))  # coronal slices, front to back
    values[SIZE // 2] = -1024
    affine = np.zeros((4, 4))
    affine[0, 0], affine[2, 1], affine[1, 2], affine[3, 3] = -2.5, -10.0, -2.5, 1.0
    nib.save(nib.Nifti1Image(values.transpose(2, 1, 0).copy(), affine), tmp_path / "scan.nii")
    error = rejection(tmp_path / "scan.nii")
    assert error.code == "slices-faulty"
    assert f"front to back: {SIZE // 2 + 1} blank" in error.found


@pytest.mark.parametrize("name", WRITERS)
def test_blank_slices_at_the_ends_are_outside_the_body(
    tmp_path: Path, body: np.ndarray, name: str
) -> None:
    values = body.copy()
    values[:2], values[-3:] = -1024, -1024
    scan = read_scan(WRITERS[name](tmp_path / name, values))
    assert "slices-blank" in codes(scan)
    assert scan.shape[0] == DEPTH
    assert len(np.unique(scan.values[-3:])) == 1


def test_blank_slices_of_any_value_become_air(tmp_path: Path, body: np.ndarray) -> None:
    values = body.copy()
    values[-2:] = 0
    scan = read_scan(save_nifti(tmp_path / "scan.nii", values))
    assert (scan.values[-2:] == -1024).all()
    np.testing.assert_array_equal(scan.values[:-2], body[:-2])


def test_with_allow_gaps_faulty_slices_are_interpolated(tmp_path: Path, body: np.ndarray) -> None:
    values = body.copy()
    values[10], values[15, SIZE // 2 :] = -1024, -1024
    scan = read_scan(save_series(tmp_path / "series", values), allow_gaps=True)
    assert "slices-replaced" in codes(scan)
    middle = (body[9].astype(float) + body[11]) / 2
    np.testing.assert_allclose(scan.values[10], middle, atol=0.51)
    good = [index for index in range(DEPTH) if index not in (10, 15)]
    np.testing.assert_array_equal(scan.values[good], body[good])


def test_too_many_faulty_slices_are_rejected_even_with_allow_gaps(
    tmp_path: Path, body: np.ndarray
) -> None:
    values = body.copy()
    values[6:13] = -1024
    path = save_series(tmp_path / "series", values)
    assert rejection(path, allow_gaps=True).code == "slices-faulty"


@pytest.mark.parametrize("name", ["series", "scan.nii.gz"])
def test_identical_slices_are_noted(tmp_path: Path, body: np.ndarray, name: str) -> None:
    values = body.copy()
    values[8] = values[7]
    assert "slices-repeated" in codes(read_scan(WRITERS[name](tmp_path / name, values)))


@pytest.mark.parametrize("missing", ["RescaleSlope", "RescaleIntercept", "both"])
@pytest.mark.parametrize("faulty", [[0], [5, 6], [11]])
def test_slices_without_a_scale_among_others_are_rejected(
    tmp_path: Path, missing: str, faulty: list[int]
) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            if index in faulty and missing in (keyword, "both"):
                delattr(dataset, keyword)

    write_series(tmp_path, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "rescale-inconsistent"
    assert f"Slices {shown_ranges(tuple(faulty))} of 12" in error.found


@pytest.mark.parametrize(
    ("preset", "shape", "every"),
    sampled(
        product(
            ["healthy", "moderate", "severe"],
            [(24, 96, 96), (10, 64, 80), (60, 128, 128)],
            [1, 2, 3],
        ),
        every=9,
    ),
)
def test_phantoms_of_any_spacing_have_no_faults(
    preset: str, shape: tuple[int, int, int], every: int
) -> None:
    values = make_phantom(preset, seed=3, shape=shape).scan.values[::every]
    faults = find_faults(values, "hu")
    assert (faults.faulty, faults.outside) == ({}, ())


@pytest.mark.parametrize("level", [200, 300, 400])
@pytest.mark.parametrize("every", [1, 4])
def test_noisy_images_have_no_faults(body: np.ndarray, level: int, every: int) -> None:
    noise = np.random.default_rng(0).normal(0, level, body.shape)
    noisy = np.clip(body + noise, -1024, 3071).astype(np.int16)
    assert find_faults(noisy[::every], "hu").faulty == {}


@pytest.mark.parametrize(
    ("outside", "preset"),
    sampled(product([-1024, -1000, -500, 0, 100, 3000], ["healthy", "severe"]), every=5),
)
def test_a_scan_of_which_only_the_lungs_are_left_has_no_faults(preset: str, outside: int) -> None:
    phantom = make_phantom(preset, seed=1, shape=(48, 128, 128))
    values = np.where(phantom.lungs > 0, phantom.scan.values, np.int16(outside))
    assert find_faults(values, "hu").faulty == {}
    values[20] = outside
    assert find_faults(values, "hu").faulty == {20: "blank"}


@pytest.mark.parametrize("outside", [-1000, -1024])
@pytest.mark.parametrize("every", [1, 2])
def test_a_body_with_a_waist_on_a_masked_background_has_no_faults(outside: int, every: int) -> None:
    values = make_phantom("moderate", seed=1, shape=(60, 128, 128)).scan.values
    rows, columns = np.ogrid[-63.5:64, -63.5:64]
    heights = np.arange(60)[:, None, None]
    wide = 60 - 12 * np.exp(-(((heights - 30) / 14) ** 2))
    inside = (columns / wide) ** 2 + (rows / (0.7 * wide)) ** 2 < 1
    masked = np.where(inside, values, np.int16(outside))
    assert find_faults(masked[::every], "hu").faulty == {}
    masked[20:26][..., :50] = outside  # narrowed at once, it is a fault
    assert set(find_faults(masked, "hu").faulty) == set(range(20, 26))


@pytest.mark.parametrize(
    ("widths", "lines"),
    [
        (((0, 0), (0, 40), (0, 0)), "40 rows"),
        (((0, 0), (0, 0), (12, 9)), "21 columns"),
        (((0, 0), (7, 7), (5, 5)), "14 rows and 10 columns"),
        (((2, 3), (7, 7), (5, 5)), "14 rows and 10 columns"),
    ],
)
def test_padding_with_water_at_the_edges_counts_as_air(
    tmp_path: Path, body: np.ndarray, widths: tuple[tuple[int, int], ...], lines: str
) -> None:
    scan = read_scan(save_nifti(tmp_path / "scan.nii", np.pad(body, widths)))
    (notice,) = (notice for notice in scan.notices if notice.code == "edges-blank")
    assert notice.message.startswith(f"{lines} at the edges")
    np.testing.assert_array_equal(scan.values, np.pad(body, widths, constant_values=-1024))
    assert "edges-blank" not in codes(read_scan(save_nifti(tmp_path / "whole.nii", body)))


def test_padding_hides_no_values_that_are_no_hounsfield_units(
    tmp_path: Path, body: np.ndarray
) -> None:
    shifted = np.pad(body + 1024, ((0, 0), (30, 30), (30, 30)))
    assert rejection(save_nifti(tmp_path / "scan.nii", shifted)).code == "not-hounsfield"


def test_growing_damage_is_found_with_its_slices() -> None:
    values = make_phantom("moderate", seed=1, shape=(60, 128, 128)).scan.values.copy()
    values[30, 80:] = values[31, 60:] = values[32, 48:] = -1024
    assert set(find_faults(values, "hu").faulty) == {30, 31, 32}
    values = make_phantom("moderate", seed=1, shape=(60, 128, 128)).scan.values.copy()
    for step in range(8):
        values[26 + step, 120 - 10 * step :] = -1024
    assert set(find_faults(values, "hu").faulty) >= {29, 30, 31, 32, 33}


def rotated(values: np.ndarray, degrees: float, outside: int = -1024) -> np.ndarray:
    """A body of (10, 2.5, 2.5) mm turned about its left-right axis, as a resampled scan is."""
    angle, ratio = np.deg2rad(degrees), 2.5 / 10
    matrix = np.eye(3)
    matrix[:2, :2] = [
        [np.cos(angle), np.sin(angle) * ratio],
        [-np.sin(angle) / ratio, np.cos(angle)],
    ]
    centre = (np.array(values.shape) - 1) / 2
    offset = centre - matrix @ centre
    return ndimage.affine_transform(values, matrix, offset, order=1, cval=outside)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("degrees", [-25, 6, 12])
def test_a_rotated_scan_is_read_as_it_is(
    tmp_path: Path, body: np.ndarray, name: str, degrees: float
) -> None:
    values = rotated(body, degrees)
    scan = read_scan(WRITERS[name](tmp_path / name, values))
    (notice,) = (notice for notice in scan.notices if notice.code == "slices-padded")
    assert re.match(rf"Slices 1\b.*\b{DEPTH} of {DEPTH} are partly blank", notice.message)
    if name != "slices":
        np.testing.assert_array_equal(scan.values, values)


def test_faults_of_a_rotated_scan_are_found(body: np.ndarray) -> None:
    values = rotated(body, 20)
    assert find_faults(values, "hu").faulty == {}
    values[2] = np.clip(values[2].astype(int) + 200, -1024, 3071)
    values[12, SIZE // 2 :] = -1024
    assert set(find_faults(values, "hu").faulty) == {2, 12}


def test_a_rotated_scan_with_water_around_it_is_rejected(body: np.ndarray) -> None:
    assert find_faults(rotated(body, 20, outside=0), "hu").faulty


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_end_that_lacks_a_part_at_once_is_rejected(body: np.ndarray, count: int) -> None:
    values = body.copy()
    values[-count:, SIZE // 2 :] = -1024
    faults = find_faults(values, "hu")
    assert set(faults.faulty) & set(range(DEPTH - count, DEPTH))
    assert faults.padded == ()


def test_images_of_many_patients_are_only_looked_at_for_blank_ones() -> None:
    rng = np.random.default_rng(0)
    grey = np.zeros((9, SIZE, SIZE), np.uint8)
    for plane in grey:  # a bright body of its own size at its own place
        y, x = np.ogrid[:SIZE, :SIZE]
        (row, column), radius = rng.integers(25, 70, 2), rng.integers(15, 40)
        plane[(y - row) ** 2 + (x - column) ** 2 < radius**2] = 200
    grey += rng.integers(0, 30, grey.shape).astype(np.uint8)
    assert find_faults(grey, "grey", spaced=False).faulty == {}
    grey[4] = 0
    assert find_faults(grey, "grey", spaced=False).faulty == {4: "blank"}


def test_a_body_on_a_masked_background_has_no_faults(body: np.ndarray) -> None:
    masked = np.where(body < -950, -1024, body).astype(np.int16)
    assert find_faults(masked, "hu").faulty == {}


def test_slices_are_filled_linearly_and_with_air_at_the_ends() -> None:
    values = np.array([0, 10, -1, -1, 40, 7], np.int16)[:, None, None] * np.ones((2, 2), np.int16)
    fill(values, [2, 3, 5], air=-1024)
    assert values[:, 0, 0].tolist() == [0, 10, 20, 30, 40, -1024]


def test_ranges_are_shown_as_people_count() -> None:
    assert shown_ranges((2, 4, 5, 6, 9)) == "3, 5–7, 10"
    assert shown_ranges(tuple(range(0, 20, 2))).endswith("9 and others")
