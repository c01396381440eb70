"""CASE/reviews/<reader>/: what a reader made of a case, written whole or not at all."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lungscore.errors import InputError
from lungscore.files import atomic_write, lock_folder, unlock
from lungscore.inference.lesions import ModelUsed
from lungscore.report.case_folder import DICOM, OUTPUTS, REVIEWS, appearing
from lungscore.report.outputs import write_files
from lungscore.report.review_file import REVIEW, SCHEMA, review_content, review_folders
from lungscore.report.settings import DEFAULT
from lungscore.result import Analysis, to_result
from lungscore.result.numbers import NUMBERS, value_at
from lungscore.result.stored import IDENTIFIERS, RESULT, printable
from lungscore.result.valid import read_valid
from lungscore.review.correction import Correction
from lungscore.review.masks import Change
from lungscore.review.opened_case import OpenedCase
from lungscore.scan.masks import read_label_volume
from lungscore.scan.names import safe_name
from lungscore.version import __version__

_UNFINISHED = re.compile(r"\.tmp-[0-9a-f]{12}")
_ASIDE = re.compile(r"\.tmp-[0-9a-f]{12}-old")
#: What other commands make of a saved review.
_MADE_OF_IT = (DICOM, "report.pdf", "fhir.json")
_NOT_OWN = (*_MADE_OF_IT, IDENTIFIERS)
#: The paths of what the review itself writes.
_OWN = {REVIEW} | {path for path in OUTPUTS if Path(path).parts[0] not in _NOT_OWN}


@dataclass(frozen=True)
class Work:
    """Who reviewed a case, when, for how long, with which tools, and what came of it."""

    reader: str
    verdict: str
    comment: str
    began: str
    at: str
    seconds: float
    viewed: list[int]
    tools: dict[str, int]


@dataclass(frozen=True)
class Review:
    """A saved review. content: of its review.json. result: of its result.json."""

    folder: Path
    content: dict[str, Any]
    result: dict[str, Any]

    @property
    def reader(self) -> str:
        """Who reviewed."""
        return str(self.content["reader"])

    @property
    def verdict(self) -> str:
        """What came of it."""
        return str(self.content["verdict"])


class Saved(NamedTuple):
    """A review as it was saved. content: of its review.json. aside: the names under which its
    folder keeps what was made of the earlier verdict."""

    content: dict[str, Any]
    aside: tuple[str, ...]


def method_of(reader: str) -> str:
    """How the result of a review says by whom the masks are."""
    return f"reviewed by {reader}"


def save_review(case: OpenedCase, correction: Correction, analysis: Analysis, work: Work) -> Saved:
    """Write the folder of a review, in place of an earlier one.

    analysis: of the corrected masks. The folder holds what the folder of a case holds, as
    ``lungscore score`` writes it, with the networks that the masks began with, and whatever else
    was in the earlier one. Raises ResourceError where it cannot be written.
    """
    folder = case.folder / REVIEWS / safe_name(work.reader)
    started = time.perf_counter()
    models = tuple(ModelUsed(**model) for model in case.result["models"])
    lesions = replace(analysis.lesions, models=models)
    analysis = replace(analysis, lesions=lesions, method=method_of(work.reader))
    content = {
        "schema": SCHEMA,
        "case": case.result["case"],
        **asdict(work),
        "lungscore": __version__,
        "masks_sha256": case.digests,
        "slices": {layer: correction.changed_slices(layer) for layer in correction.masks.layers},
        "voxels": correction.voxels_changed(),
        "numbers": before_and_after(case.result, to_result(analysis)),
    }
    with appearing(folder, overwrite=True) as staging:
        write_files(analysis, staging, DEFAULT, started=started)
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        atomic_write(staging / REVIEW, text)
        aside = _carry_over(folder, staging, work.at)
    return Saved(content, aside)


def _carry_over(earlier: Path, folder: Path, at: str) -> tuple[str, ...]:
    """Copy to ``folder`` what an earlier review's folder holds and the review does not write.

    What was made of the earlier verdict gets a name that says so, as it is not of the new one.
    Returns these names. Copied, not moved: until ``folder`` is in its place, the earlier one
    must be whole.
    """
    _copy_foreign(earlier, folder)
    moment, aside = datetime.fromisoformat(at).strftime("%Y%m%dT%H%M%SZ"), []
    for path in (folder / name for name in _MADE_OF_IT):
        if os.path.lexists(path):
            names = (
                f"{path.stem}-before-{moment}{f'-{number}' if number else ''}{path.suffix}"
                for number in count()
            )
            name = next(name for name in names if not os.path.lexists(folder / name))
            path.rename(folder / name)
            aside.append(name)
    return tuple(aside)


def _copy_foreign(earlier: Path, folder: Path) -> None:
    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # there is no earlier one
            raise error

    for parent, folders, files in os.walk(earlier, onerror=failed):
        within = Path(parent).relative_to(earlier)
        folders[:] = [name for name in folders if not _UNFINISHED.fullmatch(name)]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        (folder / within).mkdir(exist_ok=True)
        for path in (within / name for name in (*files, *links)):
            if path.as_posix() not in _OWN:
                shutil.copy2(earlier / path, folder / path, follow_symlinks=False)


def before_and_after(before: dict[str, Any], after: Any) -> list[dict[str, Any]]:
    """Every number of the original, a result.json, and of the reviewed Result."""
    return [
        {
            "path": number.path,
            "title": number.title,
            "unit": number.unit,
            "before": value_at(before, number.path),
            "after": number.value(after),
        }
        for number in NUMBERS.values()
    ]


def put_back(case: Path, reader: str) -> None:
    """Put back what a killed server had put aside, while it replaced a saved review, and remove
    what it was writing.

    Only for who holds the reader's log: nobody else is saving then.
    """
    reviews = case / REVIEWS
    for unfinished in reviews.glob(".tmp-*"):
        if _UNFINISHED.fullmatch(unfinished.name):
            lock = lock_folder(unfinished, wait=False)
            if lock is not None:  # else another reader's server is writing it
                shutil.rmtree(unfinished, ignore_errors=True)
            unlock(lock)
    folder = reviews / safe_name(reader)
    for aside in sorted(reviews.glob(".tmp-*-old")):
        if not _ASIDE.fullmatch(aside.name) or _reader_of(aside) != reader:
            continue
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(aside, folder)


def _reader_of(folder: Path) -> str | None:
    try:
        return review_content(folder)["reader"]
    except ValueError:
        return None


def review_at(case: Path, reader: str) -> dict[str, Any] | None:
    """The review.json that ``reader`` saved of a case; None where there is none.

    Raises InputError ``review-in-use`` where another reader's review is in that folder.
    """
    try:
        content = review_content(case / REVIEWS / safe_name(reader))
    except ValueError:
        return None
    if content["reader"] != reader:
        raise same_folder()
    return content


def same_folder() -> InputError:
    """The error of two readers whose names are the same as that of a folder."""
    return InputError(
        "review-in-use",
        "Another reader's review has the same name as a folder",
        hint="Use another name",
    )


def saved_changes(case: OpenedCase, reader: str) -> tuple[Change, ...]:
    """What leads from the original masks to those that ``reader`` saved, layer by layer.

    Raises InputError where the saved masks cannot be read, or are not of this case.
    """
    folder = case.folder / REVIEWS / safe_name(reader)
    changes = []
    for layer, before in case.masks.layers.items():
        after, _ = read_label_volume(folder / f"{layer}.nii.gz", layer)
        if after.shape != before.shape:
            raise InputError("review-damaged", f"{layer}.nii.gz of the review has another size")
        voxels = np.flatnonzero(after != before)
        old, new = before.reshape(-1)[voxels], after.reshape(-1)[voxels].astype(np.uint8)
        changes.append(Change.of(layer, voxels, old, new, plane=before[0].size))
    return tuple(change for change in changes if len(change.starts))


def read_review(folder: Path) -> Review:
    """The review in ``folder``. Raises InputError ``review-damaged``, or as ``read_valid``."""
    called = printable(f"{folder.parent.parent.name}/{REVIEWS}/{folder.name}")
    try:
        content = review_content(folder)
    except ValueError:
        raise InputError(
            "review-damaged",
            f"{REVIEW} of {called} cannot be read",
            expected="a folder that lungscore review wrote",
            hint="Save the review again",
        ) from None
    return Review(folder, content, read_valid(folder / RESULT, f"{called}/{RESULT}"))


def saved_reviews(case: Path) -> Iterator[Review]:
    """The reviews of the case in ``case``, in the order of the readers' names.

    One that cannot be read is left out: it can be saved again.
    """
    for folder in review_folders(case):
        with suppress(InputError):
            yield read_review(folder)
