"""One reader at one case: what was done, what it gives, and what is kept of it."""

import threading
import zlib
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from lungscore.errors import InputError
from lungscore.result import Analysis, to_result
from lungscore.result.numbers import NUMBERS
from lungscore.review.correction import Correction, Step
from lungscore.review.counting import Counting
from lungscore.review.log import SCHEMA, Log, damaged, log_path
from lungscore.review.masks import Change
from lungscore.review.opened_case import OpenedCase
from lungscore.review.planes import invalid
from lungscore.review.requests import Edit
from lungscore.review.saving import (
    Saved,
    Work,
    put_back,
    review_at,
    same_folder,
    save_review,
    saved_changes,
)

Verdict = Literal["accepted", "corrected", "rejected"]

#: Seconds of work that one message of a browser can tell.
MOST_ACTIVE_S = 60.0


class Session:
    """A reader's work at one case: every step is logged before it is made.

    Not safe for threads by itself: whoever calls holds ``lock``.
    """

    def __init__(self, case: OpenedCase, reader: str) -> None:
        """Open the log and go on where the reader stopped.

        Raises InputError ``review-in-use`` where another process has it open, and ``review-stale``
        where the case was analysed anew since.
        """
        self.case, self.reader = case, reader
        self.lock = threading.RLock()
        self.correction = Correction.begin(case.masks)
        self.saved: dict[str, Any] | None = None
        self.seconds, self.viewed = 0.0, set[int]()
        self.tools: Counter[str] = Counter()
        self._log = Log(log_path(case.folder, reader))
        try:
            self.resumed = bool(self._log.records)
            if not self.resumed:
                self._log.append(self._head())
            self._replay_log()
            self._take_saved()
            masks = self.correction.masks
            self._counting = Counting(masks, case.scan, has_ct=case.has_ct)
        except BaseException:
            self._log.close()
            raise

    @property
    def began(self) -> str:
        """When the reader began, in ISO 8601."""
        return str(self._log.records[0]["at"]) if self._log.records else self._began

    @property
    def closed(self) -> bool:
        """Whether others may have it open now."""
        return self._log.closed

    @property
    def pending(self) -> bool:
        """Whether the numbers wait for somebody to ask, as counting them takes a moment."""
        return self._counting.pending

    def edit(self, edit: Edit) -> Step:
        """Make an edit. Raises InputError as Correction.planned, ResourceError as Log.append."""
        step = self.correction.planned(edit)
        if step.changes:
            self._take(step, {"changes": [change.packed() for change in step.changes]})
        return step

    def undo(self, version: int) -> Step:
        """Take the last step back; raises as ``edit``."""
        step = self.correction.undoing(version)
        self._take(step, {})
        return step

    def redo(self, version: int) -> Step:
        """Do again what was taken back last; raises as ``edit``."""
        step = self.correction.redoing(version)
        self._take(step, {})
        return step

    def alive(self, active: float, viewed: list[int]) -> None:
        """Take note of seconds worked and slices looked at."""
        active = min(max(active, 0.0), MOST_ACTIVE_S)
        new = {z for z in viewed if 0 <= z < len(self.case.masks.lungs)} - self.viewed
        if active > 0 or new:
            self._log.append({"do": "alive", "active": active, "viewed": sorted(new)})
            self.seconds += active
            self.viewed |= new

    def analysis(self) -> Analysis:
        """The analysis of the masks as they are."""
        return self._counting.analysis()

    def numbers(self) -> dict[str, Any]:
        """Every number of the result by its path."""
        return numbers_in(to_result(self.analysis()))

    def save(self, version: int, verdict: Verdict, comment: str) -> Saved:
        """Write the review's folder, then note the verdict.

        Raises InputError ``review-invalid`` for a verdict that does not fit what was done,
        ``review-behind``, and ResourceError where it cannot be written.
        """
        self.correction.check_version(version)
        changed = bool(self.correction.changed_slices())
        if verdict == "accepted" and changed:
            hint = "Save it as corrected, or undo the changes"
            raise invalid("masks that were changed are not accepted as they were", hint=hint)
        if verdict == "corrected" and not changed:
            raise invalid("nothing was changed", hint="Accept the masks as they are")
        at = now()
        work = Work(
            reader=self.reader,
            verdict=verdict,
            comment=comment,
            began=self.began,
            at=at,
            seconds=round(self.seconds, 1),
            viewed=sorted(self.viewed),
            tools=dict(sorted(self.tools.items())),
        )
        saved = save_review(self.case, self.correction, self.analysis(), work)
        self.saved = {"verdict": verdict, "comment": comment, "at": at, "version": version}
        self._log.append({"do": "save", **self.saved})
        self._log.sync()
        return saved

    def sync(self) -> None:
        """Let the log reach the disk."""
        self._log.sync()

    def close(self) -> None:
        """Let others open it."""
        self._log.close()

    def _head(self) -> dict[str, Any]:
        self._began = now()
        case = self.case.folder.name
        head = {"log": SCHEMA, "case": case, "reader": self.reader, "at": self._began}
        return {**head, "masks": self.case.digests}

    def _take(self, step: Step, more: Mapping[str, Any]) -> None:
        self._log.append({"do": step.deed, "tool": step.tool, "at": now(), **more})
        self.correction.take(step)
        self._counting.update(step.changes)
        self.tools[step.tool if step.deed == "edit" else step.deed] += 1

    def _replay_log(self) -> None:
        """Do again what the log says. Raises InputError ``review-damaged`` where it cannot be."""
        try:
            self._replay()
        except (LookupError, TypeError, ValueError, zlib.error):
            path = log_path(self.case.folder, self.reader)
            raise damaged(path, self.correction.version) from None

    def _replay(self) -> None:
        for record in self._log.records:
            if "log" in record:
                self._check_head(record)
            elif record["do"] == "alive":
                self.seconds += record["active"]
                self.viewed |= set(record["viewed"])
            elif record["do"] == "save":
                names = ("verdict", "comment", "at", "version")
                self.saved = {name: record[name] for name in names}
            else:
                self._repeat(record)

    def _take_saved(self) -> None:
        """Note a review that was saved just before the server was killed, and so is not logged."""
        put_back(self.case.folder, self.reader)
        saved = review_at(self.case.folder, self.reader)
        if saved is None or (self.saved is not None and self.saved["at"] == saved["at"]):
            return
        if not self.resumed:  # hidden files, as the log is, are easily left behind in a copy
            self._restore(saved)
        facts = {name: saved[name] for name in ("verdict", "comment", "at")}
        self.saved = {**facts, "version": self.correction.version}
        self._log.append({"do": "save", **self.saved})

    def _restore(self, saved: Mapping[str, Any]) -> None:
        """Take up the masks of a saved review as one edit, which can be undone."""
        if saved.get("masks_sha256") != self.case.digests:
            raise _stale()
        changes = saved_changes(self.case, self.reader)
        if changes:
            step = Step("edit", "restore", changes)
            packed = [change.packed() for change in changes]
            self._log.append({"do": "edit", "tool": step.tool, "at": now(), "changes": packed})
            self.correction.take(step)
            self.tools[step.tool] += 1

    def _check_head(self, head: Mapping[str, Any]) -> None:
        if head.get("log") != SCHEMA or head.get("reader") != self.reader:
            raise same_folder()
        if head.get("masks") != self.case.digests:
            raise _stale()

    def _repeat(self, record: Mapping[str, Any]) -> None:
        correction, voxels = self.correction, self.case.masks.lungs.size
        if record["do"] == "undo":
            step = correction.undoing(correction.version)
        elif record["do"] == "redo":
            step = correction.redoing(correction.version)
        else:
            changes = tuple(Change.unpacked(change, voxels) for change in record["changes"])
            step = Step("edit", record["tool"], changes)
        correction.take(step)
        self.tools[step.tool if step.deed == "edit" else step.deed] += 1


def _stale() -> InputError:
    return InputError(
        "review-stale",
        "The masks of this case are no longer those that the review began with",
        expected="the results as they were",
        hint="Put the earlier results back, or move the folder reviews of the case away",
    )


def numbers_in(content: Any) -> dict[str, Any]:
    """Every number of a Result or of the content of a result.json, by its path."""
    numbers = {}
    for number in NUMBERS.values():
        try:
            numbers[number.path] = number.value(content)
        except (LookupError, TypeError):  # of an earlier version, or without lobes by name
            numbers[number.path] = None
    return numbers


def now() -> str:
    """The time as ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
