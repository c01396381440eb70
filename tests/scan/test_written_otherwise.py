"""DICOM pixels that are written otherwise than usual: read where they can mean one thing only."""

import io
import struct
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lungscore.errors import InputError
from lungscore.scan import read_scan
from tests.sampling import sampled
from tests.scan.reading import check_read, codes, rejection
from tests.scan.scan_builder import chest, compress, save, write_series

Edit = Callable[[int, pydicom.Dataset], None]


# Pixels


@pytest.mark.parametrize(
    ("padding", "value"),
    sampled(product([1, 2, 300, 4096, 100_000], [b"\0", b" ", b"\xff"]), every=4),
)
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
    ("syntax", "bits", "signed", "overlay"),
    sampled(
        product(
            [None, "RLELossless", "JPEGLosslessProcess14_1", "j2k", "JPEGLSLossless"],
            [12, 13],
            [False, True],
            [False, True],
        ),
        every=5,
    ),
)
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


@pytest.mark.parametrize("padding", [-3024, -32768])
@pytest.mark.parametrize("compressed", [False, True])
def test_signed_numbers_that_need_a_bit_more_than_is_stated_are_read_as_they_are(
    tmp_path: Path, padding: int, compressed: bool
) -> None:
    """Padding below and bone above 12 bits, the sign repeated in all bits above: no overlay."""
    values = chest().astype("<i2")
    values[:, 0], values[:, -1, 3] = padding, 2500

    def edit(index: int, dataset: pydicom.Dataset) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
        dataset.PixelData, dataset.BitsStored, dataset.HighBit = values[index].tobytes(), 16, 15
        dataset.add_new("PixelPaddingValue", "SS", padding)
        if compressed:
            dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        dataset.BitsStored, dataset.HighBit = 12, 11

    write_series(tmp_path, edit=edit)
    read = read_scan(tmp_path).values
    np.testing.assert_array_equal(read[:, 1:], values[:, 1:])
    assert (read[:, 0] <= -1000).all()


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


@pytest.mark.parametrize(("syntax", "lost"), sampled(product(JPEG_SYNTAXES, [2, 9, 200]), every=4))
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
