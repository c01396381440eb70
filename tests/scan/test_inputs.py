"""Files, folders and archives: what is recognised, ignored and refused."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset

from lungscore.errors import InputError
from lungscore.scan import read_scan
from tests.scan import nifti_builder
from tests.scan.reading import rejection
from tests.scan.scan_builder import chest, save, write_series

#: Nothing may be left behind in the temporary folder.
pytestmark = pytest.mark.usefixtures("temporary_folder")


def messages(path: Path) -> dict[str, str]:
    return {notice.code: notice.message for notice in read_scan(path).notices}


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
    path = nifti_builder.save(tmp_path / "scan.nii", chest())
    _forbid(monkeypatch, path)
    assert rejection(path).code == "input-unreadable"


def test_series_of_a_nifti_file_is_not_found(tmp_path: Path) -> None:
    assert (
        rejection(nifti_builder.save(tmp_path / "a.nii", chest()), series="1.2").code
        == "series-not-found"
    )


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
    nifti_builder.save(tmp_path / "one.nii.gz", chest())
    (tmp_path / "notes.txt").write_text("x")
    assert read_scan(tmp_path).kind == "nifti"
    nifti_builder.save(tmp_path / "two.nii.gz", chest())
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


def _forbid(monkeypatch: pytest.MonkeyPatch, forbidden: Path) -> None:
    """Like permissions of 000, which do not bind a superuser."""
    from lungscore.scan import recognise

    content_of = recognise.content_of

    def refuse(path: Path):
        if path == forbidden:
            raise PermissionError(13, "Permission denied")
        return content_of(path)

    monkeypatch.setattr(recognise, "content_of", refuse)


def test_a_folder_of_results_is_no_scan_and_says_what_to_do_with_it(tmp_path: Path) -> None:
    affine = np.diag((2.0, 2.0, 2.0, 1.0))
    for name in ("lungs", "lesions"):
        nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), affine), tmp_path / f"{name}.nii.gz")
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(InputError, match="a folder of results") as error:
        read_scan(tmp_path)
    assert error.value.code == "several-inputs"
    assert "lungscore score" in error.value.hint
    assert "lungscore compare" in error.value.hint
