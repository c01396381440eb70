"""Zip archives: of any input, and those that are refused."""

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lungscore.errors import LungscoreError
from lungscore.scan import read_scan
from tests.scan import nifti_builder
from tests.scan.reading import rejection
from tests.scan.scan_builder import chest, write_series, write_slices

#: Nothing may be left behind in the temporary folder.
pytestmark = pytest.mark.usefixtures("temporary_folder")


# Archives


def zip_of(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return target


def zip_with(target: Path, *names: str, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return target


def test_zip_of_a_series_equals_the_series(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "deep")
    scan = read_scan(zip_of(tmp_path / "in", tmp_path / "case 7.zip"))
    np.testing.assert_array_equal(scan.values, read_scan(tmp_path / "in").values)
    assert scan.name == "case 7"
    assert scan.kind == "dicom"


def test_zip_of_nifti_and_of_slices(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    nifti_builder.save(tmp_path / "a" / "scan.nii.gz", chest())
    assert read_scan(zip_of(tmp_path / "a", tmp_path / "a.zip")).kind == "nifti"
    write_slices(tmp_path / "b")
    assert read_scan(zip_of(tmp_path / "b", tmp_path / "b.zip")).kind == "slices"


def test_zip_with_the_slices_of_two_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    for name in ("first", "second"):
        write_slices(tmp_path / "both" / name)
    assert rejection(zip_of(tmp_path / "both", tmp_path / "both.zip")).code == "several-inputs"


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/etc/evil", "C:\\evil", "C:/evil", "..\\evil", "\\\\host\\evil"],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = zip_with(tmp_path / "a.zip", name)
    assert rejection(path).code == "archive-unsafe"
    assert not list(tmp_path.parent.rglob("evil"))


def test_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", "aaaa")
    path.write_bytes(path.read_bytes().replace(b"aaaa", b"a\0aa"))
    assert rejection(path).code == "archive-unsafe"


def test_link_member_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    assert rejection(tmp_path / "a.zip").code == "archive-unsafe"


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zip_with(tmp_path / "a.zip", "a", "a")
    assert rejection(path).code == "archive-unsafe"


def test_archive_in_an_archive_is_refused(tmp_path: Path) -> None:
    inner = zip_with(tmp_path / "inner.zip", "a").read_bytes()
    assert rejection(zip_with(tmp_path / "a.zip", "x.dcm", content=inner)).code == "archive-unsafe"


def test_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", "zeros", content=bytes(20 * 2**20))
    assert rejection(path).code == "archive-unsafe"


def test_archive_of_too_many_or_too_large_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_with(tmp_path / "a.zip", *[str(n) for n in range(20)])
    monkeypatch.setattr("lungscore.scan.archive.MAX_FILES", 10)
    assert rejection(path).code == "archive-unsafe"
    monkeypatch.setattr("lungscore.scan.archive.MAX_FILES", 100)
    monkeypatch.setattr("lungscore.scan.archive.MAX_UNPACKED_BYTES", 10)
    assert rejection(path).code == "archive-unsafe"


def test_member_with_a_forged_size_is_refused(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", "scan", content=b"abcd" * 1000)
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<I", 4000), struct.pack("<I", 10)))
    assert rejection(path).code in ("archive-unsafe", "archive-damaged")


def test_encrypted_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = zip_with(tmp_path / "a.zip", "scan", content=b"abcd" * 1000)
    content = bytearray(path.read_bytes())
    offset = content.index(b"PK\1\2")
    content[offset + 8] |= 1  # the flag that says: encrypted
    path.write_bytes(bytes(content))
    assert rejection(path).code == "archive-damaged"
    path.write_bytes(bytes(content[:60]))
    assert rejection(path).code == "archive-damaged"


def test_empty_archive(tmp_path: Path) -> None:
    assert rejection(zip_with(tmp_path / "a.zip")).code == "input-empty"


def test_file_and_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    assert rejection(zip_with(tmp_path / "a.zip", "a", "a/b")).code == "archive-unsafe"


def test_full_disk_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lungscore.scan.archive._write_member", full)
    with pytest.raises(LungscoreError) as caught:
        read_scan(zip_with(tmp_path / "a.zip", "a"))
    assert caught.value.code == "disk-full"


@pytest.mark.parametrize("folder", ["DICOM\\PA1\\", "", "a\\b/c\\"])
def test_zip_with_backslashes_is_read(tmp_path: Path, folder: str) -> None:
    paths = write_series(tmp_path / "series")
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in paths:
            archive.writestr(zipfile.ZipInfo(folder + path.name), path.read_bytes())
        archive.writestr(zipfile.ZipInfo("empty\\"), b"")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.zip").values, chest())


@pytest.mark.parametrize("name", ["..\\up.dcm", "a\\..\\..\\up.dcm", "\\\\host\\x", "C:\\x", "\\x"])
def test_zip_with_backslashes_that_lead_out_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    assert rejection(tmp_path / "scan.zip").code == "archive-unsafe"
