"""Slices that occur twice, are missing or in another order."""

from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import InputError
from lungscore.scan import read_scan
from lungscore.scan.continuity import find_faults
from lungscore.scan.phantom import make_phantom
from lungscore.scan.slice_order import check_once, equal_slices
from tests.scan.reading import codes, rejection
from tests.scan.test_continuity import save_nifti, save_series, save_slices

DEPTH = 100


@pytest.fixture(scope="module")
def body() -> np.ndarray:
    return make_phantom("moderate", seed=1, shape=(DEPTH, 64, 64)).scan.values


def test_equal_neighbours_are_told() -> None:
    values = np.random.default_rng(0).integers(0, 99, (8, 4, 5))
    values[3] = values[2]
    values[4] = values[2]
    assert equal_slices(values, list(range(8))) == (3, 4)
    assert equal_slices(values, [0, 1, 2, 4, 5]) == ()


def test_only_blocks_in_the_same_order_occur_twice() -> None:
    values = np.random.default_rng(0).integers(0, 99, (12, 4, 5))
    values[7] = values[2]
    check_once(values, range(12))  # a single copy stands out from its neighbours
    mirrored = values.copy()
    mirrored[6] = values[3]
    check_once(mirrored, range(12))  # the same on both sides of a middle, as a made-up body
    values[8] = values[3]
    with pytest.raises(InputError) as caught:
        check_once(values, range(12))
    assert caught.value.code == "mixed-acquisitions"
    assert "slice 8 is equal to slice 3" in caught.value.found
    check_once(values, [z for z in range(12) if z != 3])


def test_blocks_that_overlap_are_rejected(tmp_path: Path, body: np.ndarray) -> None:
    twice = np.concatenate([body[:30], body[24:]])
    error = rejection(save_nifti(tmp_path / "scan.nii", twice))
    assert error.code == "mixed-acquisitions"
    assert "6 slices occur twice: slice 31 is equal to slice 25" in error.found


def test_empty_slices_and_copies_of_files_are_no_overlap(tmp_path: Path, body: np.ndarray) -> None:
    values = body.copy()
    values[:3] = values[-3:] = -1024
    values[:3, 10:50, 10:50] = values[-3:, 10:50, 10:50] = -1000
    find_faults(values, "hu")
    folder = save_slices(tmp_path / "slices", body[::5])
    (folder / "100.png").write_bytes((folder / "008.png").read_bytes())
    read_scan(folder)


@pytest.mark.parametrize("times", [2, 3, 5])
def test_slices_resampled_with_the_nearest_one_are_no_gap(body: np.ndarray, times: int) -> None:
    faults = find_faults(np.repeat(body[::4], times, axis=0), "hu")
    assert (faults.faulty, faults.abrupt) == ({}, ())
    assert faults.repeated


@pytest.mark.parametrize("missing", [range(30, 40), range(50, 70)])
def test_missing_slices_are_noted_with_their_place(
    tmp_path: Path, body: np.ndarray, missing: range
) -> None:
    values = np.delete(body, missing, axis=0)
    scan = read_scan(save_nifti(tmp_path / "scan.nii", values))
    (notice,) = (notice for notice in scan.notices if notice.code == "slices-abrupt")
    assert f"after slice {missing.start} of" in notice.message
    assert "slices-abrupt" not in codes(read_scan(save_series(tmp_path / "series", values)))


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("preset", ["healthy", "severe", "dense"])
def test_whole_scans_have_no_abrupt_step(preset: str, every: int) -> None:
    values = make_phantom(preset, seed=3, shape=(DEPTH, 64, 64)).scan.values[::every]
    assert find_faults(values, "hu").abrupt == ()
    noise = np.random.default_rng(0).normal(0, 60, values.shape)
    assert find_faults((values + noise).astype(np.int16), "hu").abrupt == ()


def test_halves_in_the_wrong_order_are_noted(tmp_path: Path, body: np.ndarray) -> None:
    swapped = np.concatenate([body[DEPTH // 2 :], body[: DEPTH // 2]])
    assert "slices-abrupt" in codes(read_scan(save_nifti(tmp_path / "scan.nii", swapped)))
