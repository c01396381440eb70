"""The result and masks of a case folder, with the series they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lungscore.errors import InputError
from lungscore.followup.case import RESULT, check_belonging, read_result
from lungscore.pacs.source import Source, read_source
from lungscore.scan.masks import Kind, read_labels

KINDS: tuple[Kind, ...] = ("lungs", "lobes", "lesions", "regions")
_NEEDED = ("lungs", "lesions")


@dataclass(frozen=True)
class Stored:
    """What is written of one case.

    result: the content of result.json. content: its bytes. masks: (D, H, W) uint8 labels on the
    canonical axes of ``source.scan``, by kind; lobes and regions only where they were found.
    """

    folder: Path
    result: Mapping[str, Any]
    content: bytes
    masks: Mapping[str, np.ndarray]
    source: Source


def read_stored_case(folder: Path, source: Path) -> Stored:
    """The case that ``analyze`` or ``score`` wrote into ``folder``, of the series at ``source``.

    Raises InputError ``input-not-found``, ``case-incomplete``, ``case-damaged``,
    ``schema-mismatch``, ``mask-geometry``, or what ``read_source`` raises.
    """
    folder = folder.parent if folder.name == RESULT else folder
    if not folder.is_dir():
        raise InputError("input-not-found", f"No such folder: {folder}")
    result = read_result(folder)
    for kind in _NEEDED:
        if not (folder / f"{kind}.nii.gz").is_file():
            raise InputError(
                "case-incomplete",
                f"{folder.name} has no {kind}.nii.gz",
                hint="Give a folder that lungscore analyze or score wrote",
            )
    series = read_source(source, result)
    masks: dict[str, np.ndarray] = {
        kind: read_labels(path, series.scan, kind)
        for kind in KINDS
        if (path := folder / f"{kind}.nii.gz").is_file()
    }
    check_belonging(folder, result, masks["lungs"], masks["lesions"])
    return Stored(folder, result, (folder / RESULT).read_bytes(), masks, series)
