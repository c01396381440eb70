"""How far a long run is, on standard error: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from lungscore.cli.console import complain, note, printable, verbosity

if TYPE_CHECKING:
    from lungscore.batch.cohort import Progress

#: Seconds between two plain lines.
EVERY = 10.0


class Show(Protocol):
    """Where progress is shown."""

    def update(self, progress: "Progress") -> None:
        """After each case."""

    def complain(self, text: str) -> None:
        """A line about a failed case, which stays."""


@contextmanager
def progress_of(cases: int) -> Iterator[Show]:
    """Progress over ``cases`` cases, as long as the block lasts."""
    if verbosity().quiet or not sys.stderr.isatty():
        yield Lines(cases)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    left = TimeLeft()

    class Left(ProgressColumn):
        """Asked ten times a second, so that the time runs between two cases, too."""

        def render(self, task: Task) -> Text:
            return Text(left.text())

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), Left())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("0 failed", total=cases)

        def update(progress: "Progress") -> None:
            left.learn(progress)
            failed = f"{len(progress.failures)} failed"
            bar.update(task, completed=progress.done, description=failed)

        yield _Rich(
            update, lambda text: bar.console.print(printable(text), markup=False, highlight=False)
        )


class _Rich:
    def __init__(
        self, update: "Callable[[Progress], None]", complain: Callable[[str], None]
    ) -> None:
        self.update, self.complain = update, complain


class Lines:
    """A plain line now and then, and one after the last case."""

    def __init__(self, cases: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._left = clock, TimeLeft(clock)
        self._told = clock()
        note(f"{cases} cases")

    def update(self, progress: "Progress") -> None:
        self._left.learn(progress)
        now = self._clock()
        if now - self._told < EVERY and progress.done < progress.cases:
            return
        self._told = now
        text = f"{progress.done} of {progress.cases} done, {len(progress.failures)} failed"
        left = self._left.text()
        note(f"{text}, {left}" if left else text)

    def complain(self, text: str) -> None:
        complain(text)


class TimeLeft:
    """When a run will end if it goes on as until now.

    Cases that were there already cost nothing and tell nothing, and those that fail at once little:
    what comes before the first that is analysed does not count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began, self._before = clock, clock(), 0
        self._end: float | None = None

    def learn(self, progress: "Progress") -> None:
        """After each case."""
        now, worked = self._clock(), progress.done - progress.skipped
        if not progress.analysed:
            self._began, self._before = now, worked
            return
        left = progress.cases - progress.done
        pace = (now - self._began) / (worked - self._before)
        self._end = now + left * pace if left else None

    def text(self) -> str:
        """As "about 5 min left"; empty where nothing is known, or less than a second left."""
        left = 0.0 if self._end is None else self._end - self._clock()
        return f"about {_duration(left)} left" if left >= 1 else ""


def _duration(seconds: float) -> str:
    """ "50 s", "12 min" or "3 h 05 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
