"""Slices that show no infection between two that do."""

from collections.abc import Sequence

from lungscore.severity.edges import FLOOR_PERCENT

#: A slice is clearly infected from this percent of its lung on.
CLEARLY_PERCENT = 5.0


def gaps_between_infected(percents: Sequence[float | None]) -> tuple[int, ...]:
    """The slices whose two neighbours are clearly infected and that hold next to nothing.

    percents: infected percent of the lung of each slice, in order; None where a slice has none.
    Next to nothing is less than FLOOR_PERCENT, which counts as none everywhere.
    """
    return tuple(
        index
        for index, (above, percent, below) in enumerate(
            zip(percents, percents[1:], percents[2:], strict=False), start=1
        )
        if percent is not None
        and percent < FLOOR_PERCENT
        and min(above or 0.0, below or 0.0) >= CLEARLY_PERCENT
    )


def gaps_message(slices: Sequence[int], depth: int) -> str:
    """What a reader should know about ``slices`` of a scan that has ``depth`` of them."""
    numbers = ", ".join(str(index + 1) for index in slices)
    subject = "Slice {} of {} shows" if len(slices) == 1 else "Slices {} of {} show"
    return (
        f"{subject.format(numbers, depth)} next to no opacity, but the slices above and "
        f"below do ({CLEARLY_PERCENT:.0f} % of their lung or more): compare them with the scan"
    )
