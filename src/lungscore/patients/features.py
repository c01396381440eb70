"""The numbers of a result that describe a patient: pure functions on the content of result.json."""

from collections.abc import Mapping
from typing import Any, Literal

from lungscore.result.numbers import NUMBERS
from lungscore.severity.category import UNSUITABLE
from lungscore.severity.edges import FLOOR_PERCENT

#: What is done to a number before it is standardised. log1p: log(1 + x), because the percents of
#: patients are skewed and a step from 1 to 2 % says more than one from 41 to 42 %.
Transform = Literal["log1p", "none"]

#: name -> its transform. docs/patients.md says what each is.
FEATURES: dict[str, Transform] = {
    "infection_percent": "log1p",
    "ggo_percent": "log1p",
    "consolidation_percent": "log1p",
    "ct_ss": "none",
    "lobes_infected": "none",
    "bilateral": "none",
    "peak_slice_percent": "log1p",
    "infected_slices_percent": "log1p",
}


#: The features that are numbers of the result: name -> its name there (result.numbers).
_OF_RESULT = {name: name for name in FEATURES if name in NUMBERS} | {
    "lobes_infected": "lobes_affected"
}


def features(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Every one of FEATURES; None where the result has no number for it.

    result: the content of a result.json. Percents 0–100, ct_ss 0–40, lobes_infected 0–5, bilateral
    0 or 1. Raises KeyError or TypeError for what is not a result.
    """
    numbers = {name: NUMBERS[number].value(result) for name, number in _OF_RESULT.items()}
    if slices := slice_percents(result):
        infected = sum(percent >= FLOOR_PERCENT for percent in slices)
        numbers["peak_slice_percent"] = max(slices)
        numbers["infected_slices_percent"] = 100 * infected / len(slices)
    return {name: _number(numbers.get(name)) for name in FEATURES}


def slice_percents(result: Mapping[str, Any]) -> tuple[float, ...]:
    """Infected percent of each slice that has lung, superior to inferior."""
    percents = (entry["infection_percent"] for entry in result["slices"])
    return tuple(float(percent) for percent in percents if percent is not None)


def unsuitable(result: Mapping[str, Any]) -> bool:
    """Whether the scan cannot say whether its patient is infected (severity.category.UNSUITABLE).

    A category that is withheld because the network is unsure makes no scan unsuitable.
    """
    return bool(UNSUITABLE & set(result["severity"]["withheld"]))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
