"""Limits that hold for every reader alike, and values that no header should hold."""

import gzip
import struct
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from lungscore.errors import InputError
from lungscore.scan.phantom import make_phantom
from lungscore.scan.read import read_scan
from lungscore.scan.write import write_dicom_series

SHAPE = (12, 32, 32)


def rejected(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_scan(path)
    assert caught.value.code != "not-analysable"
    return caught.value


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return make_phantom("mild", shape=SHAPE, spacing_mm=(20.0, 4.5, 4.5)).scan.values


@pytest.fixture
def volume(values: np.ndarray) -> bytes:
    return nib.Nifti1Image(values.transpose(2, 1, 0), np.diag([-4.5, -4.5, 20, 1.0])).to_bytes()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("offset", [2.0**27, 2.0**31, 1e30, float("nan"), -16.0])
def test_voxels_that_begin_gigabytes_on(
    tmp_path: Path, volume: bytes, offset: float, packed: bool
) -> None:
    head = volume[:108] + struct.pack("<f", offset) + volume[112:]
    path = tmp_path / "scan.nii"
    path.write_bytes(gzip.compress(head) if packed else head)
    assert rejected(path).code in ("volume-too-large", "input-unreadable")


def test_a_header_extension_of_gigabytes_is_not_read(tmp_path: Path, volume: bytes) -> None:
    extension = struct.pack("<ii", 2**31 - 16, 6)
    head = volume[:108] + struct.pack("<f", 368.0) + volume[112:348] + b"\1\0\0\0" + extension
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(gzip.compress(head + bytes(8) + volume[352:]))
    assert read_scan(path).shape == SHAPE


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_an_nrrd_that_promises_more_than_it_holds(tmp_path: Path, encoding: str) -> None:
    head = (
        "NRRD0004\ntype: double\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 1024 1024 1000\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
        f"endian: little\nencoding: {encoding}\nspace origin: (0,0,0)\n\n"
    )
    path = tmp_path / "scan.nrrd"
    path.write_bytes(head.encode() + bytes(100))
    assert rejected(path).code == "volume-too-large"


def test_an_nrrd_header_without_end(tmp_path: Path) -> None:
    path = tmp_path / "scan.nrrd"
    path.write_bytes(b"NRRD0004\n" + b"# x\n" * 2**21)
    assert rejected(path).code == "input-unreadable"


@pytest.mark.parametrize("shape", [(8192, 8192, 1), (1, 8192, 8192), (8192, 1, 8192)])
def test_slices_of_too_many_pixels_in_nifti(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_bytes()
    path = tmp_path / "scan.nii"
    path.write_bytes(image[:42] + struct.pack("<3h", *shape) + image[48:] + bytes(2**26))
    assert rejected(path).code == "volume-too-large"


def test_a_png_chunk_that_promises_four_gigabytes(tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "slice.png"
    Image.fromarray((values[6] // 16 + 80).clip(0, 255).astype(np.uint8)).save(path)
    content = path.read_bytes()
    start = content.index(b"IDAT") - 4
    forged = content[:start] + struct.pack(">I", 2**32 - 16) + content[start + 4 :]
    path.write_bytes(forged)
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + 2**30, before[1]))
    try:
        read_scan(path)
    except InputError:
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert zlib.crc32(content) != zlib.crc32(forged)


def write_series(folder: Path, edit: object) -> Path:
    phantom = make_phantom("mild", shape=SHAPE, spacing_mm=(20.0, 4.5, 4.5))
    write_dicom_series(phantom.scan, folder / "series")
    for path in (folder / "series").iterdir():
        dataset = pydicom.dcmread(path)
        edit(dataset)
        dataset.save_as(path)
    return folder / "series"


def element(tag: int, representation: str, value: object) -> object:
    def edit(dataset: pydicom.Dataset) -> None:
        dataset[tag] = pydicom.DataElement(tag, representation, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (element(0x00080008, "US", 7), None),
        (element(0x00080008, "FD", float("inf")), None),
        (element(0x00280010, "FD", float("inf")), "dicom-truncated"),
        (element(0x00280010, "FD", float("nan")), "dicom-truncated"),
        (element(0x00280011, "UT", "1e400"), "dicom-truncated"),
        (element(0x00281052, "FD", 1e39), "not-hounsfield"),
        (element(0x00281052, "FD", -1e300), "not-hounsfield"),
        (element(0x00281053, "FD", 1e38), "not-hounsfield"),
        (element(0x00281053, "FD", float("inf")), "dicom-unreadable"),
        (element(0x00180050, "FD", float("inf")), None),
        (element(0x00280008, "FD", float("inf")), None),
    ],
)
def test_values_that_no_slice_has(tmp_path: Path, edit: object, code: str | None) -> None:
    series = write_series(tmp_path, edit)
    if code is None:
        assert read_scan(series).shape == SHAPE
    else:
        assert rejected(series).code == code


@pytest.mark.parametrize("size", [380, 400, 420, 460])
def test_a_header_cut_off_in_its_class_is_no_other_image(tmp_path: Path, size: int) -> None:
    series = write_series(tmp_path, lambda dataset: None)
    last = max(series.iterdir())
    last.write_bytes(last.read_bytes()[:size])
    assert rejected(series).code == "dicom-truncated"


def test_rows_and_columns_whose_product_is_gigabytes(tmp_path: Path) -> None:
    def edit(dataset: pydicom.Dataset) -> None:
        dataset.Rows = dataset.Columns = 65535

    assert rejected(write_series(tmp_path, edit)).code == "volume-too-large"


def test_a_zip_of_very_deep_folders_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    path = tmp_path / "scan.zip"
    with zipfile.ZipFile(path, "w") as target:
        for levels in (1, 400, 1950):
            target.writestr("d/" * levels + "f", b"x")
    error = rejected(path)
    assert (error.code, list(temporary.iterdir())) == ("archive-unsafe", [])
    assert "400 folders" in error.found
