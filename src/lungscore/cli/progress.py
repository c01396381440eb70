"""How far a long run is, on standard error: a bar in a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from lungscore.cli.console import note, printable

if TYPE_CHECKING:
    from lungscore.batch.cohort import Progress

#: Seconds between two plain lines.
EVERY = 10.0


class Show(Protocol):
    """Where progress is shown."""

    def update(self, progress: "Progress") -> None:
        """After each case."""

    def note(self, text: str) -> None:
        """A line that stays."""


@contextmanager
def progress_of(cases: int) -> Iterator[Show]:
    """Progress over ``cases`` cases, as long as the block lasts."""
    if not sys.stderr.isatty():
        yield Lines(cases)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("0 failed", total=cases)
        yield _Rich(
            lambda progress: bar.update(
                task, completed=progress.done, description=f"{len(progress.failures)} failed"
            ),
            lambda text: bar.console.print(printable(text), markup=False, highlight=False),
        )


class _Rich:
    def __init__(self, update: "Callable[[Progress], None]", note: Callable[[str], None]) -> None:
        self.update, self.note = update, note


class Lines:
    """A plain line now and then, and one after the last case."""

    def __init__(self, cases: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._told = clock()
        note(f"{cases} cases")

    def update(self, progress: "Progress") -> None:
        now = self._clock()
        last = progress.done == progress.cases
        if now - self._told < EVERY and not last:
            return
        self._told = now
        text = f"{progress.done} of {progress.cases} done, {len(progress.failures)} failed"
        worked = progress.done - progress.skipped
        if worked and not last:
            left = (progress.cases - progress.done) * (now - self._began) / worked
            text += f", about {_duration(left)} left"
        note(text)

    def note(self, text: str) -> None:
        note(text)


def _duration(seconds: float) -> str:
    """ "50 s", "12 min" or "3 h 05 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
