"""Slices that occur twice, are missing or in another order."""

from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan import read_scan
from lungscore.scan.continuity import find_faults
from lungscore.scan.phantom import make_phantom
from lungscore.scan.slice_order import equal_slices
from tests.scan.reading import codes, rejection
from tests.scan.test_continuity import save_nifti

DEPTH = 60


@pytest.fixture(scope="module")
def body() -> np.ndarray:
    return make_phantom("moderate", seed=1, shape=(DEPTH, 96, 96)).scan.values


def test_neighbours_that_are_equal_are_told_and_others_rejected() -> None:
    values = np.random.default_rng(0).integers(0, 99, (8, 4, 5))
    values[3] = values[2]
    values[4] = values[2]
    seen = list(range(8))
    assert equal_slices(values, seen) == (3, 4)
    values[7] = values[0]
    with pytest.raises(InputError) as caught:
        equal_slices(values, seen)
    assert caught.value.code == "mixed-acquisitions"
    assert caught.value.found == "A slice occurs twice: slice 8 is equal to slice 1"


def test_blocks_that_overlap_are_rejected(tmp_path: Path, body: np.ndarray) -> None:
    twice = np.concatenate([body[:30], body[24:]])
    error = rejection(save_nifti(tmp_path / "scan.nii", twice))
    assert error.code == "mixed-acquisitions"
    assert "6 slices occur twice: slice 31 is equal to slice 25" in error.found


@pytest.mark.parametrize("missing", [range(20, 28), range(30, 42)])
def test_missing_slices_are_noted_with_their_place(
    tmp_path: Path, body: np.ndarray, missing: range
) -> None:
    scan = read_scan(save_nifti(tmp_path / "scan.nii", np.delete(body, missing, axis=0)))
    (notice,) = (notice for notice in scan.notices if notice.code == "slices-abrupt")
    assert f"after slice {missing.start} of" in notice.message


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("preset", ["healthy", "severe", "dense"])
def test_whole_scans_have_no_abrupt_step(preset: str, every: int) -> None:
    values = make_phantom(preset, seed=3, shape=(DEPTH, 96, 96)).scan.values[::every]
    assert find_faults(values, "hu").abrupt == ()
    noise = np.random.default_rng(0).normal(0, 60, values.shape)
    assert find_faults((values + noise).astype(np.int16), "hu").abrupt == ()


def test_halves_in_the_wrong_order_are_noted(tmp_path: Path, body: np.ndarray) -> None:
    swapped = np.concatenate([body[30:], body[:30]])
    assert "slices-abrupt" in codes(read_scan(save_nifti(tmp_path / "scan.nii", swapped)))
