"""Geometry in DICOM that is written otherwise than usual: read where it can mean one thing only."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from lungscore.scan import read_scan
from tests.scan.reading import check_read, codes, rejection
from tests.scan.scan_builder import chest, write_series

# Geometry


def raw(dataset: pydicom.Dataset, keyword: str, representation: str, value: bytes) -> None:
    """Write ``value`` as it is."""
    tag = Tag(pydicom.datadict.tag_for_keyword(keyword))
    value += b" " * (len(value) % 2)
    dataset[tag] = RawDataElement(tag, representation, len(value), value, 0, False, True)


@pytest.mark.parametrize(
    ("representation", "value"),
    [
        ("DS", b"0,7\\0,8"),
        ("DS", b"7,0E-1\\8,0e-1"),
        ("UT", b"0.7\\0.8"),
        ("UT", b"0.7 0.8"),
        ("UT", b"0.7, 0.8"),
        ("UN", b"0.7\\0.8"),
        ("UN", b"0,7\\0,8"),
        ("LO", b"[0.7\\0.8]"),
    ],
)
def test_spacing_that_can_mean_one_thing_is_read(
    tmp_path: Path, representation: str, value: bytes
) -> None:
    write_series(tmp_path, edit=lambda i, d: raw(d, "PixelSpacing", representation, value))
    check_read(tmp_path)


@pytest.mark.parametrize(
    "value", [b"wide\\high", b"0.7", b"0,7,0,8", b"0.7\\0.8\\0.9", b"1,234.5\\1", b"nan\\1"]
)
@pytest.mark.parametrize("faulty", [range(12), [4]])
def test_spacing_that_cannot_be_read_is_named(
    tmp_path: Path, value: bytes, faulty: list[int]
) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index in faulty:
            raw(dataset, "PixelSpacing", "DS", value)

    write_series(tmp_path, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "geometry-invalid"
    assert f"PixelSpacing of {len(faulty)} images" in error.found


def test_decimal_commas_everywhere_are_read(tmp_path: Path) -> None:
    keywords = (
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
        *("RescaleSlope", "RescaleIntercept"),
    )

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        for keyword in keywords:
            value = dataset[keyword].value
            items = value if isinstance(value, pydicom.multival.MultiValue) else [value]
            text = "\\".join(f"{float(item):.1f}".replace(".", ",") for item in items)
            raw(dataset, keyword, "DS", text.encode())

    write_series(tmp_path, edit=edit)
    check_read(tmp_path)


def test_a_position_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, edit=lambda i, d: raw(d, "ImagePositionPatient", "DS", b"a\\b\\c"))
    error = rejection(tmp_path)
    assert error.code == "geometry-invalid"
    assert "ImagePositionPatient of 12 images" in error.found


@pytest.mark.parametrize("decimals", [1, 2, 3])
@pytest.mark.parametrize("step", [0.625, 0.7031, 1.25, 2.3456])
def test_rounded_positions_are_evenly_spaced(tmp_path: Path, decimals: int, step: float) -> None:
    if decimals == 1 and step < 1:
        pytest.skip("rounding of a tenth of the step is no longer the same place")

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        position = [-20, -30, round(-100.137 - index * step, decimals)]
        dataset.ImagePositionPatient = position

    write_series(tmp_path, chest(60), edit=edit)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest(60))
    assert scan.spacing_mm[0] == pytest.approx(step, abs=0.1 / 59)  # type: ignore[index]


@pytest.mark.parametrize("missing", [[20], [7, 8, 9], [30, 45]])
def test_a_gap_among_rounded_positions_is_found(tmp_path: Path, missing: list[int]) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.ImagePositionPatient = [-20, -30, round(-100.137 - index * 0.625, 2)]

    paths = write_series(tmp_path, chest(60), edit=edit)
    for index in missing:
        paths[index].unlink()
    error = rejection(tmp_path)
    assert error.code == "slice-gap"
    assert f"{len(missing)} slices" in error.found


@pytest.mark.parametrize("degrees", [0.05, 0.1])
def test_directions_that_jitter_are_one_direction(tmp_path: Path, degrees: float) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        angle = np.deg2rad(degrees) * (-1) ** index
        cosine, sine = np.cos(angle), np.sin(angle)
        directions = (cosine, sine, 0, -sine, cosine, 0)
        dataset.ImageOrientationPatient = [f"{number:.6f}" for number in directions]

    write_series(tmp_path, edit=edit)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, chest())


@pytest.mark.parametrize(("difference", "repaired"), [(0.00098, False), (0.00102, True)])
def test_directions_that_differ_by_a_thousandth_are_equal(
    tmp_path: Path, difference: float, repaired: bool
) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index == 5:
            dataset.ImageOrientationPatient = [1, difference, 0, 0, 1, 0]

    write_series(tmp_path, edit=edit)
    assert ("geometry-repaired" in codes(read_scan(tmp_path))) is repaired


def test_a_slice_turned_by_a_degree_is_rejected(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        if index == 5:
            cosine, sine = np.cos(np.deg2rad(1)), np.sin(np.deg2rad(1))
            dataset.ImageOrientationPatient = [cosine, sine, 0, -sine, cosine, 0]

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "mixed-geometry"
