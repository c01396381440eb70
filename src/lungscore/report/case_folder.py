"""OUT/<case>/: what may be in it, whether it may be written, and how it appears.

No library is loaded here: this is asked before anything else.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from lungscore.errors import UsageError
from lungscore.files import staging_folder, write_error
from lungscore.scan.names import safe_name

#: The folder of DICOM objects in a case folder, and all that it may hold.
DICOM = "dicom"
OBJECTS = frozenset(
    {
        *(f"{kind}.dcm" for kind in ("both-lungs", "lungs", "lobes", "lesions", "regions")),
        *("measurements.dcm", "report.dcm", "fhir.json"),
        *(f"picture-{number:02d}.dcm" for number in range(1, 21)),
    }
)
#: All files that a case folder may hold. A folder with anything else is never replaced.
OUTPUTS = frozenset(
    {
        "result.json",
        "run.json",
        "identifiers.json",
        "report.html",
        "report.pdf",
        *(f"figures/{name}.png" for name in ("slices", "coronal", "sagittal")),
        "figures/infection_by_slice.png",
        "lungs.nii.gz",
        "lobes.nii.gz",
        "regions.nii.gz",
        "lesions.nii.gz",
        *(f"{DICOM}/{name}" for name in OBJECTS),
        "fhir.json",
    }
)
#: The folder of what readers made of a case; it is never replaced.
REVIEWS = "reviews"
#: What a killed run leaves of what it was writing.
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{12}(-old)?")
#: Left by file managers, without worth.
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def refuse_existing(
    out_dir: Path, case: str, *, overwrite: bool = False, known: Collection[str] = OUTPUTS
) -> Path:
    """The folder that ``case`` will be written to, if it may be.

    known: the files that such a folder may hold, by their paths in it; ``*`` stands for any text.

    Raises UsageError ``output-exists`` where it is there already and ``overwrite`` is False, or
    where it holds anything that lungscore does not write: that is never deleted. Raises
    ResourceError ``output-not-writable`` where nothing can be made in ``out_dir``.
    """
    folder = Path(out_dir) / safe_name(case)
    refuse_folder(folder, known=known, overwrite=overwrite)
    return folder


def refuse_folder(folder: Path, *, known: Collection[str], overwrite: bool = False) -> None:
    """Raise, as refuse_existing does, where ``folder`` itself may not be written."""
    check_writable(folder.parent)
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise UsageError(
            "output-exists",
            f"{folder.name} already exists in the output folder",
            hint="Replace it with --overwrite, or choose another folder with -o",
        )
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(
            "output-exists",
            f"{folder.name} in the output folder is not a folder of results",
            hint="Choose another folder with -o",
        )
    foreign = _foreign(folder, known)
    if any(name.split("/")[0] == REVIEWS for name in foreign):
        raise UsageError(
            "output-exists",
            f"{folder.name} in the output folder contains reviews, which would be lost",
            hint="Choose another folder with -o, or move the folder reviews away first",
        )
    if foreign:
        raise UsageError(
            "output-exists",
            f"{folder.name} contains {foreign[0]}, which is not one of lungscore's files",
            hint="It will not be replaced. Choose another folder with -o",
        )


def _foreign(folder: Path, known: Collection[str]) -> list[str]:
    """The paths in ``folder``, at any depth, of what lungscore does not write there."""
    foreign = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _TEMPORARY.fullmatch(name)]
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in {*files, *links} - _LITTER:
            path = (Path(parent) / name).relative_to(folder).as_posix()
            if not (_TEMPORARY.fullmatch(name) or any(fnmatchcase(path, file) for file in known)):
                foreign.append(path)
        if not (folders or files or parent == str(folder)):
            path = Path(parent).relative_to(folder).as_posix()
            if not any(file.startswith(f"{path}/") for file in known):
                foreign.append(path)
    return sorted(foreign)


def check_writable(folder: Path) -> None:
    """Raise ResourceError where ``folder`` is none, or may not be written, or could not be made."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise write_error(folder, NotADirectoryError(errno.ENOTDIR, "it is not a folder"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise write_error(folder, PermissionError(errno.EACCES, "it may not be written to"))


@contextmanager
def appearing(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its place when the block ends well.

    Raises UsageError ``output-exists`` where it has appeared meanwhile and ``overwrite`` is False.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with staging_folder(folder.parent) as staging:
            yield staging
            _put(folder, staging, overwrite=overwrite)
    except OSError as error:
        raise write_error(folder, error) from error


def _put(folder: Path, staging: Path, *, overwrite: bool) -> None:
    """Put ``staging`` at ``folder``; what was there goes only when the new is in place."""
    if not (overwrite and folder.exists()):
        with suppress(OSError):
            folder.rmdir()  # one that is empty may be filled, and Windows renames onto none
        try:
            os.rename(staging, folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise UsageError(
                "output-exists",
                f"{folder.name} was created in the output folder by another run",
                hint="Replace it with --overwrite, or choose another folder with -o",
            ) from error
        return
    aside = folder.parent / f".tmp-{secrets.token_hex(6)}-old"
    os.rename(folder, aside)
    try:
        os.rename(staging, folder)
    except OSError:
        os.rename(aside, folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
