"""DICOM series as volumes: pixels, geometry and what a header may lack."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from lungscore.scan import read_scan
from tests.scan.reading import codes, rejection
from tests.scan.scan_builder import chest, compress, save, write_series


def test_series_is_read_superior_first_with_its_spacing(tmp_path: Path) -> None:
    values = chest()
    write_series(tmp_path, values)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, np.clip(values, -1024, 3071))
    assert scan.spacing_mm == pytest.approx((2.0, 0.7, 0.8))
    assert scan.positions_mm[0] == pytest.approx(100.0)
    assert scan.positions_mm[-1] == pytest.approx(100.0 - 2 * 11)
    assert scan.kind == "dicom"
    assert scan.notices == ()


def test_affine_places_every_voxel_where_dicom_says(tmp_path: Path) -> None:
    write_series(tmp_path, origin=(-20.0, -30.0, 100.0))
    scan = read_scan(tmp_path)
    # Canonical voxel (slice 3, row 5, column 7), DICOM LPS+ turned to RAS+.
    position = scan.geometry.canonical_affine @ [3, 5, 7, 1]
    np.testing.assert_allclose(position[:3], [20 - 7 * 0.8, 30 - 5 * 0.7, 100 - 3 * 2])


def test_file_order_and_instance_numbers_do_not_matter(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.InstanceNumber = 99 - index % 3

    paths = write_series(tmp_path, values, edit=edit)
    for number, path in enumerate(reversed(paths)):
        path.rename(tmp_path / f"{number:02d}")
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


@pytest.mark.parametrize(
    ("directions", "step", "axes"),
    [
        ((1, 0, 0, 0, 1, 0), (0, 0, 2), (slice(None, None, -1), 1, 1)),  # feet to head
        ((-1, 0, 0, 0, -1, 0), (0, 0, -2), None),  # prone: both directions turned
    ],
)
def test_feet_first_and_prone_look_as_usual(
    tmp_path: Path, directions: tuple, step: tuple, axes: object
) -> None:
    values = chest()
    stored = values[::-1] if step[2] > 0 else values
    stored = stored[:, ::-1, ::-1] if directions[0] < 0 else stored
    write_series(tmp_path, stored, directions=directions, step=step)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


def test_coronal_series_is_turned_to_axial(tmp_path: Path) -> None:
    values = chest(depth=14)
    coronal = np.ascontiguousarray(values.transpose(1, 0, 2))  # slices front to back
    write_series(
        tmp_path,
        coronal,
        directions=(1, 0, 0, 0, 0, -1),
        step=(0, 1.5, 0),
        spacing=(1.5, 2.0, 0.8),
    )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, values)
    assert scan.spacing_mm == pytest.approx((2.0, 1.5, 0.8))


@pytest.mark.parametrize("size", [(20, 31), (33, 21), (16, 64)])
def test_any_number_of_rows_and_columns(tmp_path: Path, size: tuple[int, int]) -> None:
    values = chest(10, *size)
    write_series(tmp_path, values)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"]
)
def test_lossless_compression_gives_the_same_values(tmp_path: Path, syntax: str) -> None:
    values = chest()
    for path in write_series(tmp_path, values):
        compress(path, syntax)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, values)
    assert "lossy-compression" not in codes(scan)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_native_syntax_gives_the_same_values(tmp_path: Path, syntax: str) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            stored = np.frombuffer(dataset.PixelData, "<u2").astype(">u2")
            dataset.PixelData = stored.tobytes()

    write_series(tmp_path, values, edit=edit)
    np.testing.assert_array_equal(read_scan(tmp_path).values, values)


def test_deflated_bomb_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lungscore.scan.dicom.header.MAX_DEFLATED_BYTES", 2**16)

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.add_new(0x00091010, "OB", b"\0" * 2**20)

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "archive-unsafe"


def test_unknown_transfer_syntax_asks_for_a_codec(tmp_path: Path) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        stored = (values[index].astype(np.int32) + 1024).astype("<u2")
        dataset.compress(RLELossless, stored, encoding_plugin="pydicom")
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"  # HTJ2K

    write_series(tmp_path, values, edit=edit)
    error = rejection(tmp_path)
    assert error.code == "codec-missing"
    assert "pip install" in error.hint


def test_lossy_contrast_and_thick_slices_are_noted(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.LossyImageCompression = "01"
        dataset.ContrastBolusAgent = "Canary 300"

    write_series(tmp_path, spacing=(10.0, 0.7, 0.8), edit=edit)
    scan = read_scan(tmp_path)
    assert {"lossy-compression", "contrast", "thick-slices"} <= set(codes(scan))
    assert "Canary" not in " ".join(notice.message for notice in scan.notices)


def test_contrast_field_that_says_none_is_no_contrast(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.ContrastBolusAgent = "None"

    write_series(tmp_path, edit=edit)
    assert "contrast" not in codes(read_scan(tmp_path))


def test_missing_meta_header_is_tolerated(tmp_path: Path) -> None:
    values = chest()
    for path in write_series(tmp_path, values):
        dataset = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(dataset)
        pydicom.dcmwrite(path, bare, implicit_vr=True, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, values)
    assert "header-incomplete" in codes(scan)


@pytest.mark.parametrize("implicit", [True, False])
def test_missing_transfer_syntax_is_tolerated(tmp_path: Path, implicit: bool) -> None:
    values = chest()
    for path in write_series(tmp_path, values):
        dataset = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(dataset)
        body = path.with_suffix(".body")
        pydicom.dcmwrite(body, bare, implicit_vr=implicit, little_endian=True)
        meta = b"\x02\x00\x13\x00SH\x04\x00TEST"
        group = b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little")
        path.write_bytes(b"\0" * 128 + b"DICM" + group + meta + body.read_bytes())
        body.unlink()
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.values, values)
    assert "header-incomplete" in codes(scan)


def test_single_slice_is_read(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    scan = read_scan(paths[4])
    assert scan.shape == (1, 36, 40)
    assert scan.spacing_mm == pytest.approx((2.0, 0.7, 0.8))
    assert "single-slice" in codes(scan)
    assert scan.name == "IM0004"


def test_two_slices_are_read(tmp_path: Path) -> None:
    write_series(tmp_path, chest()[5:7])
    assert read_scan(tmp_path).shape == (2, 36, 40)


def test_missing_pixel_spacing_leaves_millilitres_out(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        del dataset.PixelSpacing

    write_series(tmp_path, edit=edit)
    scan = read_scan(tmp_path)
    assert scan.spacing_mm is None
    assert scan.voxel_ml is None
    assert "no-spacing" in codes(scan)


def test_positions_win_over_a_wrong_slice_thickness(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.SliceThickness = 7

    write_series(tmp_path, edit=edit)
    assert read_scan(tmp_path).spacing_mm[0] == pytest.approx(2.0)


def test_identifiers_that_are_no_uids_are_read(tmp_path: Path) -> None:
    write_series(tmp_path, series_uid="09bc8aea-ff9c-4106-8514-294cbcf9a082")
    assert read_scan(tmp_path).series_uid == "09bc8aea-ff9c-4106-8514-294cbcf9a082"


def test_empty_sop_instance_uids_are_no_duplicates(tmp_path: Path) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.SOPInstanceUID = ""

    write_series(tmp_path, edit=edit)
    assert read_scan(tmp_path).shape[0] == 12


def test_patient_texts_stay_out_of_warnings(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture
) -> None:
    paths = write_series(tmp_path)
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.add_new(0x00100030, "LO", "canary birth date that is none")
        dataset["PixelSpacing"].value = ["0.7", "0.8"]
        save(dataset, path)
    recwarn.clear()
    read_scan(tmp_path)
    assert not [str(warning.message) for warning in recwarn]
    captured = capfd.readouterr()
    assert "canary" not in (captured.out + captured.err).lower()
