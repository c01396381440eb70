"""Studies that are complete are analysed, a few at once."""

import json
import shutil
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from lungscore.batch import Case, Outcome
from lungscore.errors import LungscoreError, ResourceError, UsageError
from lungscore.files import atomic_write
from lungscore.node.config import NodeConfig
from lungscore.node.journal import Journal, without_uids
from lungscore.node.names import case_of
from lungscore.node.state import Claim, State
from lungscore.report.case_folder import DICOM

RESULT = "result.json"

REASON = "reason.json"
#: What failed, in a dead letter of no destination.
ANALYSIS = "analysis"


class Work:
    """Analyses studies, one at a time for each thread that calls ``one``."""

    def __init__(
        self,
        config: NodeConfig,
        state: State,
        journal: Journal,
        analyze: Callable[[Case], Outcome],
    ) -> None:
        self._config, self._state, self._journal = config, state, journal
        self._analyze = analyze
        #: Studies whose end could not be noted.
        self._left: deque[Claim] = deque()

    def one(self) -> bool:
        """Analyse the study that has waited longest; False where none is due."""
        self._queue_left()
        claim = self._state.claim(time.time())
        if claim is None:
            return False
        self._journal.say("analysing", study=claim.study)
        try:
            self._work(claim)
        except LungscoreError:
            self._left.append(claim)
            raise
        except Exception as error:  # a study that nobody works on must not be said to be running
            self._journal.bug("work", error)
            failure = ResourceError("internal", f"The analysis ended in {type(error).__name__}")
            try:
                self._end(claim, Outcome(self._config.incoming / claim.study, error=failure))
            except Exception:
                self._left.append(claim)
                raise
        return True

    def _queue_left(self) -> None:
        """Queue the studies again whose end could not be noted, since the disk was full, say."""
        while self._left:
            claim = self._left.popleft()
            try:
                self._state.postpone(claim, "internal", time.time())
            except Exception:
                self._left.append(claim)
                raise

    def _work(self, claim: Claim) -> None:
        remove_dead(self._config, claim.study)
        name = case_of(claim.study, claim.revision)
        folder = self._config.results / name
        if claim.attempts and not (folder / RESULT).is_file():
            shutil.rmtree(folder, ignore_errors=True)  # of an attempt that did not come to its end
        start = time.monotonic()
        images = self._config.incoming / claim.study
        outcome = self._incomplete(claim) or self._analyze(Case(name, images))
        taken_s = round(time.monotonic() - start, 1)
        if not self._end(claim, outcome):
            shutil.rmtree(folder, ignore_errors=True)
            self._journal.count("analyses", "void")
            self._journal.say("void", code="study-changed", study=claim.study, seconds=taken_s)
            return
        error = outcome.error
        self._journal.count("analyses", "done" if error is None else error.code)
        self._journal.say(
            "analysed" if error is None else "not-analysed",
            code=None if error is None else error.code,
            study=claim.study,
            seconds=taken_s,
        )

    def _incomplete(self, claim: Claim) -> Outcome | None:
        """The outcome of a study of which images were lost: it is not analysed without them."""
        folder = self._config.incoming / claim.study
        images = self._state.names_of_images(claim.study)
        lost = images - {path.stem for path in folder.glob("*.dcm")}
        if not lost:
            return None
        error = ResourceError(
            "node-damaged",
            f"{len(lost)} of {len(images)} images of the study are no longer on the disk",
            hint="Send the study again, then try it again with lungscore node retry",
        )
        return Outcome(folder, error=error)

    def _end(self, claim: Claim, outcome: Outcome) -> bool:
        """Note how an analysis ended; False where its study got new images meanwhile."""
        now, error = time.time(), outcome.error
        if error is None and outcome.folder is not None:
            objects = sorted(path.name for path in (outcome.folder / DICOM).iterdir())
            destinations = [destination.name for destination in self._config.destinations]
            return self._state.finish(claim, objects, destinations, now)
        if error is None:
            error = ResourceError("internal", "The analysis ended without a result")
        last = claim.attempts + 1 >= self._config.analysis.attempts
        # A worker of a killed node may write the same results in its last breath: they are found
        # the next time.
        if isinstance(error, ResourceError | UsageError) and not last:
            due = now + pause(self._config, claim.attempts)
            return self._state.postpone(claim, error.code, due)
        kept = self._state.fail(claim, error.code, now)
        if kept:
            write_dead(self._config, claim.study, ANALYSIS, error)
        return kept


def pause(config: NodeConfig, attempts: int) -> float:
    """Seconds until the attempt after ``attempts`` failed ones and one more."""
    return min(config.retry.longest_s, config.retry.first_s * 2 ** min(attempts, 30))


def write_dead(config: NodeConfig, study: str, what: str, error: LungscoreError) -> None:
    """Write a dead letter: what failed for good, and why."""
    letter = {
        "study": study,
        "what": what,
        "code": error.code,
        "message": without_uids(error.message),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    text = json.dumps(letter, indent=1, ensure_ascii=False) + "\n"
    atomic_write(config.dead / study / f"{what}-{REASON}", text)


def remove_dead(config: NodeConfig, study: str, what: str | None = None) -> None:
    """Remove the dead letters of a study that is tried again, or the one that has come true."""
    folder = config.dead / study
    if what is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError):
        (folder / f"{what}-{REASON}").unlink()
        folder.rmdir()


def remove_outdated(config: NodeConfig, study: str) -> None:
    """Remove the dead letters of destinations that the settings no longer name."""
    named = {ANALYSIS, *(destination.name for destination in config.destinations)}
    for letter in (config.dead / study).glob(f"*-{REASON}"):
        what = letter.name.removesuffix(f"-{REASON}")
        if what not in named:
            remove_dead(config, study, what)
