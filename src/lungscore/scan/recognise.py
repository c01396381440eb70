"""What lies at a path, told by its content and never by its name."""

import os
import re
import stat
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lungscore.errors import InputError
from lungscore.scan.limits import MAX_FILES, MAX_FOLDER_DEPTH

Content = Literal["dicom", "nifti", "nrrd", "metaimage", "image", "zip", "empty", "other"]

#: Bytes that tell every format; a NIfTI header is 352 bytes long.
HEAD_BYTES = 4096

#: Formats of files that hold one volume.
VOLUMES: tuple[Content, ...] = ("nifti", "nrrd", "metaimage")

#: What a case that lungscore wrote always holds.
RESULT_FILES = ("result.json", "lesions.nii.gz")

#: A MetaImage header begins with the kind of its object or, as the format allows, without it.
_METAIMAGE = re.compile(rb"\s*(ObjectType\s*=\s*Image\b|NDims\s*=\s*\d)")

_VALUE_REPRESENTATIONS = {b"UI", b"CS", b"SH", b"LO", b"DA", b"TM", b"UL", b"OB", b"PN"}


@dataclass(frozen=True)
class Inventory:
    """The files of an input.

    content: what they are. files: one volume (of MetaImage the header, and the file of its data
    where they lie beside it), or all DICOM files or all slice images.
    folder: whether they came from a folder. ignored: further files that are none of these.
    unreadable: files that could not be opened. archive: whether they were unpacked from a zip.
    """

    content: Literal["dicom", "nifti", "nrrd", "metaimage", "image"]
    files: tuple[Path, ...]
    folder: bool = False
    ignored: int = 0
    unreadable: int = 0
    archive: bool = False

    def names(self, given: str) -> tuple[str, ...]:
        """What messages call each file of the input that the user calls ``given``.

        Names of files that the user did not type stay here: they may hold the patient's.
        """
        if not self.folder and not self.archive:
            return tuple(file.name for file in self.files)
        if len(self.files) == 1:
            return (given,)
        return tuple(f"file {n} of {len(self.files)}" for n in range(1, len(self.files) + 1))


def content_of(path: Path) -> Content:
    """The content of a regular file by its first bytes. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    return content_of_bytes(head)


def content_of_bytes(head: bytes) -> Content:
    """The content of a file that begins with ``head``."""
    if not head:
        return "empty"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return "image"
    if head.startswith(b"NRRD000"):
        return "nrrd"
    if _METAIMAGE.match(head):
        return "metaimage"
    if _is_nifti(head) or (head.startswith(b"\x1f\x8b") and _is_nifti(_inflate(head))):
        return "nifti"
    if head[128:132] == b"DICM" or _is_bare_dicom(head):
        return "dicom"
    return "other"


def find(path: Path) -> Inventory:
    """The input at ``path``: a file of a supported format, or a folder with one input in it.

    In a folder DICOM goes first, then one volume, then slice images; what is left is counted as
    ignored. Links to folders are not followed; pipes, devices and files that cannot be opened are
    skipped. Raises InputError ``input-not-found``, ``input-unreadable``, ``input-empty``,
    ``format-not-recognised``, ``several-inputs`` or ``too-many-files``.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise InputError("input-not-found", f"No such file or folder: {path}") from None
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name}: {error.strerror}") from None
    if stat.S_ISDIR(status.st_mode):
        return _find_in_folder(path)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            "input-unreadable", f"{path.name} is not a regular file", expected="a file or a folder"
        )
    try:
        content = content_of(path)
    except OSError as error:
        raise InputError("input-unreadable", f"{path.name}: {error.strerror}") from None
    if content == "empty":
        raise InputError("input-empty", f"{path.name} is empty")
    if content in ("other", "zip"):
        raise InputError(
            "format-not-recognised",
            f"The format of {path.name} is not recognised",
            expected="DICOM, NIfTI, NRRD, MetaImage, PNG, JPEG, or a folder or zip of these",
        )
    return Inventory(content, _with_data(path, content))  # type: ignore[arg-type]


def _has_results(files: list[Path]) -> bool:
    """Whether a folder among those of ``files`` is a case that ``analyze`` or ``score`` wrote."""
    first, *rest = ({file.parent for file in files if file.name == name} for name in RESULT_FILES)
    return bool(first.intersection(*rest))


def _find_in_folder(folder: Path) -> Inventory:
    files, unreadable = _ordinary_files(folder)
    by_content: dict[str, list[Path]] = {}
    for file in files:
        try:
            by_content.setdefault(content_of(file), []).append(file)
        except OSError:
            unreadable += 1
    counts = Counter({content: len(members) for content, members in by_content.items()})
    volumes = [(file, format) for format in VOLUMES for file in by_content.get(format, ())]
    if counts["dicom"] and ((volumes or counts["image"]) and not _any_image(by_content["dicom"])):
        counts["dicom"] = 0  # reports and contours beside the scan
    if counts["dicom"]:
        content, chosen = "dicom", by_content["dicom"]
    elif volumes and _has_results(files):
        raise InputError(
            "several-inputs",
            f"{folder.name} is a folder of results that lungscore wrote, not a scan",
            expected="a scan",
            hint="Use lungscore score to score its masks, or lungscore compare to compare it with "
            "another examination",
        )
    elif len(volumes) > 1:
        raise InputError(
            "several-inputs",
            f"{folder.name} contains {len(volumes)} volumes",
            expected="one volume",
            hint="Give one of the files",
        )
    elif volumes:
        file, content = volumes[0]
        chosen = list(_with_data(file, content))
    elif counts["image"]:
        content, chosen = "image", by_content["image"]
    else:
        raise InputError(
            "input-empty",
            f"{folder.name} contains no image among its {len(files)} files",
            expected="DICOM, NIfTI, NRRD, MetaImage, PNG or JPEG",
            hint="Give one of the zip files" if counts["zip"] else "",
        )
    ignored = len(files) - len(chosen)
    return Inventory(content, tuple(chosen), True, ignored, unreadable)  # type: ignore[arg-type]


def _any_image(files: list[Path]) -> bool:
    """Whether one of the DICOM ``files`` may be a slice; one that cannot be read may."""
    from lungscore.scan.dicom.header import NOT_SLICES, read_header

    for file in files:
        try:
            header = read_header(file)
        except (InputError, OSError):
            return True
        if header is not None and header.rows > 0 and header.modality not in NOT_SLICES:
            return True
    return False


def _with_data(file: Path, content: str) -> tuple[Path, ...]:
    """``file``, and the file of its data where they lie beside it."""
    if content != "metaimage":
        return (file,)
    from lungscore.scan.metaimage import find_data

    try:
        data = find_data(file)
    except (InputError, OSError):
        return (file,)  # for its reader to say
    return (file,) if data is None else (file, data)


def _ordinary_files(folder: Path) -> tuple[list[Path], int]:
    """All ordinary files below ``folder`` by name, and how many entries could not be looked at."""
    files: list[Path] = []
    unreadable = 0
    waiting = [(folder, 0)]
    while waiting:
        current, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            if current == folder:
                raise InputError("input-unreadable", f"{folder.name}: {error.strerror}") from None
            unreadable += 1
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if depth < MAX_FOLDER_DEPTH:
                        waiting.append((Path(entry.path), depth + 1))
                    else:
                        unreadable += 1
                elif entry.is_file():
                    files.append(Path(entry.path))
            except OSError:
                unreadable += 1
        if len(files) > MAX_FILES:
            raise InputError(
                "too-many-files",
                f"{folder.name} contains more than {MAX_FILES} files",
                hint="Give the folder of one examination",
            )
    return sorted(files), unreadable


def _is_nifti(head: bytes) -> bool:
    """NIfTI-1 or -2 in one file (header and image together)."""
    return head[344:348] == b"n+1\0" or head[4:12] == b"n+2\0\r\n\x1a\n"


def _inflate(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 512)
    except zlib.error:
        return b""


def _is_bare_dicom(head: bytes) -> bool:
    """DICOM without the 128-byte preamble: it begins with a short element of group 2 or 8."""
    if len(head) < 16 or head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3] > 0x20:
        return False
    if head[4:6] in _VALUE_REPRESENTATIONS:
        return True
    # Implicit: no representation, but a short even length of one of the first elements.
    length = int.from_bytes(head[4:8], "little")
    return int.from_bytes(head[2:4], "little") <= 0x18 and length <= 64 and length % 2 == 0
