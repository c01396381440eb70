"""The score edges: one table that says which percent gives which score.

A part of the lungs (region, lobe, zone, or all of it) of which ``percent`` is infected gets the
number of edges it has reached. Papers write "0 %" for score 0; an automatic mask has a
measurement floor, so below 1 % counts as 0 in every score. Nothing else is floored.
"""

from dataclasses import dataclass

#: Percent below which a part counts as not infected: the floor of an automatic mask. In Chaganti
#: et al. 2020, 98 of 100 healthy controls measured below it.
FLOOR_PERCENT = 1.0

#: A part between these, the lower included, is near the floor: a little more or less of what the
#: network takes for infection changes its score.
NEAR_FLOOR_PERCENT = (0.5, 2.0)


def near_floor(percent: float | None) -> bool:
    """Whether a part with ``percent`` (0–100) infected is near the floor; None is not."""
    low, high = NEAR_FLOOR_PERCENT
    return percent is not None and low <= percent < high


@dataclass(frozen=True)
class Edge:
    """An edge in percent; ``inclusive``: a percent exactly on the edge has reached it."""

    percent: float
    inclusive: bool

    def reached_by(self, percent: float) -> bool:
        """Whether ``percent`` lies beyond this edge."""
        return percent >= self.percent if self.inclusive else percent > self.percent


def at(percent: float) -> Edge:
    """The edge reached at ``percent``: the next bin is closed on the left."""
    return Edge(percent, inclusive=True)


def above(percent: float) -> Edge:
    """The edge reached above ``percent``: ``percent`` itself belongs to the lower bin."""
    return Edge(percent, inclusive=False)


#: Quarters: 0 below 1 | 1 [1, 25] | 2 (25, 50] | 3 (50, 75] | 4 (75, 100]. Chung et al. 2020 give
#: 1–25, 26–50, 51–75, 76–100 for whole percents; for real numbers the upper edge is included.
QUARTERS = (at(FLOOR_PERCENT), above(25), above(50), above(75))

#: score -> its edges, ascending.
EDGES: dict[str, tuple[Edge, ...]] = {
    "ct_ss": (at(FLOOR_PERCENT), at(50)),
    "tss": QUARTERS,
    "lss": QUARTERS,
    "lhos": QUARTERS,
    "ctsi": (at(FLOOR_PERCENT), at(5), above(25), at(50), above(75)),
    "mosmed": QUARTERS,
    "zones": QUARTERS,
}


def score_part(percent: float, score: str) -> int:
    """The score (0 upwards) of one part of which ``percent`` (0–100) is infected.

    Raises KeyError for an unknown score and ValueError for a percent outside 0–100 or NaN.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"a percent lies in 0–100, not {percent}")
    return sum(edge.reached_by(percent) for edge in EDGES[score])


def highest_score(score: str) -> int:
    """The highest score that one part can get."""
    return len(EDGES[score])
