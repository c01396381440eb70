"""How long runs will take, from those that are finished."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean

from lungscore.benchmark.plan import Run
from lungscore.learning.loop import LOG


def seconds_of(run: Path) -> float | None:
    """Seconds of training that the log of a run adds up to; None without a log."""
    try:
        return sum(row["seconds"] for row in log_of(run)) if (run / LOG).is_file() else None
    except KeyError:
        return None


def log_of(run: Path) -> list[dict[str, float]]:
    """The epochs of a run's log; none where there is no log, or none that can be read."""
    try:
        with (run / LOG).open(encoding="utf-8", newline="") as file:
            return [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError):
        return []


class Estimates:
    """Seconds of runs of the same experiment, else by slices and pixels of any finished run."""

    def __init__(self, finished: Iterable[Run]) -> None:
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._per_pixel: list[float] = []
        for run in finished:
            self.learn(run)

    def learn(self, run: Run) -> None:
        """Take the log of a finished run into account."""
        if seconds := seconds_of(run.folder):
            self._seconds[run.config.name].append(seconds)
            self._per_pixel.append(seconds / _pixels(run))

    def seconds(self, run: Run) -> float | None:
        """What ``run`` will take; None while nothing is known."""
        if run.config.name in self._seconds:
            return mean(self._seconds[run.config.name])
        return mean(self._per_pixel) * _pixels(run) if self._per_pixel else None

    def hours(self, runs: Iterable[Run]) -> float | None:
        """What ``runs`` will take together, one after another; None while nothing is known."""
        durations = [self.seconds(run) for run in runs]
        known = [seconds for seconds in durations if seconds is not None]
        return sum(known) / 3600 if len(known) == len(durations) else None


def _pixels(run: Run) -> int:
    training, size = run.config.training, run.config.input
    return training.epochs * training.slices_per_epoch * size.height * size.width
