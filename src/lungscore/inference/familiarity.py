"""Whether a scan looks like what its network learned from: a few statistics of every slice.

They are taken of the slice as the network sees it, in its window and its box. The card of a model
may state the range that each had in training (learning/familiarity.py); docs/uncertainty.md says
how well that works.
"""

from collections.abc import Mapping

import numpy as np

from lungscore.anatomy import Lungs
from lungscore.errors import Notice
from lungscore.inference.appearance import STATISTICS, look
from lungscore.inference.bundle import Card, InputSpec
from lungscore.inference.views import views
from lungscore.scan import Scan

#: A scan is unlike the training data where slices with more than this part of its lungs are.
MOST = 0.5


def unlike_notice(scan: Scan, lungs: Lungs, card: Card) -> Notice | None:
    """The notice ``unlike-training``; None where the scan looks familiar or the card says nothing.

    Slices count by the lung that they hold, so that apex and base, which look like no other
    slices, decide little.
    """
    if card.familiar is None:
        return None
    held, strange, why = 0, 0, dict.fromkeys(card.familiar.ranges, 0)
    for index, statistics in looks(scan, lungs, card.input).items():
        lung = int(np.count_nonzero(lungs.labels[index]))
        held += lung
        outside = strange_in(statistics, card.familiar.ranges)
        strange += lung * bool(outside)
        for name in outside:
            why[name] += lung
    if strange <= MOST * held:
        return None
    names = [name for name, lung in why.items() if lung > MOST * strange] or list(why)
    words = "; ".join(STATISTICS[name] for name in names)
    return Notice(
        "unlike-training",
        f"{100 * strange / held:.0f} % of the lungs lie in slices that look unlike the training "
        f"images, in {words}: the result for them cannot be trusted",
    )


def strange_in(
    statistics: Mapping[str, float], ranges: Mapping[str, tuple[float, float]]
) -> list[str]:
    """The names of the statistics that lie outside their range."""
    return [name for name, (low, high) in ranges.items() if not low <= statistics[name] <= high]


def looks(scan: Scan, lungs: Lungs, spec: InputSpec) -> dict[int, dict[str, float]]:
    """Index -> statistics of every slice that is seen, each in its first view."""
    first = {view.index: view for view in reversed(list(views(scan, lungs)))}
    return {index: look(first[index].of(scan, spec)) for index in sorted(first)}
