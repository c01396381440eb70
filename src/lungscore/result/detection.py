"""Whether a scan shows an infection pattern: the part ``detection`` of result.json."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from lungscore.result.base import PROBABILITY_DECIMALS, Model, rounded
from lungscore.severity.edges import FLOOR_PERCENT


@dataclass(frozen=True)
class Detected:
    """What a detector of the user's said of a scan.

    sha256: of its file. patients: how many it learned from. probability: of an infection pattern,
    0–1; None where the scan is unsuitable or lacks a number that the detector takes.
    """

    name: str
    sha256: str
    patients: int
    probability: float | None


class DetectorPart(Model):
    """A detector that was given."""

    name: str
    sha256: str
    patients: int


class Detection(Model):
    """Whether the lungs are infected at all."""

    infected: bool | None
    probability: float | None = Field(description="of an infection pattern; by a given detector")
    infected_slices: int | None = Field(
        description="slices with 1 % or more of their lung infected"
    )
    peak_slice: int | None = Field(description="index of the most infected slice; null without any")
    detector: DetectorPart | None


def detection_part(
    infected: bool | None, percents: Sequence[float | None], detected: Detected | None
) -> dict[str, Any]:
    """percents: infected percent of each slice, superior to inferior, None where it has no lung."""
    known = [(percent, -index) for index, percent in enumerate(percents) if percent is not None]
    highest, peak = max(known, default=(0.0, 0))
    return {
        "infected": infected,
        "probability": rounded(detected.probability, PROBABILITY_DECIMALS) if detected else None,
        "infected_slices": sum(p >= FLOOR_PERCENT for p, _ in known) if known else None,
        "peak_slice": -peak if highest > 0 else None,
        "detector": {
            "name": detected.name,
            "sha256": detected.sha256,
            "patients": detected.patients,
        }
        if detected
        else None,
    }
