"""NIfTI headers: affines, forms that disagree, and sizes that lie."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lungscore.scan import read_scan
from tests.scan.nifti_builder import ORIENTATIONS, save, stored
from tests.scan.reading import codes, rejection
from tests.scan.scan_builder import chest

# Geometry


def with_affine(tmp_path: Path, change) -> Path:
    source, affine = stored(chest(), ORIENTATIONS[5])
    image = nib.Nifti1Image(source, affine)
    changed = change(affine.copy())
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = changed[:3]
    image.header["qform_code"] = 0
    path = tmp_path / "scan.nii"
    nib.save(image, path)
    header = bytearray(path.read_bytes())
    header[280:328] = changed[:3].astype("<f4").tobytes()
    header[252:254], header[254:256] = b"\0\0", b"\1\0"
    path.write_bytes(bytes(header))
    return path


def test_nan_in_the_affine_is_rejected(tmp_path: Path) -> None:
    def change(affine: np.ndarray) -> np.ndarray:
        affine[0, 3] = np.nan
        return affine

    path = with_affine(tmp_path, change)
    assert rejection(path).code == "geometry-invalid"


def test_singular_affine_is_rejected(tmp_path: Path) -> None:
    path = with_affine(tmp_path, lambda a: a @ np.diag([1, 0, 1, 1.0]))
    assert rejection(path).code == "geometry-invalid"


def test_parallel_axes_are_rejected(tmp_path: Path) -> None:
    def change(affine: np.ndarray) -> np.ndarray:
        affine[:3, 1] = affine[:3, 0]
        return affine

    assert rejection(with_affine(tmp_path, change)).code == "geometry-invalid"


@pytest.mark.parametrize(("row", "code"), [(1, "gantry-tilt"), (0, "gantry-tilt")])
def test_sheared_slices_are_rejected(tmp_path: Path, row: int, code: str) -> None:
    def change(affine: np.ndarray) -> np.ndarray:
        along = int(np.argmax(np.abs(affine[2, :3])))
        affine[row, along] += 0.3
        return affine

    assert rejection(with_affine(tmp_path, change)).code == code


def test_shear_within_the_slice_is_rejected(tmp_path: Path) -> None:
    def change(affine: np.ndarray) -> np.ndarray:
        across = int(np.argmax(np.abs(affine[0, :3])))
        affine[1, across] += 0.2
        return affine

    assert rejection(with_affine(tmp_path, change)).code == "geometry-invalid"


def test_metres_are_out_of_range(tmp_path: Path) -> None:
    path = with_affine(tmp_path, lambda a: np.diag([1e-3, 1e-3, 1e-3, 1]) @ a)
    assert rejection(path).code == "spacing-out-of-range"


def test_forms_that_disagree_about_the_side_are_rejected(tmp_path: Path) -> None:
    source, affine = stored(chest(), ORIENTATIONS[5])
    image = nib.Nifti1Image(source, affine)
    image.set_sform(affine, 1)
    image.set_qform(np.diag([-1, 1, 1, 1]) @ affine, 1)
    nib.save(image, tmp_path / "scan.nii")
    assert rejection(tmp_path / "scan.nii").code == "geometry-invalid"


@pytest.mark.parametrize(("factors", "rejected"), [((1, 1, 2), True), ((1, 1.004, 1), False)])
def test_forms_that_disagree_about_the_voxel_size_are_rejected(
    tmp_path: Path, factors: tuple[float, float, float], rejected: bool
) -> None:
    source, affine = stored(chest(), ORIENTATIONS[5])
    image = nib.Nifti1Image(source, affine)
    image.set_sform(affine @ np.diag([*factors, 1]), 1)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "scan.nii")
    if rejected:
        error = rejection(tmp_path / "scan.nii")
        assert error.code == "geometry-invalid"
        assert "by the qform" in error.found
    else:
        assert read_scan(tmp_path / "scan.nii").spacing_mm is not None


def test_a_sheared_form_is_a_tilted_gantry_whatever_the_other_form_says(tmp_path: Path) -> None:
    affine = np.diag([-2.0, -2.0, 5.0, 1.0])
    sheared = affine.copy()
    sheared[1, 2] = 5 * np.tan(np.deg2rad(15))
    image = nib.Nifti1Image(chest().transpose(2, 1, 0).copy(), affine)
    image.set_sform(sheared, 1)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "scan.nii")
    assert rejection(tmp_path / "scan.nii").code == "gantry-tilt"


def test_forms_that_differ_a_little_are_noted(tmp_path: Path) -> None:
    source, affine = stored(chest(), ORIENTATIONS[5])
    image = nib.Nifti1Image(source, affine)
    turn = np.eye(4)
    turn[:3, :3] = nib.eulerangles.euler2mat(0.05)
    image.set_sform(affine, 1)
    image.set_qform(turn @ affine, 1)
    nib.save(image, tmp_path / "scan.nii")
    scan = read_scan(tmp_path / "scan.nii")
    assert "geometry-repaired" in codes(scan)
    np.testing.assert_allclose(scan.geometry.affine, affine, atol=1e-4)


def test_no_form_at_all_leaves_the_sides_open(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", chest())
    header = bytearray(path.read_bytes())
    header[252:256] = bytes(4)
    path.write_bytes(bytes(header))
    scan = read_scan(path)
    assert not scan.sides_known
    assert {"header-incomplete", "unknown-orientation"} <= set(codes(scan))


# Headers that lie


def test_repaired_header_is_noted_and_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    path = save(tmp_path / "scan.nii", chest())
    header = bytearray(path.read_bytes())
    header[80:84] = np.array([-0.8], "<f4").tobytes()  # a negative voxel size
    path.write_bytes(bytes(header))
    assert "geometry-repaired" in codes(read_scan(path))
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def forged(tmp_path: Path, *dimensions: int, packed: bool = False) -> Path:
    path = save(tmp_path / "scan.nii", chest(4, 5, 6))
    header = bytearray(path.read_bytes()[:400])
    header[40:48] = np.array([3, *dimensions], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(header)) if packed else bytes(header))
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("size", [30_000, 1_000, 100])
def test_forged_dimensions_are_rejected_before_memory_is_taken(
    tmp_path: Path, size: int, packed: bool
) -> None:
    assert rejection(forged(tmp_path, size, size, size, packed=packed)).code in (
        "volume-too-large",
        "input-unreadable",
    )


def test_packed_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii", chest(20))
    content = path.read_bytes() + bytes(50 * 2**20)
    path.write_bytes(gzip.compress(content, 1))
    # What follows the promised voxels is never read.
    np.testing.assert_array_equal(read_scan(path).values, chest(20))


def test_negative_dimension_is_rejected(tmp_path: Path) -> None:
    assert rejection(forged(tmp_path, -5, 5, 5)).code in ("geometry-invalid", "input-unreadable")


@pytest.mark.parametrize("packed", [False, True])
def test_truncated_file_is_rejected(tmp_path: Path, packed: bool) -> None:
    path = save(tmp_path / ("scan.nii.gz" if packed else "scan.nii"), chest())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert rejection(path).code in ("input-unreadable", "volume-too-large")


@pytest.mark.parametrize("place", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_bit_that_fell_over_in_a_compressed_file_is_noticed(tmp_path: Path, place: float) -> None:
    """Most damage inflates without a fault: the checksum at the end tells."""
    path = save(tmp_path / "scan.nii.gz", chest())
    content = bytearray(path.read_bytes())
    for bit in (1, 4, 64):
        damaged = bytearray(content)
        damaged[int(place * len(content))] ^= bit
        path.write_bytes(bytes(damaged))
        assert rejection(path).code in ("input-unreadable", "not-hounsfield")


def test_what_follows_a_whole_compressed_file_is_ignored(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii.gz", chest())
    path.write_bytes(path.read_bytes() + b"\0" * 7 + b"not gzip")
    assert read_scan(path).values.shape == read_scan(save(tmp_path / "b.nii.gz", chest())).shape


def test_damaged_compression_is_rejected(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii.gz", chest())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert rejection(path).code in ("input-unreadable", "not-hounsfield")
