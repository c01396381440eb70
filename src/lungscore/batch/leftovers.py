"""What a killed run left in the folder of results, and nothing else."""

import os
import re
import shutil
from pathlib import Path

from lungscore.batch.case import RESERVED
from lungscore.files import lock_folder, unlock
from lungscore.report.case_folder import OUTPUTS

_FOLDER = re.compile(r"\.tmp-[0-9a-f]{12}(-old)?")
_FILE = re.compile(r"\.tmp-[0-9]+-.+")
_OURS = {path.split("/")[0] for path in OUTPUTS}.union(RESERVED)


def clear_leftovers(out: Path) -> None:
    """Remove cases and tables that were being written when a run was killed.

    Only what bears a temporary name of ours, holds nothing that lungscore does not write, and
    belongs to no run that is under way: other runs may write into the same folder.
    """
    try:
        entries = list(os.scandir(out))
    except OSError:
        return  # nothing there; whether it can be written is asked elsewhere
    for entry in entries:
        path = Path(entry.path)
        if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            lock = lock_folder(path, wait=False)
            if lock is not None and _ours(path):
                shutil.rmtree(path, ignore_errors=True)
            unlock(lock)


def _ours(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False  # its own run has done with it meanwhile
    return all(name in _OURS or _FILE.fullmatch(name) for name in names)
