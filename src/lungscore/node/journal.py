"""What a node tells while it runs: lines of a log, and counts for its metrics.

Studies are called by their keyed hashes, failures by their codes. Text of a data set, of a sender
or of an exception gets into neither.
"""

import json
import logging
import re
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from lungscore.errors import LungscoreError, escaped

#: UIDs in a message, the one thing of a patient that messages may hold, are left out.
_UID = re.compile(r"\b\d+(?:\.\d+){4,}\b|\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")


def without_uids(text: str) -> str:
    """``text`` with every UID replaced."""
    return _UID.sub("(UID)", text)


def quieten() -> None:
    """Keep libraries from telling values of data sets, for the rest of this process.

    ``quiet_pydicom`` does so for a while, which threads would undo for each other.
    """
    from pydicom import config

    warnings.simplefilter("ignore")
    config.settings.reading_validation_mode = config.IGNORE
    for name in ("pydicom", "pynetdicom", "dicomweb_client", "urllib3"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [logging.NullHandler()], False


class Journal:
    """The log and the counts of one node, for all its threads. tell: takes a line of the log."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def say(self, event: str, **facts: object) -> None:
        """Log one line of JSON: time, event, facts; None is left out."""
        known = {name: _fact(value) for name, value in facts.items() if value is not None}
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = json.dumps({"time": moment, "event": event, **known}, ensure_ascii=False)
        with suppress(OSError, ValueError):  # who reads the log is gone, or its disk is full
            self._tell(line)

    def count(self, kind: str, outcome: str, number: int = 1) -> None:
        """Count what happened."""
        with self._lock:
            self._counts[kind, outcome] += number

    def refuse(self, error: LungscoreError, *, study: str | None = None) -> None:
        """Log and count an image that was not taken."""
        self.count("images", error.code)
        self.say("refused", code=error.code, study=study)

    def bug(self, where: str, error: Exception) -> None:
        """Log an unforeseen failure: its kind and place, and nothing of what it says."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else None
        self.count("failures", where)
        self.say("internal", code="internal", where=where, kind=type(error).__name__, at=place)

    def own_threads(self) -> None:
        """Take over what threads of libraries say when they fail, for the rest of this process.

        pynetdicom's do so on messages that are none, and Python would print what they say.
        """

        def failed(failure: threading.ExceptHookArgs) -> None:
            if isinstance(failure.exc_value, Exception):
                self.bug("thread", failure.exc_value)

        threading.excepthook = failed

    def counts(self) -> dict[tuple[str, str], int]:
        """(kind, outcome) -> how often."""
        with self._lock:
            return dict(self._counts)


def _fact(value: object) -> object:
    return without_uids(escaped(value)) if isinstance(value, str) else value
