"""DICOM values: rescale, padding, stored bits, and numbers that are no CT."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from lungscore.scan import read_scan
from tests.scan.reading import codes, rejection
from tests.scan.scan_builder import chest, write_series


def test_slope_and_intercept_may_differ_per_slice(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index % 2:
            dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-1100"
            stored = np.rint((values[index].astype(float) + 1100) / 0.5).astype("<u2")
            dataset.PixelData, dataset.BitsStored, dataset.HighBit = stored.tobytes(), 16, 15

    write_series(tmp_path, values, edit=edit)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


@pytest.mark.parametrize("padding", [-2000, -3024, -32768])
def test_padding_becomes_air(tmp_path: Path, padding: int) -> None:
    values = chest()
    values[:, :3, :3] = -1000

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        stored = values[index].astype("<i2")
        stored[:3, :3] = padding
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        dataset.BitsStored, dataset.HighBit = 16, 15
        dataset.add_new(0x00280120, "SS", padding)
        dataset.PixelData = stored.tobytes()

    write_series(tmp_path, values, edit=edit)
    scan = read_scan(tmp_path)
    assert (scan.values[:, :3, :3] == -1024).all()
    np.testing.assert_array_equal(scan.values[:, 5:], values[:, 5:])


def test_unsigned_padding_far_above_tissue_becomes_air(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, "<u2").reshape(36, 40).copy()
        stored[:3] = 63536  # -2000 as unsigned
        dataset.PixelData = stored.tobytes()
        dataset.add_new(0x00280120, "US", 63536)

    write_series(tmp_path, edit=edit)
    assert (read_scan(tmp_path).values[:, :3] == -1024).all()


def test_padding_value_that_is_tissue_changes_nothing(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.add_new(0x00280120, "US", 1064)  # 40 HU

    write_series(tmp_path, values, edit=edit)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


def test_garbage_above_the_stored_bits_is_cleared(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        stored = np.frombuffer(dataset.PixelData, "<u2") | 0xA000
        dataset.PixelData = stored.astype("<u2").tobytes()

    write_series(tmp_path, values, edit=edit)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


def test_signed_values_read_as_unsigned_are_rejected(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.RescaleIntercept = 16, 15, 0
        dataset.PixelData = values[index].astype("<i2").tobytes()

    write_series(tmp_path, values, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "not-hounsfield"
    assert "PixelRepresentation" in error.hint


def test_monochrome1_changes_how_it_is_shown_and_not_its_values(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    write_series(tmp_path, values, edit=edit)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


@pytest.mark.parametrize("slope", ["0", "-1", "0.001"])
def test_senseless_slope_is_rejected(tmp_path: Path, slope: str) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.RescaleSlope = slope

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code in ("not-hounsfield", "constant-image")


def test_missing_rescale_is_a_notice_where_values_are_hounsfield_units(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
        dataset.PixelData = values[index].astype("<i2").tobytes()

    write_series(tmp_path, values, edit=edit)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, values)
    assert "rescale-missing" in codes(scan)


def test_missing_rescale_is_rejected_where_values_are_not(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        del dataset.RescaleSlope, dataset.RescaleIntercept

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "not-hounsfield"


def test_modality_table_is_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        table = pydicom.Dataset()
        table.add_new(0x00283002, "US", [4096, 0, 16])
        table.ModalityLUTType = "US"
        table.add_new(0x00283006, "OW", np.arange(4096, dtype="<u2").tobytes())
        dataset.ModalityLUTSequence = [table]

    write_series(tmp_path, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "not-hounsfield"
    assert "Modality LUT" in error.found


def test_constant_image_is_rejected(tmp_path: Path) -> None:
    write_series(tmp_path, np.full((10, 16, 16), 40, dtype=np.int16))
    assert rejection(tmp_path).code == "constant-image"


def test_shifted_values_are_noted(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.RescaleIntercept = -1024 + 250

    write_series(tmp_path, edit=edit)
    assert "hu-implausible" in codes(read_scan(tmp_path))
