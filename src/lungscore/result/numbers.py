"""The numbers of result.json: the only list of them.

Follow-up, agreement, tables of cohorts, features of patients and the reports select from it by
name; no other module states where a number stands or what it is called.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.result.base import Model
from lungscore.severity.aeration import BANDS
from lungscore.severity.category import CATEGORIES
from lungscore.severity.edges import highest_score
from lungscore.severity.lesions import SPECK_ML
from lungscore.severity.reliability import GRADES
from lungscore.severity.scores import MOSMED_CLASSES, SCORE_TITLES, ZONES

Unit = Literal["percent", "ml", "points", "class", "count", "flag"]

#: A volume that no chest holds.
MAX_ML = 100_000.0

#: Digits after the point that are read: a change that rounds to nothing is none.
DECIMALS: dict[Unit, int] = {
    "percent": 1,
    "ml": 1,
    "points": 0,
    "class": 0,
    "count": 0,
    "flag": 0,
}

#: Where the infection can lie, and what that part of the lungs is.
SHARES = {"peripheral": "outer third", "posterior": "back half", "lower": "lowest third"}

_BAND_TITLES = {
    "over_inflated": "lung below −900 HU",
    "well_aerated": "well aerated lung",
    "poorly_aerated": "poorly aerated lung",
    "not_aerated": "not aerated lung",
    "denser": "lung denser than +100 HU",
}
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Number:
    """One number of result.json.

    path: its keys, joined by dots. title: what a reader calls it, in the middle of a sentence.
    because: the path of the sentence that says why it is null. classes: for the unit "class", and
    for points that are confused with each other, all of them in ascending order. name: what it is
    selected by, and its column in tables; the path where it has no shorter one. lobe: the one it
    is of. highest: of points, the most there can be.
    """

    path: str
    title: str
    unit: Unit
    because: str | None = None
    classes: tuple[str, ...] = ()
    name: str = ""
    lobe: str | None = None
    most: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.path)

    @property
    def keys(self) -> tuple[str, ...]:
        """The path, key by key."""
        return tuple(self.path.split("."))

    @property
    def range_keys(self) -> tuple[str, ...]:
        """Where its range stands within ``ranges``.

        At the same path, but a score's total under the score's name, and the percents of regions
        and zones directly under these names.
        """
        keys = self.keys
        if keys[0] == "scores" and len(keys) > 3 and keys[-1] == "percent":
            return (keys[2], *keys[3:-1])
        return keys[:-1] if keys[-1] == "total" else keys

    @property
    def kind(self) -> Literal["number", "total", "class"]:
        """A measurement, a score that adds up parts, or one of ``classes``."""
        if self.classes:
            return "class"
        return "total" if self.unit == "points" else "number"

    @property
    def ordinal(self) -> bool:
        """Whether its values are ordered classes 0…highest."""
        return self.kind != "number"

    @property
    def highest(self) -> float:
        """The largest value there can be."""
        if self.classes:
            return len(self.classes) - 1
        return {"percent": 100.0, "ml": MAX_ML}.get(self.unit, self.most or 0.0)

    @property
    def symbol(self) -> str:
        """The sign of the unit, empty where it has none."""
        return {"percent": "%", "ml": "ml"}.get(self.unit, "")

    @property
    def heading(self) -> str:
        """The title where it begins a line."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def scale(self) -> str:
        """ " (0–40)" of a score, to stand behind the title; empty for the others."""
        return f" (0–{self.highest:g})" if self.kind == "total" else ""

    @property
    def family(self) -> str:
        """What the same number is called in every lobe; its own name where it is of none."""
        return self.name if self.lobe is None else self.name.removeprefix(f"{self.lobe} ")

    def value(self, content: Any) -> Any:
        """What stands in a Result, or in the content of a result.json.

        Raises LookupError or TypeError for what is not a result.
        """
        return reduce(_step, self.keys, content)


def _step(node: Any, key: str) -> Any:
    return getattr(node, key) if isinstance(node, Model) else node[key]


_NO_VOLUME, _NO_DENSITY = "scores.ct_ss.reason", "scores.lhos.reason"


def _total(score: str, parts: int) -> Number:
    return Number(
        f"scores.{score}.total",
        SCORE_TITLES[score],
        "points",
        f"scores.{score}.reason",
        name=score,
        most=parts * highest_score(score),
    )


#: What is said of the lungs as a whole.
WHOLE: tuple[Number, ...] = (
    Number("burden.infection_percent", "opacity", "percent", name="infection_percent"),
    Number("burden.ggo_percent", "ground-glass opacity", "percent", name="ggo_percent"),
    Number(
        "burden.consolidation_percent", "consolidation", "percent", name="consolidation_percent"
    ),
    Number("burden.infection_ml", "opacity volume", "ml", name="infection_ml"),
    Number("burden.right_percent", "right lung opacity", "percent", name="right_percent"),
    Number("burden.left_percent", "left lung opacity", "percent", name="left_percent"),
    Number("lungs.volume_ml", "lung volume", "ml", name="volume_ml"),
    Number("lungs.right_ml", "right lung volume", "ml", name="right_ml"),
    Number("lungs.left_ml", "left lung volume", "ml", name="left_ml"),
)

#: The scores and the category.
SCORES: tuple[Number, ...] = (
    Number(
        "severity.category",
        "severity category",
        "class",
        "severity.basis",
        CATEGORIES,
        name="category",
    ),
    _total("ct_ss", len(REGIONS)),
    _total("ctsi", len(LOBE_ORDER)),
    _total("tss", len(LOBE_ORDER)),
    _total("lss", len(LOBE_ORDER)),
    _total("lhos", len(LOBE_ORDER)),
    Number("scores.po", SCORE_TITLES["po"], "percent", _NO_VOLUME, name="po"),
    Number("scores.pho", SCORE_TITLES["pho"], "percent", _NO_DENSITY, name="pho"),
    Number(
        "scores.mosmed", SCORE_TITLES["mosmed"], "class", _NO_VOLUME, MOSMED_CLASSES, name="mosmed"
    ),
    _total("zones", len(ZONES)),
)


def _bands() -> Iterator[Number]:
    units: tuple[Unit, ...] = ("percent", "ml")
    for band in BANDS:
        for unit in units:
            path, title = f"aeration.bands.{band}.{unit}", _BAND_TITLES[band]
            yield Number(path, title, unit, "aeration.reason", name=f"{band}_{unit}")


def _shares() -> Iterator[Number]:
    for share in SHARES:
        for whole, called in (("infection", "opacity"), ("lung", "lungs")):
            name = f"{share}_percent" if whole == "infection" else f"{share}_lung_percent"
            path, title = f"distribution.{share}.{whole}_percent", f"{share} share of the {called}"
            yield Number(path, title, "percent", "distribution.reason", name=name)


def _lesions(end: str, title: str, unit: Unit, name: str = "", lobe: str | None = None) -> Number:
    return Number(f"lesions.{end}", title, unit, "lesions.reason", name=name, lobe=lobe)


#: How the lungs are aerated, and how the infection is spread.
PATTERNS: tuple[Number, ...] = (
    *_bands(),
    _lesions("count", "separate lesions", "count", "lesions"),
    _lesions("largest_ml", "largest lesion", "ml", "largest_ml"),
    _lesions("median_ml", "median lesion", "ml", "median_ml"),
    *(
        _lesions(f"by_lobe.{lobe}", f"{lobe} separate lesions", "count", f"{lobe} lesions", lobe)
        for lobe in LOBE_ORDER
    ),
    _lesions("specks", f"foci below {SPECK_ML:g} ml", "count", "specks"),
    _lesions("specks_ml", f"volume of foci below {SPECK_ML:g} ml", "ml", "specks_ml"),
    *_shares(),
    Number(
        "distribution.lobes_affected",
        "lobes affected",
        "count",
        "distribution.reason",
        name="lobes_affected",
    ),
)


def _of_lobe(lobe: str) -> Iterator[Number]:
    fields: tuple[tuple[str, str, Unit, str], ...] = (
        ("infection_percent", "opacity", "percent", "tss"),
        ("ggo_percent", "ground-glass opacity", "percent", "tss"),
        ("consolidation_percent", "consolidation", "percent", "tss"),
        ("volume_ml", "volume", "ml", "tss"),
        ("well_aerated_percent", _BAND_TITLES["well_aerated"], "percent", "lhos"),
    )
    for field, title, unit, score in fields:
        yield Number(
            f"lobes.{lobe}.{field}",
            f"{lobe} {title}",
            unit,
            f"scores.{score}.reason",
            name=f"{lobe} {field}",
            lobe=lobe,
        )
    for score in ("tss", "ctsi", "lss", "lhos"):
        yield Number(
            f"lobes.{lobe}.scores.{score}",
            f"{lobe} {SCORE_TITLES[score]}",
            "points",
            f"scores.{score}.reason",
            tuple(str(points) for points in range(highest_score(score) + 1)),
            name=f"{lobe} {score}",
            lobe=lobe,
        )


#: What is said of every lobe.
LOBES: tuple[Number, ...] = tuple(number for lobe in LOBE_ORDER for number in _of_lobe(lobe))


def _parts(score: str, group: str, names: tuple[str, ...]) -> Iterator[Number]:
    """Percent and score of every part of a score."""
    for name in names:
        path, because = f"scores.{score}.{group}.{name}", f"scores.{score}.reason"
        yield Number(f"{path}.percent", f"{name} opacity", "percent", because)
        most = highest_score(score)
        yield Number(f"{path}.score", f"{name} score", "points", because, most=most)


#: The 20 regions of CT-SS and the six zones.
PARTS: tuple[Number, ...] = (
    *_parts("ct_ss", "regions", tuple(name for name, _ in REGIONS)),
    *_parts("zones", "zones", ZONES),
)

#: What a follow-up compares, in the order of comparison.json.
COMPARED: tuple[Number, ...] = (*WHOLE, *SCORES, *PATTERNS, *LOBES, *PARTS)

#: name -> number, of all there are.
NUMBERS: dict[str, Number] = {
    number.name: number
    for number in (
        *COMPARED,
        Number(
            "distribution.bilateral",
            "both lungs affected",
            "flag",
            "distribution.reason",
            name="bilateral",
        ),
        Number(
            "reliability.grade",
            "reliability grade",
            "class",
            classes=GRADES,
            name="reliability",
        ),
    )
}


def _columns() -> Iterator[str]:
    """Names of the columns of a table of cases."""
    yield from ("infection_percent", "ggo_percent", "consolidation_percent", "infection_ml")
    yield from ("right_percent", "left_percent")
    yield from ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones", "po", "pho", "mosmed", "category")
    yield from (f"{band}_percent" for band in ("well_aerated", "poorly_aerated", "not_aerated"))
    yield from (f"{share}_percent" for share in SHARES)
    yield from ("largest_ml", "volume_ml", "right_ml", "left_ml")
    for lobe in LOBE_ORDER:
        for field in ("infection_percent", "ggo_percent", "consolidation_percent", "volume_ml"):
            yield f"{lobe} {field}"
        for score in ("tss", "ctsi", "lss", "lhos"):
            yield f"{lobe} {score}"


#: name -> number, of those in which two raters can be compared and that a cohort's table has.
MEASURES: dict[str, Number] = {name: NUMBERS[name] for name in _columns()}


def lobe_number(lobe: str, family: str) -> Number:
    """The number that ``lobe`` (labels.LOBE_ORDER) has of what every lobe has."""
    return NUMBERS[f"{lobe} {family}"]


def region_percent(region: str) -> Number:
    """The infected percent of one of the 20 regions."""
    return NUMBERS[f"scores.ct_ss.regions.{region}.percent"]


def region_score(region: str) -> Number:
    """The score of one of the 20 regions."""
    return NUMBERS[f"scores.ct_ss.regions.{region}.score"]


def value_at(content: Any, path: str) -> Any:
    """What stands at ``path`` (keys joined by dots) in nested JSON objects; None for nothing."""
    for key in path.split("."):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def parse(number: Number, text: str) -> float:
    """The value that ``text`` means: a number, or for classes the name of one or its number.

    Raises ValueError, which says what was expected, for anything else.
    """
    named = {name.casefold(): float(rank) for rank, name in enumerate(number.classes)}
    if (value := named.get(text.casefold())) is not None:
        return value
    # The numbers of the categories are ours alone: 1 may be anybody's "none".
    if number.classes == CATEGORIES or not _NUMBER.fullmatch(text):
        raise ValueError(_expected(number))
    value = float(text)
    if not 0 <= value <= number.highest or (number.ordinal and value != int(value)):
        raise ValueError(_expected(number))
    return value + 0.0  # no −0


def stored_value(number: Number, value: Any) -> float | None:
    """The value that ``value`` of a result.json means, as ``parse`` gives it; None for null.

    Raises ValueError for one that ``number`` cannot have.
    """
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("a number or a name")
        return parse(number, str(value))
    except ValueError as error:
        fault = f"{number.path} is {str(value)[:40]!r}, expected {error}"
        raise ValueError(fault) from None


def _expected(number: Number) -> str:
    highest = f"{number.highest:g}"
    if number.classes == CATEGORIES:
        return " | ".join(CATEGORIES)
    if number.classes == MOSMED_CLASSES:
        return "CT-0 … CT-4, or 0 … 4"
    if number.ordinal:
        return f"a whole number from 0 to {highest}"
    if number.unit == "ml":
        return f"millilitres, from 0 to {highest}"
    return f"a percent from 0 to {highest}"
