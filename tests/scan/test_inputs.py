"""Files, folders and archives: what is recognised, ignored and refused."""

import json
import os
import struct
import tempfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset

from lungscore.errors import InputError, LungscoreError
from lungscore.scan import inspect_input, read_scan
from tests.scan.scan_builder import chest, compress, save, write_series


def rejection(path: Path, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read_scan(path, **options)  # type: ignore[arg-type]
    return caught.value


def messages(path: Path) -> dict[str, str]:
    return {notice.code: notice.message for notice in read_scan(path).notices}


def save_nifti(path: Path) -> Path:
    nib.save(nib.Nifti1Image(chest().T, np.diag([-0.8, -0.7, -2, 1])), path)
    return path


# One path


def test_nothing_there(tmp_path: Path) -> None:
    assert rejection(tmp_path / "no such file").code == "input-not-found"
    assert rejection(Path("a\0b")).code == "input-not-found"


def test_empty_file_and_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.dcm").touch()
    assert rejection(tmp_path / "empty.dcm").code == "input-empty"
    assert rejection(tmp_path).code == "input-empty"


def test_text_and_random_bytes_are_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_text("hello")
    assert rejection(tmp_path / "scan.nii.gz").code == "format-not-recognised"
    (tmp_path / "scan.dcm").write_bytes(np.random.default_rng(0).bytes(5000))
    assert rejection(tmp_path / "scan.dcm").code == "format-not-recognised"


def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert rejection(tmp_path / "pipe").code == "input-unreadable"


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_nifti(tmp_path / "scan.nii")
    _forbid(monkeypatch, path)
    assert rejection(path).code == "input-unreadable"


def test_series_of_a_nifti_file_is_not_found(tmp_path: Path) -> None:
    assert rejection(save_nifti(tmp_path / "a.nii"), series="1.2").code == "series-not-found"


# Folders


def test_other_files_among_slices_are_ignored_and_counted(tmp_path: Path) -> None:
    write_series(tmp_path / "deep" / "er")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 100)
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" * 10)
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4 canary")
    (tmp_path / "empty").touch()
    assert messages(tmp_path)["files-ignored"].startswith("4 ")


def test_loops_pipes_and_forbidden_files_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "a")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "secret").write_bytes(b"x")
    _forbid(monkeypatch, tmp_path / "secret")
    scan = read_scan(tmp_path)
    assert scan.shape[0] == 12
    assert any("could not be opened" in notice.message for notice in scan.notices)


def test_linked_slices_are_read(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "store")
    folder = tmp_path / "links"
    folder.mkdir()
    for path in paths:
        (folder / path.name).symlink_to(path)
    assert read_scan(folder).shape[0] == 12


def test_dicomdir_and_what_it_points_to_are_ignored(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "images")
    directory = pydicom.FileDataset(None, {}, file_meta=FileMetaDataset(), preamble=bytes(128))
    directory.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    record = pydicom.Dataset()
    record.ReferencedFileID = ["..", "..", "etc", "passwd"]
    directory.DirectoryRecordSequence = [record]
    save(directory, tmp_path / "in" / "DICOMDIR")
    scan = read_scan(tmp_path / "in")
    assert scan.shape[0] == 12
    assert rejection(tmp_path / "in" / "DICOMDIR").code == "input-empty"


def test_one_volume_in_a_folder_is_read_and_two_are_not(tmp_path: Path) -> None:
    save_nifti(tmp_path / "one.nii.gz")
    (tmp_path / "notes.txt").write_text("x")
    assert read_scan(tmp_path).kind == "nifti"
    save_nifti(tmp_path / "two.nii.gz")
    assert rejection(tmp_path).code == "several-inputs"


def test_folder_of_very_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lungscore.scan.recognise.MAX_FILES", 5)
    write_series(tmp_path)
    assert rejection(tmp_path).code == "too-many-files"


@pytest.mark.parametrize("name", ["Müller ☃", "a b\nc", "x" * 250, "-rf", "con"])
def test_names_of_every_kind(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    write_series(folder)
    assert read_scan(folder).shape[0] == 12


# Damaged DICOM


def test_last_slice_cut_off_is_named(tmp_path: Path) -> None:
    path = write_series(tmp_path)[-1]
    path.write_bytes(path.read_bytes()[:-100])
    error = rejection(tmp_path)
    assert error.code == "dicom-truncated"
    assert path.name in error.found


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEG2000Lossless", "RLELossless"])
def test_compressed_slice_cut_off_is_named(tmp_path: Path, syntax: str) -> None:
    paths = write_series(tmp_path)
    for path in paths:
        compress(path, syntax)
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[:-300])
    error = rejection(tmp_path)
    assert error.code in ("dicom-truncated", "dicom-unreadable")
    assert paths[2].name in error.found


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
    place = content.index(b"\x10\x00\x10\x00PN")
    return content[:place], content[place:]


def test_nesting_without_end_is_no_crash(tmp_path: Path) -> None:
    path = write_series(tmp_path, chest()[:1])[0]
    head, pixels = _split(path, pydicom.dcmread(path))
    begin = struct.pack("<HH2sHI", 0x0009, 0x1010, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    path.write_bytes(head + (begin + item) * 10_000 + pixels)
    assert rejection(path).code in ("dicom-unreadable", "dicom-truncated")


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


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Nothing may be left behind in the temporary folder."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_zip_of_a_series_equals_the_series(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "deep")
    scan = read_scan(zip_of(tmp_path / "in", tmp_path / "case 7.zip"))
    np.testing.assert_array_equal(scan.values, read_scan(tmp_path / "in").values)
    assert scan.name == "case 7"
    assert scan.kind == "dicom"


def test_zip_of_nifti_and_of_slices(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    save_nifti(tmp_path / "a" / "scan.nii.gz")
    assert read_scan(zip_of(tmp_path / "a", tmp_path / "a.zip")).kind == "nifti"
    write_slices(tmp_path / "b")
    assert read_scan(zip_of(tmp_path / "b", tmp_path / "b.zip")).kind == "slices"


def write_slices(folder: Path) -> None:
    folder.mkdir()
    for index, plane in enumerate(np.clip((chest() + 1350) / 6, 0, 255).astype(np.uint8)):
        Image.fromarray(plane).save(folder / f"{index}.png")


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
    place = content.index(b"PK\1\2")
    content[place + 8] |= 1  # the flag that says: encrypted
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


# inspect


def test_inspect_of_a_series_is_json_and_writes_nothing(tmp_path: Path) -> None:
    write_series(tmp_path / "in", series_uid="1.2.3")
    before = sorted(tmp_path.rglob("*"))
    report = inspect_input(tmp_path / "in")
    text = json.dumps(report)
    assert sorted(tmp_path.rglob("*")) == before
    assert "canary" not in text.lower()
    assert report["kind"] == "dicom"
    assert report["series"][0]["chosen"]
    assert report["geometry"]["spacing_mm"] == pytest.approx([2, 0.7, 0.8])
    assert report["intensities"]["plausible"]
    assert report["rejection"] is None


def test_inspect_of_a_rejected_input_says_why(tmp_path: Path) -> None:
    write_series(tmp_path)[4].unlink()
    report = inspect_input(tmp_path)
    json.dumps(report)
    assert report["rejection"]["code"] == "slice-gap"
    assert report["series"][0]["slices"] == 11
    assert inspect_input(tmp_path / "nothing")["rejection"]["code"] == "input-not-found"


def test_inspect_of_other_kinds(tmp_path: Path) -> None:
    write_slices(tmp_path / "b")
    assert inspect_input(tmp_path / "b")["intensities"]["units"] == "grey"
    assert inspect_input(save_nifti(tmp_path / "a.nii"))["geometry"]["slices"] == 12


def _forbid(monkeypatch: pytest.MonkeyPatch, forbidden: Path) -> None:
    """Like permissions of 000, which do not bind a superuser."""
    from lungscore.scan import recognise

    content_of = recognise.content_of

    def refuse(path: Path):
        if path == forbidden:
            raise PermissionError(13, "Permission denied")
        return content_of(path)

    monkeypatch.setattr(recognise, "content_of", refuse)
