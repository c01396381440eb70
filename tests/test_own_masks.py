"""Analyses with the user's own masks of lungs and lobes."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel import orientations

from lungscore import analyze
from lungscore.errors import InputError
from lungscore.inference import Segmenter
from lungscore.labels import LOBE_ORDER
from lungscore.result import to_result
from lungscore.scan.phantom import Phantom
from tests.analyses import codes, never, numbers

Phantoms = Callable[[str], Phantom]


def write_mask(path: Path, labels: np.ndarray, like: Path) -> Path:
    """``labels`` on canonical axes as a mask in the geometry of the NIfTI file ``like``."""
    affine = nib.load(like).affine
    to_file = orientations.ornt_transform(
        orientations.axcodes2ornt("IPL"), orientations.io_orientation(affine)
    )
    nib.save(nib.Nifti1Image(orientations.apply_orientation(labels, to_file), affine), path)
    return path


# The user's own masks


@pytest.fixture
def own_masks(tmp_path: Path, phantom_file: Path, small_phantom: Phantoms) -> dict[str, Path]:
    phantom = small_phantom("moderate")
    return {
        "lungs": write_mask(tmp_path / "lungs.nii.gz", phantom.lungs, phantom_file),
        "lobes": write_mask(tmp_path / "lobes.nii.gz", phantom.lobes, phantom_file),
    }


def test_own_lungs_and_lobes_win(
    own_masks: dict[str, Path],
    phantom_file: Path,
    small_phantom: Phantoms,
    segmenter: Segmenter,
) -> None:
    analysed = analyze(phantom_file, segmenter=segmenter, **own_masks)  # type: ignore[arg-type]
    truth, result = small_phantom("moderate").truth, to_result(analysed)
    np.testing.assert_array_equal(analysed.lungs.labels, small_phantom("moderate").lungs)
    assert result.lungs.volume_ml == pytest.approx(truth["lungs_ml"], abs=1e-3)
    assert result.lungs.left_ml == pytest.approx(truth["left_ml"], abs=1e-3)
    for name in LOBE_ORDER:
        volume = getattr(result.lobes, name).volume_ml
        assert volume == pytest.approx(truth["lobes"][name]["volume_ml"], abs=1e-3)
    assert {"user-lungs", "user-lobes"} <= set(codes(analysed))
    assert not {"approximate-lobes", "lungs-from-lesions"} & set(codes(analysed))


def test_totalsegmentator_lobes_and_a_lung_mask_without_sides_say_the_same(
    tmp_path: Path,
    own_masks: dict[str, Path],
    phantom_file: Path,
    small_phantom: Phantoms,
    segmenter: Segmenter,
) -> None:
    phantom = small_phantom("moderate")
    numbered = np.array([0, 10, 11, 12, 13, 14], np.uint8)[phantom.lobes]
    plain = (phantom.lungs > 0).astype(np.uint8)
    theirs = {
        "lungs": write_mask(tmp_path / "plain.nii.gz", plain, phantom_file),
        "lobes": write_mask(tmp_path / "numbered.nii.gz", numbered, phantom_file),
    }
    ours = analyze(phantom_file, segmenter=segmenter, **own_masks)  # type: ignore[arg-type]
    analysed = analyze(phantom_file, segmenter=segmenter, **theirs)  # type: ignore[arg-type]
    assert numbers(analysed) == numbers(ours)
    np.testing.assert_array_equal(analysed.lungs.labels, phantom.lungs)


def test_a_lung_mask_without_sides_alone_leaves_sides_null(
    tmp_path: Path, phantom_file: Path, small_phantom: Phantoms, segmenter: Segmenter
) -> None:
    plain = (small_phantom("moderate").lungs > 0).astype(np.uint8)
    path = write_mask(tmp_path / "plain.nii.gz", plain, phantom_file)
    analysed = analyze(phantom_file, segmenter=segmenter, lungs=path)
    result = to_result(analysed)
    assert "unknown-orientation" in codes(analysed)
    assert not result.input.sides_known
    assert result.lungs.left_ml is None
    assert result.scores.ct_ss.total is None
    assert result.burden.infection_percent is not None
    assert analysed.lobes is None


@pytest.mark.parametrize("kind", ["lungs", "lobes"])
def test_a_mask_of_another_scan_is_rejected_before_a_model_is_loaded(
    tmp_path: Path, phantom_file: Path, small_phantom: Phantoms, kind: str
) -> None:
    path = write_mask(tmp_path / "other.nii.gz", small_phantom("moderate").lungs[:8], phantom_file)
    with pytest.raises(InputError) as caught:
        analyze(phantom_file, segmenter=never, **{kind: path})  # type: ignore[arg-type]
    assert caught.value.code == "mask-geometry"


@pytest.mark.parametrize(("kind", "code"), [("lungs", "no-lungs"), ("lobes", "mask-labels")])
def test_an_empty_mask_is_rejected(
    tmp_path: Path, phantom_file: Path, small_phantom: Phantoms, kind: str, code: str
) -> None:
    empty = np.zeros_like(small_phantom("moderate").lungs)
    path = write_mask(tmp_path / "empty.nii.gz", empty, phantom_file)
    with pytest.raises(InputError) as caught:
        analyze(phantom_file, segmenter=never, **{kind: path})  # type: ignore[arg-type]
    assert caught.value.code == code
