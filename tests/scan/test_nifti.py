"""NIfTI: orientation, types of numbers, and values that are no CT."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lungscore.scan import CANONICAL_AXES, Geometry, read_scan
from tests.scan.nifti_builder import ORIENTATIONS, SPACING, canonical_affine, save, stored
from tests.scan.reading import codes, rejection
from tests.scan.scan_builder import chest


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda o: "".join(map(str, o.ravel())))
def test_all_48_orientations_give_the_same_scan(tmp_path: Path, orientation: np.ndarray) -> None:
    values = chest(9, 12, 14)
    source, affine = stored(values, orientation)
    scan = read_scan(save(tmp_path / "scan.nii", source, affine))
    np.testing.assert_array_equal(scan.values, values)
    np.testing.assert_array_equal(scan.geometry.to_source(scan.values), source)
    np.testing.assert_allclose(scan.geometry.affine, affine, atol=1e-4)
    assert scan.spacing_mm == pytest.approx(SPACING, rel=1e-5)
    np.testing.assert_allclose(scan.geometry.canonical_affine, canonical_affine(), atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    angles=st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
)
def test_turned_geometries_go_there_and_back(
    orientation: np.ndarray, angles: tuple[float, ...], shape: tuple[int, ...]
) -> None:
    turn = np.eye(4)
    turn[:3, :3] = nib.eulerangles.euler2mat(*angles)
    values = np.arange(np.prod(shape)).reshape(shape)
    source, affine = stored(values, orientation)
    geometry = Geometry(source.shape, turn @ affine)
    np.testing.assert_array_equal(geometry.to_source(geometry.to_canonical(source)), source)
    canonical = geometry.to_canonical(source)
    axes = nib.aff2axcodes(geometry.canonical_affine)
    assert tuple(axes) == CANONICAL_AXES
    # The same voxel is at the same place, whichever way it is reached.
    voxel = np.unravel_index(int(values.size // 2), canonical.shape)
    where = np.argwhere(source == canonical[voxel])[0]
    np.testing.assert_allclose(
        geometry.canonical_affine @ [*voxel, 1], geometry.affine @ [*where, 1], atol=1e-9
    )


@pytest.mark.parametrize("name", ["scan.nii.gz", "SCAN.NII.GZ", "scan.nii", "no ending"])
def test_content_counts_and_not_the_name(tmp_path: Path, name: str) -> None:
    values = chest()
    packed = save(tmp_path / "packed.nii.gz", values).read_bytes()
    plain = save(tmp_path / "plain.nii", values).read_bytes()
    for content in (packed, plain):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        np.testing.assert_array_equal(read_scan(path).values, values)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64", ">i2", ">f4"])
def test_every_type_of_number_gives_the_same_values(tmp_path: Path, dtype: str) -> None:
    values = chest()
    source, affine = stored(values, ORIENTATIONS[5])
    image = nib.Nifti1Image(source.astype(dtype), affine)
    nib.save(image, tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.nii.gz").values, values)


def test_scaled_unsigned_numbers_are_read(tmp_path: Path) -> None:
    values = chest()
    source, affine = stored(values, ORIENTATIONS[5])
    image = nib.Nifti1Image((source + 1024).astype(np.uint16), affine)
    image.header.set_slope_inter(1, -1024)
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    written = bytearray(path.read_bytes())
    written[112:120] = np.array([1, -1024], "<f4").tobytes()
    raw = (source + 1024).astype("<u2").tobytes(order="F")
    path.write_bytes(bytes(written[:352]) + raw)
    np.testing.assert_array_equal(read_scan(path).values, values)


def test_slope_that_is_not_a_number_means_no_scaling(tmp_path: Path) -> None:
    values = chest()
    path = save(tmp_path / "scan.nii", values)
    written = bytearray(path.read_bytes())
    written[112:116] = np.array([np.nan], "<f4").tobytes()
    path.write_bytes(bytes(written))
    np.testing.assert_array_equal(read_scan(path).values, values)


@pytest.mark.parametrize("intercept", [np.nan, np.inf])
def test_intercept_that_is_not_a_number_beside_a_slope_is_rejected(
    tmp_path: Path, intercept: float
) -> None:
    path = save(tmp_path / "scan.nii", chest())
    written = bytearray(path.read_bytes())
    written[112:120] = np.array([1, intercept], "<f4").tobytes()
    path.write_bytes(bytes(written))
    assert rejection(path).code == "input-unreadable"


def test_nifti_2_is_read(tmp_path: Path) -> None:
    values = chest()
    source, affine = stored(values, ORIENTATIONS[5])
    nib.save(nib.Nifti2Image(source, affine), tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.nii.gz").values, values)


def test_fourth_axis_of_one_is_dropped(tmp_path: Path) -> None:
    values = chest()
    source, affine = stored(values, ORIENTATIONS[5])
    path = save(tmp_path / "scan.nii", source[..., None], affine)
    np.testing.assert_array_equal(read_scan(path).values, values)


def test_several_volumes_in_one_file_are_rejected(tmp_path: Path) -> None:
    source, affine = stored(chest(), ORIENTATIONS[5])
    path = save(tmp_path / "scan.nii", np.stack([source, source], -1), affine)
    assert rejection(path).code == "volume-4d"


def test_two_dimensional_file_is_one_slice(tmp_path: Path) -> None:
    values = chest()[5]
    affine = np.diag([-0.8, -0.7, 2.0, 1.0])
    scan = read_scan(save(tmp_path / "slice.nii", values.T, affine))
    np.testing.assert_array_equal(scan.values[0], values)
    assert "single-slice" in codes(scan)


def test_eight_bit_volume_has_grey_levels(tmp_path: Path) -> None:
    grey = np.clip((chest() + 1350) / 1500 * 255, 0, 255).astype(np.uint8)
    scan = read_scan(save(tmp_path / "scan.nii", grey))
    assert scan.units == "grey"
    assert scan.values.dtype == np.uint8
    np.testing.assert_array_equal(scan.values, grey)
    assert "approximate-8bit" in codes(scan)
    assert scan.spacing_mm is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda hu: (hu - hu.min()) / np.ptp(hu),  # 0–1
        lambda hu: (hu - hu.mean()) / hu.std(),  # z-scored
        lambda hu: hu + 1024,  # stored values without their intercept
        lambda hu: (hu > -500).astype(np.uint8),  # a mask
        lambda hu: (hu > -500).astype(np.uint8) * 255,  # a mask in black and white
        lambda hu: hu * 0.01,
    ],
)
def test_values_that_are_no_hounsfield_units_are_rejected(tmp_path: Path, change) -> None:
    values = change(chest().astype(np.float32))
    assert rejection(save(tmp_path / "scan.nii", values)).code == "not-hounsfield"


def test_complex_numbers_are_rejected(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", chest().astype(np.complex64))
    assert rejection(path).code == "not-hounsfield"


def test_colours_are_rejected(tmp_path: Path) -> None:
    colours = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, np.eye(4)), tmp_path / "scan.nii")
    assert rejection(tmp_path / "scan.nii").code == "colour-image"


def test_constant_volume_is_rejected(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", np.full((10, 12, 14), -1000, np.int16))
    assert rejection(path).code == "constant-image"


def test_few_nan_around_the_body_become_air(tmp_path: Path) -> None:
    values = chest(20).astype(np.float32)
    values[3, 0, 0] = np.nan
    scan = read_scan(save(tmp_path / "scan.nii", values))
    assert scan.values[3, 0, 0] == -1024
    assert "values-replaced" in codes(scan)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_within_the_body_is_rejected(tmp_path: Path, bad: float) -> None:
    values = chest(20).astype(np.float32)
    values[3, 18, 20] = bad
    error = rejection(save(tmp_path / "scan.nii", values))
    assert error.code == "not-finite"


def test_many_nan_are_rejected(tmp_path: Path) -> None:
    values = chest(20).astype(np.float32)
    values[:, :2] = np.nan
    assert rejection(save(tmp_path / "scan.nii", values)).code == "not-finite"
