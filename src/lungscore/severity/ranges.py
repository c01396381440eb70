"""From the numbers of every alternative to a range beside each number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from lungscore.labels import LOBE_ORDER
from lungscore.severity.category import CATEGORIES, Category, categorise
from lungscore.severity.scores import Score
from lungscore.severity.severity import Burden, Ranges, Severity, Span


class Alternatives(Protocol):
    """Lesions that differ from those measured in few voxels, and are as defensible.

    voxels: (N,) places in the flattened (D, H, W) arrays; elsewhere nothing has a lesion.
    """

    @property
    def voxels(self) -> np.ndarray:
        """(N,) integers."""

    def lesions(self) -> Iterable[np.ndarray]:
        """(N,) uint8 labels at ``voxels`` of each alternative; those measured are one of them."""


def ranges_of(severities: Sequence[Severity]) -> Ranges:
    """The ranges over one Severity for each alternative, all of the same lungs and lobes.

    Totals and categories are taken twice of each: as they are, and with a score of 0 in every part
    near the floor (edges.near_floor).
    """
    percents = ("infection_percent", "ggo_percent", "consolidation_percent")
    whole = [severity.lungs for severity in severities]
    classes = sorted(severity.mosmed for severity in severities if severity.mosmed is not None)
    totals = ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones")
    reached = {severity.category for severity in severities}
    reached |= {_category_cleared(severity) for severity in severities}
    return Ranges(
        alternatives=len(severities),
        burden={
            **{name: _span_of(name, whole) for name in (*percents, "infection_ml")},
            "left_percent": _span_of(
                "infection_percent", [severity.left for severity in severities]
            ),
            "right_percent": _span_of(
                "infection_percent", [severity.right for severity in severities]
            ),
        },
        scores={
            **{
                name: _span_of_totals([getattr(severity, name) for severity in severities])
                for name in totals
            },
            **{name: _span_of(name, severities) for name in ("po", "pho")},
        },
        mosmed=(classes[0], classes[-1]) if classes else None,
        categories=tuple(category for category in CATEGORIES if category in reached),
        lobes={
            lobe: {
                name: _span_of(name, [severity.lobes.get(lobe) for severity in severities])
                for name in percents
            }
            for lobe in LOBE_ORDER
        },
        regions=_spans_of_parts([severity.ct_ss for severity in severities]),
        zones=_spans_of_parts([severity.zones for severity in severities]),
    )


def _category_cleared(severity: Severity) -> Category | None:
    """The category if nothing were infected in the regions near the floor; the extent stays."""
    percent, ct_ss = severity.lungs.infection_percent, severity.ct_ss
    if severity.category is None or percent is None or ct_ss.total_cleared is None:
        return None
    return categorise(percent, replace(ct_ss, total=ct_ss.total_cleared))[0]


def _span_of_totals(scores: Sequence[Score]) -> Span:
    """The lowest and the highest total, as they are and without the parts near the floor."""
    totals = [total for score in scores for total in (score.total, score.total_cleared)]
    known = [total for total in totals if total is not None]
    return (min(known), max(known)) if known else None


def with_unsure_lung(
    ranges: Ranges, whole: Burden, doubtful_ml: float, perhaps_ml: float
) -> Ranges:
    """``ranges`` of both lungs, widened by dense tissue that may be lung or not.

    doubtful_ml: dense lung that may be none, infected or not; perhaps_ml: dense tissue that may be
    lung, infected or not. What is infected of either is dense: infection, consolidation and high
    opacity of the whole lungs change, nothing else.
    """
    lungs_ml, spans = whole.volume_ml, ranges.burden
    ml = spans.get("infection_ml")
    if ml is None or not lungs_ml or not (doubtful_ml or perhaps_ml):
        return ranges

    def widened(percents: Mapping[str, Span], names: tuple[str, ...]) -> dict[str, Span]:
        wider = {
            name: _with_unsure(span, lungs_ml, doubtful_ml, perhaps_ml)
            for name in names
            if (span := percents.get(name)) is not None
        }
        return {**percents, **wider}

    burden = widened(spans, ("infection_percent", "consolidation_percent"))
    burden["infection_ml"] = (max(ml[0] - doubtful_ml, 0.0), ml[1] + perhaps_ml)
    return replace(ranges, burden=burden, scores=widened(ranges.scores, ("po", "pho")))


def _with_unsure(
    span: tuple[float, float], lungs_ml: float, doubtful_ml: float, perhaps_ml: float
) -> tuple[float, float]:
    """Percents of lungs that may be smaller by the one and larger by the other."""
    lowest, highest = (lungs_ml * percent / 100 for percent in span)
    low = 100 * lowest / (lungs_ml + perhaps_ml)
    if lungs_ml > doubtful_ml:
        low = min(low, 100 * max(lowest - doubtful_ml, 0.0) / (lungs_ml - doubtful_ml))
    return low, max(span[1], 100 * (highest + perhaps_ml) / (lungs_ml + perhaps_ml))


def _spans_of_parts(scores: Sequence[Score]) -> dict[str, Span]:
    """The lowest and the highest percent of each part of a score."""
    return {
        name: _span_of("percent", [score.parts[name] for score in scores])
        for name in scores[0].parts
    }


def _span_of(name: str, parts: Sequence[object]) -> Span:
    """The lowest and the highest of what every part calls ``name``; None where none has it."""
    numbers = [value for part in parts if (value := getattr(part, name, None)) is not None]
    return (min(numbers), max(numbers)) if numbers else None


def too_uncertain(ranges: Ranges) -> bool:
    """Whether the alternatives' categories are too many, or too far apart, to name one.

    Two that share an edge may both stand: mild and severe do too, at the cut-off of CT-SS.
    """
    several = len(ranges.categories) >= 3
    apart = "none" in ranges.categories and {"moderate", "severe"} & set(ranges.categories)
    return several or bool(apart)
