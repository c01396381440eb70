"""From the numbers of every alternative to a range beside each number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np

from lungscore.labels import LOBE_ORDER
from lungscore.severity.category import Category

if TYPE_CHECKING:
    from lungscore.severity.measure import Severity

#: Lowest and highest; None where the number itself is None.
Span = tuple[float, float] | None

#: From the mildest to the gravest.
CATEGORIES: tuple[Category, ...] = get_args(Category)

#: A category is withheld where the alternatives span so many.
TOO_MANY_CATEGORIES = 3


class Alternatives(Protocol):
    """Lesions that differ from those measured in few voxels, and are as defensible.

    voxels: (N,) places in the flattened (D, H, W) arrays; elsewhere nothing has a lesion.
    """

    @property
    def voxels(self) -> np.ndarray:
        """(N,) integers."""

    def lesions(self) -> Iterable[np.ndarray]:
        """(N,) uint8 labels at ``voxels`` of each alternative; those measured are one of them."""


@dataclass(frozen=True)
class Ranges:
    """The lowest and the highest of every number over all alternatives.

    alternatives: how many there are. burden, lobes: by the names of Burden's fields, and for burden
    "left_percent" and "right_percent". scores: totals by name, "po" and "pho". category, mosmed:
    the mildest and the gravest.
    """

    alternatives: int
    burden: Mapping[str, Span]
    scores: Mapping[str, Span]
    mosmed: tuple[str, str] | None
    category: tuple[Category, Category] | None
    lobes: Mapping[str, Mapping[str, Span]]


def ranges_of(severities: Sequence["Severity"]) -> Ranges:
    """The ranges over one Severity for each alternative, all of the same lungs and lobes."""

    percents = ("infection_percent", "ggo_percent", "consolidation_percent")
    totals = ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones")
    whole = [each.lungs for each in severities]
    classes = sorted(each.mosmed for each in severities if each.mosmed is not None)
    categories = sorted(
        (each.category for each in severities if each.category is not None), key=CATEGORIES.index
    )
    return Ranges(
        alternatives=len(severities),
        burden={
            **{name: _span_of(name, whole) for name in (*percents, "infection_ml")},
            "left_percent": _span_of("infection_percent", [each.left for each in severities]),
            "right_percent": _span_of("infection_percent", [each.right for each in severities]),
        },
        scores={
            **{
                name: _span_of("total", [getattr(each, name) for each in severities])
                for name in totals
            },
            **{name: _span_of(name, severities) for name in ("po", "pho")},
        },
        mosmed=(classes[0], classes[-1]) if classes else None,
        category=(categories[0], categories[-1]) if categories else None,
        lobes={
            lobe: {
                name: _span_of(name, [each.lobes.get(lobe) for each in severities])
                for name in percents
            }
            for lobe in LOBE_ORDER
        },
    )


def _span_of(name: str, parts: Sequence[object]) -> Span:
    """The lowest and the highest of what every part calls ``name``; None where none has it."""
    numbers = [value for part in parts if (value := getattr(part, name, None)) is not None]
    return (min(numbers), max(numbers)) if numbers else None


def too_uncertain(ranges: Ranges) -> bool:
    """Whether the alternatives' categories lie too far apart to name one."""
    if ranges.category is None:
        return False
    mildest, gravest = map(CATEGORIES.index, ranges.category)
    return gravest - mildest + 1 >= TOO_MANY_CATEGORIES
