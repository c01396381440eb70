"""The ranges as result.json has them; docs/uncertainty.md explains them."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lungscore.severity import Category, Ranges
from lungscore.severity.severity import Span

BASIS = (
    "lowest and highest over three readings by the network (as shipped, mirrored, in another box; "
    "of one slice: in all boxes, in the narrowest, in the widest), each at the probabilities 0.2, "
    "0.5 and 0.8; numbers of lobes and regions also over borders moved by each error that the lobe "
    "atlas makes on its own lungs, without a tenth on either side; the lungs are held fixed"
)

#: Lowest and highest; null where the number itself is null.
Percents = tuple[float, float] | None
Totals = tuple[int, int] | None
Class = Literal["CT-0", "CT-1", "CT-2", "CT-3", "CT-4"]

Rounding = Callable[[float | None], float | None]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BurdenRanges(_Model):
    """Ranges of ``burden``."""

    infection_percent: Percents
    ggo_percent: Percents
    consolidation_percent: Percents
    infection_ml: Percents
    left_percent: Percents
    right_percent: Percents


class ScoreRanges(_Model):
    """Ranges of the totals of ``scores``."""

    ct_ss: Totals
    tss: Totals
    ctsi: Totals
    po: Percents
    pho: Percents
    lss: Totals
    lhos: Totals
    mosmed: tuple[Class, Class] | None
    zones: Totals


class SeverityRange(_Model):
    """Range of ``severity``."""

    category: tuple[Category, Category] | None = Field(description="the mildest and the gravest")


class LobeRanges(_Model):
    """Ranges of one lobe."""

    infection_percent: Percents
    ggo_percent: Percents
    consolidation_percent: Percents


class LobesRanges(_Model):
    """Ranges of ``lobes``."""

    RUL: LobeRanges
    RML: LobeRanges
    RLL: LobeRanges
    LUL: LobeRanges
    LLL: LobeRanges


class BorderDependent(_Model):
    """What a border moved within its confidence would score otherwise."""

    regions: list[str]
    lobes: list[str]


class RangesPart(_Model):
    """What the numbers are under alternatives that are as defensible."""

    alternatives: int
    moves: int = Field(default=0, description="of the borders of lobes; 0 where they are fixed")
    basis: str
    burden: BurdenRanges
    scores: ScoreRanges
    severity: SeverityRange
    lobes: LobesRanges
    regions: dict[str, Percents] = Field(description="infected percent of the 20 regions")
    zones: dict[str, Percents] = Field(description="infected percent of the six zones")
    border_dependent: BorderDependent | None = Field(
        default=None, description="null where borders are fixed"
    )


def ranges_part(ranges: Ranges | None, *, percent: Rounding, ml: Rounding) -> dict[str, Any] | None:
    """What result.json says of ``ranges``; percent, ml: how it rounds its numbers."""
    if ranges is None:
        return None

    def rounded(spans: Mapping[str, Span]) -> dict[str, Any]:
        return {
            name: span and tuple(map(ml if name.endswith("_ml") else percent, span))
            for name, span in spans.items()
        }

    categories = ranges.categories
    return {
        "alternatives": ranges.alternatives,
        "moves": ranges.moves,
        "basis": BASIS,
        "burden": rounded(ranges.burden),
        "scores": {**rounded(ranges.scores), "mosmed": ranges.mosmed},
        "severity": {"category": (categories[0], categories[-1]) if categories else None},
        "lobes": {name: rounded(spans) for name, spans in ranges.lobes.items()},
        "regions": rounded(ranges.regions),
        "zones": rounded(ranges.zones),
        "border_dependent": {
            "regions": list(ranges.border_regions),
            "lobes": list(ranges.border_lobes),
        }
        if ranges.moves
        else None,
    }
