"""NIfTI and NRRD: orientation, types, and headers that lie."""

import gzip
import itertools
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import orientations

from lungscore.errors import InputError
from lungscore.scan import CANONICAL_AXES, Geometry, Scan, read_scan
from tests.scan.scan_builder import chest

#: Every order and direction of three axes.
ORIENTATIONS = [
    np.array([(axis, flip) for axis, flip in zip(order, flips, strict=True)])
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]

SPACING = (2.0, 0.7, 0.8)


def canonical_affine() -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = -SPACING[0], -SPACING[1], -SPACING[2]
    affine[:3, 3], affine[3, 3] = (15.0, -3.0, 120.0), 1.0
    return affine


def stored(values: np.ndarray, orientation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Canonical values in another axis order, with the affine that says so."""
    turned = orientations.apply_orientation(values, orientation)
    return turned, canonical_affine() @ orientations.inv_ornt_aff(orientation, values.shape)


def save(path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> Path:
    if affine is None:
        values, affine = stored(values, ORIENTATIONS[5])
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def rejection(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    return caught.value


def codes(scan: Scan) -> list[str]:
    return [notice.code for notice in scan.notices]


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


def test_damaged_compression_is_rejected(tmp_path: Path) -> None:
    path = save(tmp_path / "scan.nii.gz", chest())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert rejection(path).code in ("input-unreadable", "not-hounsfield")


# NRRD


def write_nrrd(path: Path, values: np.ndarray, *, space: str, encoding: str = "gzip") -> Path:
    source, affine = stored(values, ORIENTATIONS[5])
    signs = {"left-posterior-superior": (-1, -1, 1), "RAS": (1, 1, 1), "LAS": (-1, 1, 1)}[space]
    header = {
        "space": space,
        "space directions": (np.diag(signs) @ affine[:3, :3]).T,
        "space origin": np.array(signs) * affine[:3, 3],
        "encoding": encoding,
    }
    nrrd.write(str(path), source, header)
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("space", ["left-posterior-superior", "RAS", "LAS"])
def test_nrrd_of_every_space_and_encoding(tmp_path: Path, space: str, encoding: str) -> None:
    values = chest()
    scan = read_scan(write_nrrd(tmp_path / "scan.nrrd", values, space=space, encoding=encoding))
    np.testing.assert_array_equal(scan.values, values)
    np.testing.assert_allclose(scan.geometry.canonical_affine, canonical_affine(), atol=1e-6)
    assert scan.kind == "nrrd"


def test_nrrd_without_a_space_leaves_the_sides_open(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), chest(), {"spacings": [0.8, 0.7, 2.0]})
    assert not read_scan(tmp_path / "scan.nrrd").sides_known


def test_nrrd_without_any_geometry_is_rejected(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), chest())
    assert rejection(tmp_path / "scan.nrrd").code == "geometry-invalid"


def test_nrrd_of_four_axes_is_rejected(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "scan.nrrd"), chest()[..., None].repeat(2, -1))
    assert rejection(tmp_path / "scan.nrrd").code == "volume-4d"


def test_nrrd_whose_data_lie_elsewhere_is_rejected(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n"
    (tmp_path / "scan.nrrd").write_text(header + "data file: ../../etc/passwd\n\n")
    assert rejection(tmp_path / "scan.nrrd").code == "format-not-recognised"


@pytest.mark.parametrize("sizes", ["30000 30000 30000", "900 900 900", "0 5 5", "9 9 9"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_nrrd_with_forged_sizes_is_rejected(tmp_path: Path, sizes: str, encoding: str) -> None:
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: RAS\nsizes: {sizes}\nendian: little\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,1)\nencoding: {encoding}\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + gzip.compress(bytes(300)))
    assert rejection(tmp_path / "scan.nrrd").code in (
        "volume-too-large",
        "geometry-invalid",
        "input-unreadable",
    )


def test_damaged_nrrd_header_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004\ntype: sh\xff\xfe\nsizes: a b\n\n")
    assert rejection(tmp_path / "scan.nrrd").code == "input-unreadable"
