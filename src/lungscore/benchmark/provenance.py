"""Are the weights that rows build on those that were measured?"""

from collections.abc import Iterable, Mapping
from typing import Any

from lungscore.benchmark.plan import Run, before
from lungscore.benchmark.results import Result, measured_weights
from lungscore.errors import InputError
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.loop import WEIGHTS
from lungscore.learning.provenance import built_on, sums_of


def check_weights(runs: Iterable[Run], stored: Mapping[str, Result]) -> None:
    """Raise weights-differ unless ``runs`` were trained from weights that were measured.

    Of every run, and of those that it builds on, the header names the weights that it was trained
    from: they must still be there, and be those of the stored results (row -> result).
    """
    for run in {step.name: step for last in runs for step in (*before(last), last)}.values():
        said = facts_of(run).get("built_on", {})
        for name, now in sums_of(built_on(run.config, run.file)).items():
            if name not in said:
                raise _differ(f"{run.name} does not say from which weights of {name} it started")
            if said[name] != now:
                raise _differ(f"{run.name} was trained from other weights of {name} than there are")
            measured = measured_weights(stored, name)
            if measured is not None and measured != now:
                raise _differ(
                    f"{run.name} was trained from weights of {name} that are not those whose "
                    "result is stored"
                )


def facts_of(run: Run) -> dict[str, Any]:
    """What the header of a run's weights says."""
    return read_facts(run.folder / WEIGHTS)


def _differ(message: str) -> InputError:
    return InputError(
        "weights-differ",
        message,
        expected="the weights that were measured",
        hint="Delete that run's folder and run the row again; measure what it builds on first",
    )
