"""Unpacking an archive: the one place where it happens, behind checks made beforehand."""

import errno
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lungscore.errors import InputError
from lungscore.files import write_error
from lungscore.scan.limits import (
    MAX_FILES,
    MAX_FOLDER_DEPTH,
    MAX_UNPACK_RATIO,
    MAX_UNPACKED_BYTES,
)
from lungscore.scan.recognise import HEAD_BYTES, content_of_bytes
from lungscore.temporary import temporary_folder

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,  # a compression method that Python does not know
    RuntimeError,  # encrypted
    ValueError,
)

_NAME_ERRORS = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The content of the zip file ``path`` in a temporary folder that is gone afterwards.

    Nothing is written before all members have passed: their number, their size and growth, and
    their names. Raises InputError ``archive-unsafe`` or ``archive-damaged`` and ResourceError
    ``disk-full``.
    """
    with temporary_folder() as target:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _checked_members(path, archive)
                for member in members:
                    _write_member(path, archive, member, target)
        except _DAMAGE as error:
            raise _damaged(path, error) from error
        except OSError as error:
            if error.errno in _NAME_ERRORS:
                raise _unsafe(path, "names that no folder can hold", "plain names") from error
            if error.errno not in _WRITE_ERRORS:
                raise _damaged(path, error) from error
            raise write_error(target.parent, error) from error
        yield target


def _checked_members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MAX_FILES:
        raise _unsafe(path, f"{len(members)} members", f"at most {MAX_FILES}")
    total = sum(member.file_size for member in members)
    if total > MAX_UNPACKED_BYTES:
        raise _unsafe(path, f"{total} bytes once unpacked", f"at most {MAX_UNPACKED_BYTES}")
    packed = path.stat().st_size
    if total > 2**20 and total > MAX_UNPACK_RATIO * packed:
        raise _unsafe(path, f"grows {total // packed} times", f"at most {MAX_UNPACK_RATIO}")
    names = set()
    for member in members:
        _check_name(path, member)
        name = _name(member).rstrip("/").casefold()
        if name in names:
            raise _unsafe(path, "two members of one name", "every name once")
        names.add(name)
        grown = member.file_size > MAX_UNPACK_RATIO * max(member.compress_size, 1)
        if member.file_size > 2**20 and grown:
            raise _unsafe(path, "a member grows without measure", f"{MAX_UNPACK_RATIO} times")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _unsafe(path, "a member is a link or a device", "ordinary files")
    return [member for member in members if not _name(member).endswith("/")]


def _name(member: zipfile.ZipInfo) -> str:
    """The name with slashes between folders, whatever the archive has."""
    return member.filename.replace("\\", "/")


def _check_name(path: Path, member: zipfile.ZipInfo) -> None:
    """The name as it stands in the archive must stay below the folder it is unpacked in."""
    name = member.orig_filename.replace("\\", "/")  # some tools on Windows write these
    components = PurePosixPath(name).parts
    escapes = name.startswith("/") or ".." in components or re.match(r"[A-Za-z]:", name) is not None
    if not name or escapes or re.search(r"[\x00-\x1f]", name):
        raise _unsafe(path, "a member's name leads out of the archive", "plain relative names")
    if len(components) > MAX_FOLDER_DEPTH + 1:
        raise _unsafe(path, f"{len(components) - 1} folders in each other", f"{MAX_FOLDER_DEPTH}")


def _write_member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path
) -> None:
    destination = target.joinpath(*PurePosixPath(_name(member)).parts)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, open(destination, "xb") as file:
        block = source.read(HEAD_BYTES)
        if content_of_bytes(block) == "zip":
            raise _unsafe(path, "an archive inside the archive", "one archive")
        written = 0
        while block:
            written += len(block)
            if written > member.file_size:
                raise _unsafe(path, "a member is longer than it says", "true sizes")
            file.write(block)
            block = source.read(2**20)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        "archive-damaged",
        f"{path.name} cannot be unpacked ({type(error).__name__})",
        hint="Make the archive again, without a password",
    )


def _unsafe(path: Path, fault: str, expected: str) -> InputError:
    return InputError(
        "archive-unsafe", f"{path.name}: {fault}", expected=expected, hint="Unpack it yourself"
    )
