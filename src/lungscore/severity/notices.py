"""What a reader should know about the numbers: which are missing, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lungscore.errors import Notice
from lungscore.labels import LOBE_NAMES
from lungscore.severity.category import LOBES_COMPLETE, SMALL_LUNG_LITRES, UNTRUSTED, WITHHOLDING
from lungscore.severity.gaps import gaps_between_infected, gaps_message
from lungscore.severity.scores import SCORE_TITLES, Score


@dataclass(frozen=True)
class Obstacles:
    """Why numbers of a kind cannot be computed; None where they can.

    volume: those of the whole lungs. sides: those by side. hu: those that need Hounsfield units.
    size: those in millilitres of a volume.
    """

    volume: str | None
    sides: str | None
    hu: str | None
    size: str | None


class Part(Protocol):
    """What is looked at here of a Burden."""

    @property
    def volume_ml(self) -> float | None:
        """Millilitres."""

    @property
    def infection_percent(self) -> float | None:
        """0–100."""


def notices_of(
    whole: Part,
    lobes: Mapping[str, Part],
    results: Mapping[str, Score],
    *,
    slice_percents: Sequence[float | None],
    withheld: tuple[str, ...],
    obstacles: Obstacles,
    in_lobes_percent: float | None,
    noted: Collection[str],
) -> tuple[Notice, ...]:
    """Unusual lungs, missing lobes, what could not be computed and a category withheld.

    slice_percents: infected percent of the lung of each slice, superior to inferior. noted: codes
    that are noted about the scan already.
    """
    notices = []
    litres = None if whole.volume_ml is None else whole.volume_ml / 1000
    small = litres is not None and litres < SMALL_LUNG_LITRES and "single-slice" not in withheld
    if ("lung-volume" in withheld or small) and "lung-volume" not in noted:
        message = f"The lung volume is {litres:.2f} litres; usual are 1 to 10 litres"
        notices.append(Notice("lung-volume", message))
    if in_lobes_percent is not None and in_lobes_percent < LOBES_COMPLETE:
        message = (
            f"Only {in_lobes_percent:.1f} % of the lungs lie in a lobe: the rest counts towards "
            "the totals of the lungs, but towards no lobe and no region"
        )
        notices.append(Notice("lobes-incomplete", message))
    if gaps := gaps_between_infected(slice_percents):
        notices.append(Notice("infection-gap", gaps_message(gaps, len(slice_percents))))
    empty = [LOBE_NAMES[name] for name, lobe in lobes.items() if lobe.infection_percent is None]
    if empty:
        message = f"No voxels of these lobes were found, so they have no scores: {', '.join(empty)}"
        notices.append(Notice("not-computable", message))
    reasons: dict[str, list[str]] = {}
    for name, score in results.items():
        if score.total is None:
            reasons.setdefault(score.reason or "", []).append(SCORE_TITLES[name])
    if obstacles.volume:
        reasons.setdefault(obstacles.volume, []).extend(
            SCORE_TITLES[name] for name in ("po", "pho", "mosmed")
        )
    elif obstacles.hu:
        reasons.setdefault(obstacles.hu, []).append(SCORE_TITLES["pho"])
    for obstacle, title in (
        (obstacles.hu, "aeration"),
        (obstacles.size, "number and size of lesions"),
        (obstacles.volume or obstacles.sides, "distribution"),
    ):
        if obstacle:
            reasons.setdefault(obstacle, []).append(title)
    if obstacles.size and not (obstacles.volume or obstacles.sides):
        reasons.setdefault(obstacles.size, []).append("peripheral share")
    for reason, titles in reasons.items():
        notices.append(
            Notice("not-computable", f"Not computed, because {reason}: {', '.join(titles)}")
        )
    if withheld:
        sentences = WITHHOLDING | UNTRUSTED
        why = "; ".join(sentences[code] for code in withheld)
        notices.append(Notice("severity-withheld", f"No severity category is given: {why}"))
    return tuple(notices)
