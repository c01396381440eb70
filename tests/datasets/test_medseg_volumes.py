"""MedSeg's volumes as two small phantoms with labels, laid out as downloaded."""

import nibabel as nib
import numpy as np
import pytest

from lungscore.datasets import medseg_volumes
from lungscore.datasets.training_slices import load_infected
from lungscore.errors import InputError
from lungscore.scan.write import write_nifti


def write_labels(path, labels: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels, affine), path)


@pytest.fixture
def lesions(small_phantom):
    """The phantom's lesions in all but its middle; one slice there with effusion alone."""
    labels = small_phantom("moderate").lesions.copy()
    labels[7:10] = 0
    labels[8, 40:44, 30:34] = 3
    return labels


@pytest.fixture
def volumes(tmp_path, small_phantom, lesions):
    """Volumes 1 and 2; the labels of 2 are stored along other axes than its image."""
    root, scan = tmp_path / "medseg-volumes", small_phantom("moderate").scan
    (root / "rp_im").mkdir(parents=True)
    for name in ("1", "2"):
        write_nifti(scan, root / "rp_im" / f"{name}.nii.gz")
    stored = scan.geometry.to_source(lesions)
    write_labels(root / "rp_msk" / "1.nii.gz", stored, scan.geometry.affine)
    canonical = np.ascontiguousarray(lesions)
    write_labels(root / "rp_msk" / "2.nii.gz", canonical, scan.geometry.canonical_affine)
    return root


def rejected(root, code: str) -> str:
    """The message with which the dataset is refused."""
    with pytest.raises(InputError) as caught:
        medseg_volumes.load(root)
    assert caught.value.code == code
    return caught.value.message


def test_slices_with_labels_come_in_hounsfield_units_cut_to_their_lungs(
    volumes, lesions, small_phantom
):
    phantom = small_phantom("moderate")
    samples = medseg_volumes.load(volumes)
    first = [sample for sample in samples if sample.patient == "1"]
    labelled = np.flatnonzero(lesions.any(axis=(1, 2)))
    assert [sample.name for sample in first] == [f"1-{index:03d}" for index in labelled]
    for sample, index in zip(first, labelled, strict=True):
        assert sample.image.dtype == np.int16
        assert sample.source == "medseg-volumes"
        assert sample.image.size < phantom.scan.values[index].size
        for label in (1, 2):
            assert np.count_nonzero(sample.lesions == label) == np.count_nonzero(
                lesions[index] == label
            )
        np.testing.assert_array_equal(sample.infection, sample.lesions > 0)
        # Every labelled voxel still lies on its own Hounsfield unit.
        expected = phantom.scan.values[index][np.isin(lesions[index], (1, 2))]
        np.testing.assert_array_equal(sample.image[sample.infection], expected)


def test_effusion_is_background_and_slices_without_any_label_are_left_out(volumes):
    samples = {sample.name: sample for sample in medseg_volumes.load(volumes)}
    assert not samples["1-008"].infection.any()
    assert not {"1-007", "1-009"} & samples.keys()


def test_labels_stored_along_other_axes_lie_where_they_should(volumes):
    samples = medseg_volumes.load(volumes)
    pairs = zip(samples[: len(samples) // 2], samples[len(samples) // 2 :], strict=True)
    for first, second in pairs:
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.lesions, second.lesions)


def test_the_volumes_join_other_datasets_by_name(volumes):
    samples = load_infected(("medseg-volumes",), volumes.parent)
    assert {sample.patient for sample in samples} == {"1", "2"}


def test_a_missing_folder_says_what_belongs_there(tmp_path):
    message = rejected(tmp_path / "medseg-volumes", "dataset-incomplete")
    assert "rp_im" in message
    assert "rp_msk" in message
    assert "LUNGSCORE_DATA/medseg-volumes" in message


def test_a_volume_without_labels_is_named(volumes):
    (volumes / "rp_msk" / "2.nii.gz").unlink()
    assert "2.nii.gz" in rejected(volumes, "dataset-incomplete")


@pytest.mark.parametrize("value", [4, 0.5])
def test_labels_outside_the_table_are_named(volumes, small_phantom, value):
    scan = small_phantom("moderate").scan
    labels = np.full(scan.geometry.shape, value, np.float32)
    write_labels(volumes / "rp_msk" / "1.nii.gz", labels, scan.geometry.affine)
    message = rejected(volumes, "label-invalid")
    assert "1.nii.gz" in message
    assert str(value) in message


def test_labels_that_lie_elsewhere_are_refused(volumes, small_phantom, lesions):
    geometry = small_phantom("moderate").scan.geometry
    affine = geometry.affine.copy()
    affine[0, 3] += 5
    write_labels(volumes / "rp_msk" / "1.nii.gz", geometry.to_source(lesions), affine)
    assert "1.nii.gz" in rejected(volumes, "mask-geometry")
