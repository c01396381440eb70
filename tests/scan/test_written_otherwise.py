"""DICOM that is written otherwise than usual: read where it can mean one thing only."""

import io
import struct
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lungscore.errors import InputError
from lungscore.scan import Scan, read_scan
from tests.sampling import sampled
from tests.scan.scan_builder import chest, compress, save, write_series

Edit = Callable[[int, pydicom.Dataset], None]


def codes(scan: Scan) -> list[str]:
    return [notice.code for notice in scan.notices]


def rejection(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    return caught.value


def check_read(path: Path) -> Scan:
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.values, chest())
    assert scan.spacing_mm == pytest.approx((2.0, 0.7, 0.8))
    return scan


# Pixels


@pytest.mark.parametrize("padding", [1, 2, 300, 4096, 100_000])
@pytest.mark.parametrize("value", [b"\0", b" ", b"\xff"])
def test_padding_behind_the_pixels_is_ignored(tmp_path: Path, padding: int, value: bytes) -> None:
    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.PixelData += padding * value

    write_series(tmp_path, edit=edit)
    check_read(tmp_path)


def test_pixels_of_another_image_behind_the_pixels_are_rejected(tmp_path: Path) -> None:
    write_series(tmp_path, edit=lambda i, d: setattr(d, "PixelData", 2 * d.PixelData))
    assert rejection(tmp_path).code == "dicom-unreadable"


def test_too_few_pixels_in_a_whole_file_are_not_called_cut_off(tmp_path: Path) -> None:
    write_series(tmp_path, edit=lambda i, d: setattr(d, "PixelData", d.PixelData[:-400]))
    error = rejection(tmp_path)
    assert error.code == "dicom-unreadable"
    assert "copy" not in error.hint


def test_pixels_of_a_representation_that_does_not_exist_are_rejected(tmp_path: Path) -> None:
    path = write_series(tmp_path, chest(1))[0]
    content = path.read_bytes()
    element = b"\xe0\x7f\x10\x00OW"
    assert content.count(element) == 1
    path.write_bytes(content.replace(element, element[:4] + b"ZZ"))
    assert rejection(tmp_path).code == "dicom-unreadable"


def test_a_file_that_is_cut_off_is_called_so(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-400])
    error = rejection(tmp_path)
    assert error.code == "dicom-truncated"
    assert "Copy it again" in error.hint


@pytest.mark.parametrize(
    ("keyword", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")]
)
@pytest.mark.parametrize("scaled", [True, False])
def test_pixels_of_floating_point_are_read(
    tmp_path: Path, keyword: str, kind: str, scaled: bool
) -> None:
    values = chest()

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        numbers = values[index].astype(float)
        for absent in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(dataset, absent)
        if scaled:
            dataset.RescaleSlope, dataset.RescaleIntercept = 2, -100
            numbers = (numbers + 100) / 2
        else:
            del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.BitsAllocated = 8 * int(kind[-1])
        setattr(dataset, keyword, numbers.astype(kind).tobytes())

    write_series(tmp_path, edit=edit)
    assert ("rescale-missing" in codes(check_read(tmp_path))) is not scaled


def test_floating_point_pixels_that_are_no_numbers_are_rejected(tmp_path: Path) -> None:
    values = chest().astype("<f4")
    values[5, 10:20, 10:20] = np.nan

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        del dataset.PixelData
        dataset.RescaleIntercept, dataset.BitsAllocated = 0, 32
        dataset.FloatPixelData = values[index].tobytes()

    write_series(tmp_path, edit=edit)
    assert rejection(tmp_path).code == "not-finite"


def with_bits(
    values: np.ndarray, bits: int, signed: bool, overlay: bool
) -> tuple[Edit, np.ndarray]:
    """An edit that stores ``values`` in ``bits`` bits, overlays above them, and what is read."""
    offset = 0 if signed else 1024
    limit = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    shown = np.clip(values.astype(int), -1024, limit - offset)
    rows = values.shape[1]

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        stored = (shown[index] + offset).astype(np.int64) & (2**bits - 1)
        if overlay:
            stored[: rows // 2] |= 1 << (bits + 1)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleIntercept = -offset
        dataset.PixelData = stored.astype("<u2").tobytes()

    return edit, shown


@pytest.mark.parametrize(
    "syntax", [None, "RLELossless", "JPEGLosslessProcess14_1", "j2k", "JPEGLSLossless"]
)
@pytest.mark.parametrize("bits", [12, 13])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("overlay", [False, True])
def test_bits_above_the_highest_are_cleared_in_every_syntax(
    tmp_path: Path, syntax: str | None, bits: int, signed: bool, overlay: bool
) -> None:
    edit, shown = with_bits(chest(), bits, signed, overlay)
    paths = write_series(tmp_path, edit=edit)
    for path in paths:
        dataset = pydicom.dcmread(path)
        pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(36, 40)
        if syntax == "RLELossless":
            dataset.compress(RLELossless, generate_instance_uid=False)
            dataset.save_as(path)
        elif syntax == "j2k":
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "JPEG2000", irreversible=False, no_jp2=True)
            dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
            dataset.PixelData = encapsulate([stream.getvalue()])
            dataset["PixelData"].VR = "OB"
            save(dataset, path)
        elif syntax is not None:
            if overlay:
                pytest.skip("the encoder writes the stored bits alone")
            compress(path, syntax)
    np.testing.assert_array_equal(read_scan(tmp_path).values, shown)


@pytest.mark.parametrize(
    ("padding", "syntax"),
    sampled(
        product(
            [b"\0\0", bytes(500), b"\xff" * 64, b"  ", b"pad!" * 40],
            ["JPEGLosslessProcess14_1", "JPEG2000Lossless", "JPEGLSLossless"],
        ),
        every=4,
    ),
)
def test_padding_behind_the_end_of_a_compressed_image_is_ignored(
    tmp_path: Path, syntax: str, padding: bytes
) -> None:
    for path in write_series(tmp_path):
        compress(path, syntax)
        dataset = pydicom.dcmread(path)
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame + padding])
        save(dataset, path)
    check_read(tmp_path)


JPEG_SYNTAXES = ["JPEGLosslessProcess14_1", "JPEG2000Lossless", "JPEGLSLossless"]


def without_end(folder: Path, syntax: str, lost: int) -> None:
    """A series whose compressed images lack their end marker and ``lost`` bytes before it."""
    for path in write_series(folder):
        compress(path, syntax)
        dataset = pydicom.dcmread(path)
        frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[: frame.rindex(b"\xff\xd9") - lost]])
        save(dataset, path)


@pytest.mark.parametrize("syntax", JPEG_SYNTAXES)
def test_an_image_that_lacks_its_end_marker_alone_is_read(tmp_path: Path, syntax: str) -> None:
    without_end(tmp_path, syntax, 0)
    check_read(tmp_path)


@pytest.mark.parametrize("syntax", JPEG_SYNTAXES)
@pytest.mark.parametrize("lost", [2, 9, 200])
def test_an_image_that_lacks_more_than_its_end_marker_is_cut_off(
    tmp_path: Path, syntax: str, lost: int
) -> None:
    without_end(tmp_path, syntax, lost)
    with pytest.raises(InputError) as error:
        read_scan(tmp_path)
    assert error.value.code == "dicom-truncated"


@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14_1", "JPEG2000Lossless", "JPEGLSLossless", "RLELossless"]
)
def test_compressed_pixels_under_a_native_syntax_are_read(tmp_path: Path, syntax: str) -> None:
    for path in write_series(tmp_path):
        compress(path, syntax)
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset["PixelData"].is_undefined_length = True
        save(dataset, path)
    check_read(tmp_path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_native_pixels_under_a_compressed_syntax_are_read(tmp_path: Path, syntax: str) -> None:
    for path in write_series(tmp_path):
        restate_syntax(path, syntax)
    check_read(tmp_path)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.9.9.9", "1.3.6.1.4.1.99999.1", "DOE^JANE"])
def test_unknown_syntax_of_native_pixels_is_rejected(tmp_path: Path, syntax: str) -> None:
    """Their byte order is not known: big-endian ones would be read as noise."""
    for path in write_series(tmp_path):
        restate_syntax(path, syntax)
    with pytest.raises(InputError) as caught:
        read_scan(tmp_path)
    assert caught.value.code == "codec-missing"
    assert "Explicit VR Little Endian" in caught.value.hint
    assert syntax not in str(caught.value)


def restate_syntax(path: Path, syntax: str) -> None:
    """State another transfer syntax in a file of Explicit VR Little Endian; pixels stay."""
    data = path.read_bytes()
    native, stated = b"1.2.840.10008.1.2.1\0", str(syntax).encode()
    stated += b"\0" * (len(stated) % 2)
    # The element's length stands before its value, the group's twelve bytes after the magic.
    start = data.index(native) - 2
    data = data[:start] + struct.pack("<H", len(stated)) + stated + data[start + 2 + len(native) :]
    length = struct.unpack("<I", data[140:144])[0] + len(stated) - len(native)
    path.write_bytes(data[:140] + struct.pack("<I", length) + data[144:])


def test_ges_private_syntax_is_read(tmp_path: Path) -> None:
    for path in write_series(tmp_path):
        dataset = pydicom.dcmread(path)
        pixels = np.frombuffer(dataset.PixelData, "<u2").astype(">u2")
        dataset.PixelData = pixels.tobytes()
        meta = dataset.file_meta
        meta.TransferSyntaxUID = "1.2.840.113619.5.2"
        meta.FileMetaInformationVersion, meta.ImplementationClassUID = b"\0\1", "1.2.3"
        stream = DicomBytesIO()
        stream.is_little_endian, stream.is_implicit_VR = True, False
        stream.write(bytes(128) + b"DICM")
        write_file_meta_info(stream, meta)
        stream.is_implicit_VR = True
        write_dataset(stream, pydicom.Dataset(dict(dataset.items())))
        path.write_bytes(stream.getvalue())
    check_read(tmp_path)


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
        place = [-20, -30, round(-100.137 - index * step, decimals)]
        dataset.ImagePositionPatient = place

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
