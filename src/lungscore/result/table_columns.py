"""Columns of a table of cases beyond the measures: ranges, and the 20 regions."""

from typing import Any

from lungscore.labels import REGIONS
from lungscore.result.numbers import MEASURES, Number, region_percent, region_score
from lungscore.result.ranges import RangesPart


def has_range(number: Number) -> bool:
    """Whether ``ranges`` has the lowest and the highest of ``number``."""
    model: Any = RangesPart
    for key in number.range_keys:
        fields = getattr(model, "model_fields", {})
        if key not in fields:
            return False
        model = fields[key].annotation
    return True


#: Column -> the number, and 0 or 1 for the lowest or the highest value of its range.
RANGE_COLUMNS: dict[str, tuple[Number, int]] = {
    f"{name}_{end}": (number, index)
    for name, number in MEASURES.items()
    if has_range(number)
    for index, end in enumerate(("low", "high"))
}

#: Column -> percent or score of one of the 20 regions.
REGION_COLUMNS: dict[str, Number] = {
    f"{name} {field}": of(name)
    for name, _ in REGIONS
    for field, of in (("percent", region_percent), ("score", region_score))
}
