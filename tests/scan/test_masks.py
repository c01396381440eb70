"""A user's own masks: what is taken, from where, and what is refused."""

import gzip
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import orientations

from lungscore.errors import InputError
from lungscore.scan.masks import read_label_volume, read_labels
from lungscore.scan.scan import Geometry, Scan
from tests.datasets.volumes_on_disk import metaimage, stated_place

SHAPE = (5, 6, 7)
AFFINE = np.array([[-0.8, 0, 0, 90], [0, -0.7, 0, 80], [0, 0, 2, -300], [0, 0, 0, 1.0]])


def labels(highest: int = 2) -> np.ndarray:
    """(D, H, W) labels without any symmetry, each of 0 … highest among them."""
    values = np.random.default_rng(0).integers(0, highest + 1, SHAPE).astype(np.uint8)
    values.flat[: highest + 1] = np.arange(highest + 1)
    return values


def geometry() -> Geometry:
    """Of a file with columns, rows, slices from the feet upwards."""
    return Geometry(SHAPE[::-1], AFFINE)


def scan(*, spacing: bool = True) -> Scan:
    values = np.zeros(SHAPE, np.int16)
    own = geometry()
    return Scan(values, "hu", own, own.spacing_mm if spacing else None, True, "nifti", "scan")


def write(path: Path, canonical: np.ndarray, *, axes: str = "LAS", dtype: str = "uint8") -> Path:
    """Write canonical labels as NIfTI in any orientation, at the same place of the patient."""
    stored = nib.Nifti1Image(geometry().to_source(canonical).astype(dtype), AFFINE)
    there = orientations.ornt_transform(
        orientations.io_orientation(AFFINE), orientations.axcodes2ornt(axes)
    )
    nib.save(stored.as_reoriented(there), path)
    return path


def rejection(path: Path, kind: str = "lungs", on: Scan | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        read_labels(path, on or scan(), kind)  # type: ignore[arg-type]
    assert path.name in caught.value.message
    if caught.value.code != "input-not-found":  # which names the path as it was typed
        assert str(path.parent) not in caught.value.message
    return caught.value


# What is taken


@pytest.mark.parametrize("axes", ["LAS", "RAS", "LPS", "SPL", "AIR", "PSR"])
def test_a_mask_stored_along_other_axes_lands_on_the_same_voxels(tmp_path: Path, axes: str) -> None:
    path = write(tmp_path / "mask.nii.gz", labels(), axes=axes)
    np.testing.assert_array_equal(read_labels(path, scan(), "lungs"), labels())


@settings(max_examples=30, deadline=None)
@given(flips=st.tuples(*[st.sampled_from((1, -1))] * 3), order=st.permutations(range(3)))
def test_every_axis_order_and_direction_gives_the_same_labels(
    tmp_path_factory: pytest.TempPathFactory, flips: tuple, order: list[int]
) -> None:
    turned = np.column_stack([order, flips]).astype(float)
    axes = "".join(orientations.ornt2axcodes(turned))
    path = write(tmp_path_factory.mktemp("mask") / "mask.nii", labels(), axes=axes)
    np.testing.assert_array_equal(read_labels(path, scan(), "lungs"), labels())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint16", "float32", "float64"])
def test_whole_numbers_of_any_type_are_labels(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "mask.nii.gz", labels(5), dtype=dtype)
    labels_read = read_labels(path, scan(), "lobes")
    assert labels_read.dtype == np.uint8
    np.testing.assert_array_equal(labels_read, labels(5))


def test_nrrd_masks_are_read(tmp_path: Path) -> None:
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag([0.8, 0.7, 2.0]),
        "space origin": [-90, -80, -300],
    }
    nrrd.write(str(tmp_path / "mask.nrrd"), geometry().to_source(labels()), header)
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.nrrd", scan(), "lungs"), labels())


@pytest.mark.parametrize("deflate", [False, True])
def test_metaimage_masks_are_read(tmp_path: Path, deflate: bool) -> None:
    path = tmp_path / "mask.mha"
    header = {"ElementType": "MET_UCHAR", **stated_place(AFFINE)}
    path.write_bytes(metaimage(geometry().to_source(labels()), deflate=deflate, **header))
    np.testing.assert_array_equal(read_labels(path, scan(), "lungs"), labels())


def test_lobes_numbered_as_totalsegmentator_become_those_of_lungmask(tmp_path: Path) -> None:
    ours = labels(5)
    theirs = np.array([0, 10, 11, 12, 13, 14], np.uint8)[ours]
    path = write(tmp_path / "lobes.nii.gz", theirs)
    np.testing.assert_array_equal(read_labels(path, scan(), "lobes"), ours)


def test_a_mask_of_one_slice_is_read(tmp_path: Path) -> None:
    flat = labels()[0].T  # columns, rows
    nib.save(nib.Nifti1Image(flat, AFFINE), tmp_path / "flat.nii.gz")
    labels_read, own = read_label_volume(tmp_path / "flat.nii.gz", "lungs")
    np.testing.assert_array_equal(labels_read[0], labels()[0])
    assert own.shape == (7, 6, 1)


def test_headers_rounded_by_other_tools_are_at_the_same_place(tmp_path: Path) -> None:
    rounded = AFFINE + np.array([[1e-4, 0, 0, 0.01], [0, 0, 0, 0], [0, 0, 1e-3, 0], [0, 0, 0, 0]])
    nib.save(nib.Nifti1Image(geometry().to_source(labels()), rounded), tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.nii.gz", scan(), "lungs"), labels())


def test_without_a_voxel_size_the_number_of_voxels_is_enough(tmp_path: Path) -> None:
    moved = AFFINE.copy()
    moved[:3, 3] += 50
    nib.save(nib.Nifti1Image(geometry().to_source(labels()), moved), tmp_path / "mask.nii.gz")
    labels_read = read_labels(tmp_path / "mask.nii.gz", scan(spacing=False), "lungs")
    np.testing.assert_array_equal(labels_read, labels())


# Where a mask must lie


def test_a_mask_of_another_shape_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "small.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((7, 6, 4), np.uint8), AFFINE), path)
    error = rejection(path)
    assert error.code == "mask-geometry"
    assert "(4, 6, 7)" in error.found
    assert "(5, 6, 7)" in error.expected


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_that_lies_elsewhere_is_rejected_with_the_distance(
    tmp_path: Path, axis: int
) -> None:
    moved = AFFINE.copy()
    moved[axis, 3] += 3
    nib.save(nib.Nifti1Image(geometry().to_source(labels()), moved), tmp_path / "mask.nii.gz")
    error = rejection(tmp_path / "mask.nii.gz")
    assert error.code == "mask-geometry"
    assert "3.00 mm" in error.found


def test_a_mask_with_another_voxel_size_is_rejected(tmp_path: Path) -> None:
    affine = AFFINE @ np.diag([1.1, 1, 1, 1])
    nib.save(nib.Nifti1Image(geometry().to_source(labels()), affine), tmp_path / "mask.nii.gz")
    assert rejection(tmp_path / "mask.nii.gz").code == "mask-geometry"


# Which labels a mask may hold


@pytest.mark.parametrize(("kind", "label"), [("lungs", 3), ("lesions", 3), ("lobes", 6)])
def test_an_unknown_label_is_rejected_and_named(tmp_path: Path, kind: str, label: int) -> None:
    wrong = labels()
    wrong[0, 0, 0] = label
    error = rejection(write(tmp_path / "mask.nii.gz", wrong), kind)
    assert error.code == "mask-labels"
    assert str(label) in error.found
    assert error.expected.startswith("0 to")


def test_two_numberings_of_lobes_in_one_mask_are_rejected(tmp_path: Path) -> None:
    mixed = labels(5)
    mixed[0, 0, 0] = 12
    assert rejection(write(tmp_path / "mask.nii.gz", mixed), "lobes").code == "mask-labels"


@pytest.mark.parametrize("value", [0.5, -1.0, 300.0, np.nan, np.inf])
def test_values_that_are_no_labels_are_rejected(tmp_path: Path, value: float) -> None:
    wrong = geometry().to_source(labels()).astype(np.float32)
    wrong[3, 3, 3] = value
    nib.save(nib.Nifti1Image(wrong, AFFINE), tmp_path / "mask.nii.gz")
    assert rejection(tmp_path / "mask.nii.gz").code == "mask-labels"


# Files that are no masks


def test_a_mask_that_is_not_there(tmp_path: Path) -> None:
    assert rejection(tmp_path / "none.nii.gz").code == "input-not-found"


def test_a_folder_is_no_mask(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert rejection(tmp_path / "folder").code == "input-unreadable"


def test_a_file_of_another_kind_is_no_mask(tmp_path: Path) -> None:
    (tmp_path / "mask.nii.gz").write_text("hello")
    assert rejection(tmp_path / "mask.nii.gz").code == "format-not-recognised"


def test_a_mask_cut_off_is_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.nii", labels())
    path.write_bytes(path.read_bytes()[:-40])
    assert rejection(path).code in {"input-unreadable", "volume-too-large"}


def test_several_masks_in_one_file_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "masks.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((7, 6, 5, 2), np.uint8), AFFINE), path)
    assert rejection(path).code == "volume-4d"


def test_colours_are_no_labels(tmp_path: Path) -> None:
    colours = np.zeros((7, 6, 5), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, AFFINE), tmp_path / "mask.nii.gz")
    assert rejection(tmp_path / "mask.nii.gz").code == "colour-image"


def test_a_mask_whose_affine_is_no_geometry_is_rejected(tmp_path: Path) -> None:
    image = nib.Nifti1Image(geometry().to_source(labels()), AFFINE)
    content = bytearray(image.to_bytes())
    content[280:296] = np.full(4, np.nan, "<f4").tobytes()  # srow_x
    (tmp_path / "mask.nii.gz").write_bytes(gzip.compress(bytes(content)))
    assert rejection(tmp_path / "mask.nii.gz").code == "geometry-invalid"


def test_forged_dimensions_take_no_memory(tmp_path: Path) -> None:
    content = bytearray(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), AFFINE).to_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()  # dim[1:4]
    (tmp_path / "mask.nii.gz").write_bytes(gzip.compress(bytes(content)))
    assert rejection(tmp_path / "mask.nii.gz").code == "volume-too-large"


def test_a_metaimage_cut_off_or_elsewhere_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "mask.mha"
    header = {"ElementType": "MET_UCHAR", **stated_place(AFFINE)}
    content = metaimage(geometry().to_source(labels()), **header)
    path.write_bytes(content[:-20])
    assert rejection(path).code == "input-unreadable"
    path.write_bytes(content.replace(b"LOCAL", b"../secret.raw"))
    assert rejection(path).code == "format-not-recognised"
    moved = header | {"Offset": "3 0 0"}
    path.write_bytes(metaimage(geometry().to_source(labels()), **moved))
    assert rejection(path).code == "mask-geometry"


def test_nrrd_that_points_to_another_file_is_rejected(tmp_path: Path) -> None:
    secret = tmp_path / "secret.raw"
    secret.write_bytes(bytes(5 * 6 * 7))
    text = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 7 6 5\nencoding: raw\n"
    (tmp_path / "mask.nrrd").write_text(text + f"data file: {secret}\n\n")
    assert rejection(tmp_path / "mask.nrrd").code == "format-not-recognised"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cropped_mask_is_told_where_it_belongs(tmp_path: Path, axis: int) -> None:
    whole = nib.Nifti1Image(np.ones(SHAPE[::-1], np.uint8), AFFINE)
    keep = [slice(None)] * 3
    keep[axis] = slice(1, 4)
    path = tmp_path / "cropped.nii.gz"
    nib.save(whole.slicer[tuple(keep)], path)
    error = rejection(path)
    assert error.code == "mask-geometry"
    assert "cropped part" in error.hint
    assert "pad it" in error.hint


def test_a_mask_of_another_grid_is_told_to_be_resampled(tmp_path: Path) -> None:
    path = tmp_path / "fine.nii.gz"
    nib.save(
        nib.Nifti1Image(np.ones((14, 12, 10), np.uint8), AFFINE @ np.diag([0.5, 0.5, 0.5, 1])), path
    )
    assert "resample" in rejection(path).hint


@pytest.mark.parametrize("kind", ["int64", "uint64", "int32", "uint8"])
@pytest.mark.parametrize("extra", [0, 3])
def test_nrrd_masks_of_long_numbers_and_axes_of_one_are_read(
    tmp_path: Path, kind: str, extra: int
) -> None:
    stored = geometry().to_source(labels()).astype(kind)
    directions = (np.diag([-1, -1, 1]) @ AFFINE[:3, :3]).T
    kinds = ["domain"] * 3
    directions = np.insert(directions, extra, np.nan, axis=0)
    kinds.insert(extra, "list")
    header = {
        "space": "left-posterior-superior",
        "space directions": directions,
        "space origin": np.diag([-1, -1, 1]) @ AFFINE[:3, 3],
        "kinds": kinds,
    }
    nrrd.write(str(tmp_path / "mask.nrrd"), np.expand_dims(stored, extra), header)
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.nrrd", scan(), "lungs"), labels())
