"""DICOM that is cut off, damaged or made to do harm."""

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lungscore.scan import inspect_input
from tests.scan.reading import rejection
from tests.scan.scan_builder import chest, compress, save, write_series

#: Nothing may be left behind in the temporary folder.
pytestmark = pytest.mark.usefixtures("temporary_folder")


# Damaged DICOM


def test_last_slice_cut_off_is_named(tmp_path: Path) -> None:
    path = write_series(tmp_path)[-1]
    path.write_bytes(path.read_bytes()[:-100])
    error = rejection(tmp_path)
    assert error.code == "dicom-truncated"
    assert "file 12 of 12" in error.found
    assert path.name not in error.message


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEG2000Lossless", "RLELossless"])
def test_compressed_slice_cut_off_is_named(tmp_path: Path, syntax: str) -> None:
    paths = write_series(tmp_path)
    for path in paths:
        compress(path, syntax)
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[:-300])
    error = rejection(tmp_path)
    assert error.code in ("dicom-truncated", "dicom-unreadable")
    assert "file 3 of 12" in error.found
    assert paths[2].name not in error.message


def test_compressed_slice_whose_end_is_zeros_is_rejected(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    for path in paths:
        compress(path, "JPEGLosslessProcess14_1")
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[:-308] + bytes(300) + content[-8:])
    assert rejection(tmp_path).code == "dicom-truncated"


def test_header_cut_off_is_rejected(tmp_path: Path) -> None:
    path = write_series(tmp_path)[0]
    for size in (140, 300, 500, 700, 900):
        path.write_bytes(path.read_bytes()[:size] if size < 200 else write_again(tmp_path, size))
        assert rejection(path).code in ("dicom-truncated", "dicom-unreadable")


def write_again(tmp_path: Path, size: int) -> bytes:
    return write_series(tmp_path / str(size), chest()[:1])[0].read_bytes()[:size]


def test_random_bytes_behind_the_magic_are_rejected(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        path = tmp_path / f"{seed}.dcm"
        path.write_bytes(bytes(128) + b"DICM" + rng.bytes(2000))
        assert rejection(path).code in ("dicom-unreadable", "dicom-truncated", "wrong-modality")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0xFFFFFFF0, 2**31])
@pytest.mark.parametrize("tag", [(0x0009, 0x1010), (0x7FE0, 0x0010)])
def test_length_beyond_the_file_takes_no_memory(tmp_path: Path, tag: tuple, length: int) -> None:
    import tracemalloc

    path = write_series(tmp_path, chest()[:1])[0]
    dataset = pydicom.dcmread(path, stop_before_pixels=tag[0] == 0x7FE0)
    if tag[0] == 0x7FE0:
        save(dataset, path)
        tail = struct.pack("<HH2sHI", *tag, b"OW", 0, length) + bytes(100)
        path.write_bytes(path.read_bytes() + tail)
    else:
        head, pixels = _split(path, dataset)
        tail = struct.pack("<HH2sHI", *tag, b"OB", 0, length)
        path.write_bytes(head + tail + pixels)
    tracemalloc.start()
    code = rejection(path).code
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code in ("dicom-truncated", "dicom-unreadable")
    assert peak < 100e6


def _split(path: Path, dataset: pydicom.Dataset) -> tuple[bytes, bytes]:
    """The file's bytes before and from its first element of group 0x0010 on."""
    content = path.read_bytes()
    offset = content.index(b"\x10\x00\x10\x00PN")
    return content[:offset], content[offset:]


def test_nesting_without_end_is_no_crash(tmp_path: Path) -> None:
    path = write_series(tmp_path, chest()[:1])[0]
    head, pixels = _split(path, pydicom.dcmread(path))
    begin = struct.pack("<HH2sHI", 0x0009, 0x1010, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    path.write_bytes(head + (begin + item) * 10_000 + pixels)
    assert rejection(path).code in ("dicom-unreadable", "dicom-truncated")


@pytest.mark.slow
def test_any_changed_byte_gives_a_scan_or_a_code(tmp_path: Path) -> None:
    path = write_series(tmp_path, chest(1, 16, 16))[0]
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(120):
        damaged = bytearray(content)
        damaged[rng.integers(0, len(content) - 512)] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        report = inspect_input(path)  # anything but a code would be raised
        assert "canary" not in str(report["rejection"]).lower()
