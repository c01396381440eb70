"""The comparison of two results, and its form as comparison.json (``lungscore.comparison/1``).

Pure: two contents of result.json in, one Comparison out. docs/follow-up.md explains every field.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lungscore.errors import Notice
from lungscore.followup.cautions import cautions
from lungscore.result import EnginePart, Warning_
from lungscore.result.numbers import COMPARED, DECIMALS, Number, Unit, value_at

Direction = Literal["more", "less", "same"]
Value = int | float | str
Record = TypeVar("Record", bound=BaseModel)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Change(_Model):
    """One number at two times."""

    title: str
    unit: Unit
    earlier: Value | None
    later: Value | None
    change: int | float | None = Field(description="later − earlier; of classes, in steps")
    direction: Direction | None = Field(description="'same' where the change rounds to nothing")
    earlier_range: tuple[Value, Value] | None
    later_range: tuple[Value, Value] | None
    beyond_range: bool | None = Field(description="whether the two ranges lie apart")
    reason: str | None = Field(description="why ``change`` is null")


class ModelPart(_Model):
    """A network that measured."""

    name: str
    version: str
    sha256: str


class Side(_Model):
    """What was compared: the parts of its result that say how comparable it is."""

    case: str
    version: str | None = Field(description="of lungscore; null where run.json does not say it")
    kind: str | None
    slices: int | None
    spacing_mm: tuple[float, float, float] | None
    units: str | None
    series_uid: str | None
    models: list[ModelPart]
    engine: EnginePart | None
    warnings: list[Warning_]


class Comparison(_Model):
    """What changed between two examinations: the content of comparison.json.

    Parameters
    ----------
    schema : {"lungscore.comparison/1"}
        Version of the schema.
    case : str
        Name of the comparison.
    earlier, later : Side
        What was compared: case, version, models, engine and the other parts of each result that
        say how comparable the two are.
    warnings : list
        What stands against comparing the two, each with its code (docs/follow-up.md).
    changes : dict of str to Change
        By the path of the number in result.json, keys joined by dots, such as
        "burden.infection_percent". ``change`` is later − earlier: of percentages (0 to 100) in
        percentage points, of volumes in ml, of scores in points, of classes in steps. It is None,
        with a ``reason``, where either result lacks the number.
    days : int or None
        From the earlier to the later examination; None unless both results were written with
        --identifiers and state a date.

    Raises
    ------
    ValidationError
        From pydantic, for missing, unknown or invalid fields.

    See Also
    --------
    lungscore.compare : Makes one, as ``comparison`` of a FollowUp.
    """

    schema_: Literal["lungscore.comparison/1"] = Field(alias="schema")
    case: str
    earlier: Side
    later: Side
    warnings: list[Warning_] = Field(description="what stands against comparing the two")
    changes: dict[str, Change]
    days: int | None = Field(
        default=None, description="from the earlier to the later; null unless both state a date"
    )

    def to_json(self) -> bytes:
        """The bytes of comparison.json: fixed key order, UTF-8, one final newline."""
        content = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def compare_results(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    *,
    name: str,
    versions: tuple[str | None, str | None] = (None, None),
    dates: tuple[str | None, str | None] = (None, None),
) -> Comparison:
    """Every number of two results (contents of result.json), and what stands against comparing.

    versions: of lungscore, which made the earlier and the later result, where known. dates: of the
    examinations, YYYYMMDD, where asked for.
    """
    notices: list[Notice] = cautions(earlier, later, versions)
    return Comparison(
        schema="lungscore.comparison/1",
        case=name,
        earlier=_side(earlier, versions[0]),
        later=_side(later, versions[1]),
        warnings=[Warning_(code=n.code, message=n.message) for n in notices],
        changes={number.path: change_of(number, earlier, later) for number in COMPARED},
        days=_days(*dates),
    )


def _days(earlier: str | None, later: str | None) -> int | None:
    """Days between two dates as DICOM writes them; None where either is none."""
    try:
        first, second = (datetime.strptime(text or "", "%Y%m%d") for text in (earlier, later))
    except ValueError:
        return None
    return (second - first).days


def change_of(number: Number, earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Change:
    """How one number changed; null with a reason where either result lacks it."""
    before, after = (value_at(content, number.path) for content in (earlier, later))
    where = ".".join(number.range_keys)
    pairs = [value_at(content.get("ranges"), where) for content in (earlier, later)]
    spans = [_span(number, pair) for pair in pairs]
    first, second = _place(number, before), _place(number, after)
    change: int | float | None = None
    direction: Direction | None = None
    reason = None
    if first is None or second is None:
        reason = "; ".join(
            f"{time}: {_why(number, content)}"
            for time, content, case in (("earlier", earlier, first), ("later", later, second))
            if case is None
        )
    else:
        # The result's own decimals: what binary fractions add is not a change.
        change = round(second - first, 4) + 0
        rounded = round(change, DECIMALS[number.unit])
        direction = "more" if rounded > 0 else "less" if rounded < 0 else "same"
    return Change(
        title=f"{number.title}{number.scale}",
        unit=number.unit,
        earlier=None if first is None else before,
        later=None if second is None else after,
        change=change,
        direction=direction,
        earlier_range=pairs[0] if spans[0] else None,
        later_range=pairs[1] if spans[1] else None,
        beyond_range=None if change is None else _apart(*spans),
        reason=reason,
    )


def _place(number: Number, value: Any) -> int | float | None:
    """``value`` as a number: itself, or the place of a class among its classes."""
    if number.unit == "class":
        return number.classes.index(value) if value in number.classes else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _span(number: Number, pair: Any) -> tuple[float, float] | None:
    """A range as (lowest, highest); None where ``pair`` is none."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return None
    low, high = (_place(number, value) for value in pair)
    return None if low is None or high is None or low > high else (low, high)


def _apart(earlier: tuple[float, float] | None, later: tuple[float, float] | None) -> bool | None:
    """Whether two ranges share no value; None where either is not known."""
    if earlier is None or later is None:
        return None
    return earlier[1] < later[0] or later[1] < earlier[0]


def _why(number: Number, content: Mapping[str, Any]) -> str:
    """Why a result has no such number."""
    above, _, key = number.path.rpartition(".")
    if key not in (value_at(content, above) or {}):
        return "the result does not have this number"
    if number.unit == "ml" and value_at(content, "input.spacing_mm") is None:
        return "no voxel size is known"
    said = value_at(content, number.because) if number.because else None
    return said if isinstance(said, str) and said else "it could not be computed"


def _side(content: Mapping[str, Any], version: str | None) -> Side:
    given, engine = content["input"], content["engine"]
    return Side(
        case=content["case"],
        version=version,
        models=[_known(ModelPart, model) for model in content["models"]],
        engine=None if engine is None else _known(EnginePart, engine),
        warnings=[_known(Warning_, warning) for warning in content["warnings"]],
        **{key: given.get(key) for key in ("kind", "slices", "spacing_mm", "units", "series_uid")},
    )


def _known(kind: type[Record], content: Mapping[str, Any]) -> Record:
    """``content`` without the keys that another version may have added, or lacks."""
    return kind(**{key: content[key] for key in kind.model_fields if key in content})
