"""The cases on the desk: which there are, who has which open, and when they are put away."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lungscore.errors import InputError, ResourceError
from lungscore.review.log import in_use
from lungscore.review.opened_case import OpenedCase, open_case
from lungscore.review.session import Session
from lungscore.review.work_list import ListedCase, ReadingList

#: Sessions that are open at once; each holds a scan.
MOST_SESSIONS = 6
#: Seconds without a request after which a session is closed.
IDLE_S = 30 * 60.0


def new_id() -> str:
    """128 random bits, as hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True)
class DeskSettings:
    """reader: whose the work is; asked for without. blinded: nothing is shown that could sway.
    reading_list: who reads what; without rows everybody everything."""

    reader: str | None = None
    blinded: bool = False
    reading_list: ReadingList = field(default_factory=ReadingList)


@dataclass
class _Open:
    """A session and the case it is of. used: when it was asked last; since: when it was opened."""

    session: Session
    case: str
    since: float = field(default_factory=time.time)
    used: float = field(default_factory=time.monotonic)


class Desk:
    """All cases and sessions, by their ids, for the threads of the server."""

    def __init__(
        self,
        cases: list[ListedCase],
        find: Callable[[dict[str, Any]], Path | None],
        settings: DeskSettings,
    ) -> None:
        self.settings = settings
        self._cases = {new_id(): case for case in cases}
        self._find = find
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()
        # One scan is read at a time: two would need twice the memory at once.
        self._reading = threading.Lock()
        self._review_ids: dict[tuple[str, str], str] = {}

    def cases(self) -> dict[str, ListedCase]:
        """Every case by its id, in the order in which they are reviewed."""
        return self._cases

    def case(self, case_id: str) -> ListedCase:
        """The case of an id. Raises InputError ``review-not-found``."""
        case = self._cases.get(case_id)
        if case is None:
            raise not_found("case")
        return case

    def review_id(self, case_id: str, reader: str) -> str:
        """The id of a reader's saved review."""
        with self._lock:
            return self._review_ids.setdefault((case_id, reader), new_id())

    def reader_of(self, case_id: str, review_id: str) -> str:
        """The reader of a review. Raises InputError ``review-not-found``."""
        with self._lock:
            for (case, reader), known in self._review_ids.items():
                if case == case_id and known == review_id:
                    return reader
        raise not_found("review")

    def open(self, case_id: str, reader: str, *, take_over: bool) -> tuple[str, Session]:
        """A new session of ``reader`` at a case.

        Raises InputError ``review-in-use`` where the reader has the case open and does not take it
        over, ``review-busy`` where too many are open, and what opening a case raises.
        """
        listed = self.case(case_id)
        if listed.error is not None:
            raise listed.error
        with self._reading:
            self.close_idle()
            if (before := self._session_of(case_id, reader)) is not None:
                if not take_over:
                    raise in_use()
                self.close(before)
            if len(self._open) >= MOST_SESSIONS:
                raise InputError(
                    "review-busy",
                    f"{MOST_SESSIONS} cases are open",
                    hint="Close one, or try again later",
                )
            session = Session(self._opened(case_id, listed), reader)
            session_id = new_id()
            with self._lock:
                self._open[session_id] = _Open(session, case_id)
            return session_id, session

    def since(self, case_id: str, reader: str) -> float | None:
        """When ``reader`` opened the case, in seconds since 1970; None where it is not open."""
        with self._lock:
            since = [
                entry.since
                for entry in self._open.values()
                if entry.case == case_id and entry.session.reader == reader
            ]
        return since[0] if since else None

    @contextmanager
    def using(self, session_id: str) -> Iterator[Session]:
        """The session of an id, for this thread alone.

        Raises InputError ``review-ended`` where it is none, or no more.
        """
        with self._lock:
            entry = self._open.get(session_id)
        if entry is None:
            raise _ended()
        with entry.session.lock:
            if entry.session.closed:  # while this thread waited
                raise _ended()
            entry.used = time.monotonic()
            yield entry.session

    def close(self, session_id: str) -> None:
        """Put a case away; its log stays."""
        with self._lock:
            entry = self._open.pop(session_id, None)
        if entry is not None:
            with entry.session.lock:
                entry.session.close()

    def close_idle(self) -> None:
        """Put away what nobody has asked for in a while."""
        limit = time.monotonic() - IDLE_S
        for session_id, entry in list(self._open.items()):
            if entry.used < limit:
                self.close(session_id)

    def close_all(self) -> None:
        """Put everything away."""
        for session_id in list(self._open):
            self.close(session_id)

    def sync(self) -> None:
        """Let every log reach the disk; one that cannot is told at the next step in its case."""
        for entry in list(self._open.values()):
            with entry.session.lock, suppress(ResourceError):
                if not entry.session.closed:
                    entry.session.sync()

    def _session_of(self, case_id: str, reader: str) -> str | None:
        with self._lock:
            for session_id, entry in self._open.items():
                if entry.case == case_id and entry.session.reader == reader:
                    return session_id
        return None

    def _opened(self, case_id: str, listed: ListedCase) -> OpenedCase:
        """The case from disk, or from another session that has it open."""
        with self._lock:
            for entry in self._open.values():
                if entry.case == case_id:
                    return entry.session.case
        return open_case(listed.folder, self._find)


def _ended() -> InputError:
    return InputError(
        "review-ended",
        "This page no longer has the case open",
        hint="Open the case again from the list; nothing is lost",
    )


def not_found(what: str) -> InputError:
    """The error of an id that is nobody's."""
    hint = "Go back to the list of cases: addresses change when the server starts anew"
    return InputError("review-not-found", f"There is no such {what}", hint=hint)
