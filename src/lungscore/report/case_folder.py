"""What may be in OUT/<case>/, and whether it may be written; asked first, so no library."""

import errno
import os
from collections.abc import Collection
from pathlib import Path

from lungscore.errors import UsageError
from lungscore.files import write_error
from lungscore.scan.names import safe_name

#: All that a case folder may hold. A folder with anything else is never replaced.
OUTPUTS = frozenset(
    {
        "result.json",
        "run.json",
        "report.html",
        "figures",
        "lungs.nii.gz",
        "lobes.nii.gz",
        "regions.nii.gz",
        "lesions.nii.gz",
    }
)
#: Left by file managers, without worth.
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def refuse_existing(
    out_dir: Path, case: str, *, overwrite: bool = False, known: Collection[str] = OUTPUTS
) -> Path:
    """The folder that ``case`` will be written to, if it may be.

    known: the names of all that such a folder may hold.

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
            f"{folder.name} is in the output folder already",
            hint="give --overwrite to replace it, or another folder with -o",
        )
    if folder.is_symlink() or not folder.is_dir():
        raise UsageError(
            "output-exists",
            f"{folder.name} in the output folder is not a folder of results",
            hint="choose another folder with -o",
        )
    foreign = sorted({entry.name for entry in folder.iterdir()} - {*known} - _LITTER)
    if foreign:
        raise UsageError(
            "output-exists",
            f"{folder.name} holds {foreign[0]}, which is none of these results",
            hint="it is not replaced; choose another folder with -o",
        )


def check_writable(folder: Path) -> None:
    """Raise ResourceError where ``folder`` is none, or may not be written, or could not be made."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise write_error(folder, NotADirectoryError(errno.ENOTDIR, "it is no folder"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise write_error(folder, PermissionError(errno.EACCES, "it may not be written to"))
