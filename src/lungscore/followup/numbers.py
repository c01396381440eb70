"""The numbers of result.json that a follow-up compares: one table, one line a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.severity.category import CATEGORIES
from lungscore.severity.scores import MOSMED_CLASSES, ZONES

Unit = Literal["percent", "ml", "points", "class", "count"]

#: Digits after the point that are read: a change that rounds to nothing is none.
DECIMALS: dict[Unit, int] = {"percent": 1, "ml": 1, "points": 0, "class": 0, "count": 0}


@dataclass(frozen=True)
class Number:
    """One number of result.json.

    path: its keys, joined by dots. because: the path of the sentence that says why it is null.
    classes: for the unit "class", all of them in ascending order.
    """

    path: str
    title: str
    unit: Unit
    because: str | None = None
    classes: tuple[str, ...] = ()


_NO_VOLUME, _NO_DENSITY = "scores.ct_ss.reason", "scores.lhos.reason"


def _total(score: str, title: str) -> Number:
    return Number(f"scores.{score}.total", title, "points", f"scores.{score}.reason")


#: What is said of the lungs as a whole.
WHOLE: tuple[Number, ...] = (
    Number("burden.infection_percent", "infected", "percent"),
    Number("burden.ggo_percent", "GGO", "percent"),
    Number("burden.consolidation_percent", "consolidation", "percent"),
    Number("burden.infection_ml", "infected volume", "ml"),
    Number("burden.right_percent", "right lung infected", "percent"),
    Number("burden.left_percent", "left lung infected", "percent"),
    Number("lungs.volume_ml", "lung volume", "ml"),
    Number("lungs.right_ml", "right lung volume", "ml"),
    Number("lungs.left_ml", "left lung volume", "ml"),
)

#: The scores and the category.
SCORES: tuple[Number, ...] = (
    Number("severity.category", "severity", "class", "severity.basis", CATEGORIES),
    _total("ct_ss", "CT-SS (0–40)"),
    _total("ctsi", "CTSI (0–25)"),
    _total("tss", "TSS (0–20)"),
    _total("lss", "LSS (0–20)"),
    _total("lhos", "LHOS (0–20)"),
    Number("scores.po", "PO", "percent", _NO_VOLUME),
    Number("scores.pho", "PHO", "percent", _NO_DENSITY),
    Number("scores.mosmed", "MosMed class", "class", _NO_VOLUME, MOSMED_CLASSES),
    _total("zones", "six zones (0–24)"),
)

#: Of every lobe: the end of the path, the title's end, the unit, the score it belongs to.
_OF_A_LOBE: tuple[tuple[str, str, Unit, str], ...] = (
    ("infection_percent", "infected", "percent", "tss"),
    ("ggo_percent", "GGO", "percent", "tss"),
    ("consolidation_percent", "consolidation", "percent", "tss"),
    ("volume_ml", "volume", "ml", "tss"),
    ("well_aerated_percent", "well aerated", "percent", "lhos"),
    ("scores.tss", "TSS", "points", "tss"),
    ("scores.ctsi", "CTSI", "points", "ctsi"),
    ("scores.lss", "LSS", "points", "lss"),
    ("scores.lhos", "LHOS", "points", "lhos"),
)
LOBES: tuple[Number, ...] = tuple(
    Number(f"lobes.{lobe}.{end}", f"{lobe} {title}", unit, f"scores.{score}.reason")
    for lobe in LOBE_ORDER
    for end, title, unit, score in _OF_A_LOBE
)


def _parts(score: str, parts: str, names: tuple[str, ...]) -> tuple[Number, ...]:
    """Percent and score of every part of a score."""
    of_each: tuple[tuple[str, str, Unit], ...] = (
        ("percent", "infected", "percent"),
        ("score", "score", "points"),
    )
    return tuple(
        Number(
            f"scores.{score}.{parts}.{name}.{end}",
            f"{name} {title}",
            unit,
            f"scores.{score}.reason",
        )
        for name in names
        for end, title, unit in of_each
    )


#: The 20 regions of CT-SS and the six zones.
PARTS: tuple[Number, ...] = (
    *_parts("ct_ss", "regions", tuple(name for name, _ in REGIONS)),
    *_parts("zones", "zones", ZONES),
)

_BANDS = {
    "over_inflated": "over-inflated",
    "well_aerated": "well aerated",
    "poorly_aerated": "poorly aerated",
    "not_aerated": "not aerated",
    "denser": "denser",
}
_SHARES = "peripheral", "posterior", "lower"

#: How the lungs are aerated, and how the infection is spread.
PATTERNS: tuple[Number, ...] = (
    *(
        Number(f"aeration.bands.{band}.{unit}", f"{title} lung", unit, "aeration.reason")
        for band, title in _BANDS.items()
        for unit in ("percent", "ml")
    ),
    Number("lesions.count", "lesions", "count", "lesions.reason"),
    Number("lesions.largest_ml", "largest lesion", "ml", "lesions.reason"),
    Number("lesions.median_ml", "median lesion", "ml", "lesions.reason"),
    *(
        Number(f"lesions.by_lobe.{lobe}", f"{lobe} lesions", "count", "lesions.reason")
        for lobe in LOBE_ORDER
    ),
    Number("lesions.specks", "specks", "count", "lesions.reason"),
    Number("lesions.specks_ml", "volume of specks", "ml", "lesions.reason"),
    *(
        Number(f"distribution.{share}.{of}_percent", title, "percent", "distribution.reason")
        for share in _SHARES
        for of, title in (("infection", f"{share} infection"), ("lung", f"{share} lung"))
    ),
    Number("distribution.lobes_affected", "lobes affected", "count", "distribution.reason"),
)

#: Everything that is compared, in the order of comparison.json.
NUMBERS: tuple[Number, ...] = (*WHOLE, *SCORES, *PATTERNS, *LOBES, *PARTS)


def value_at(content: Any, path: str) -> Any:
    """What stands at ``path`` (keys joined by dots) in nested JSON objects; None for nothing."""
    for key in path.split("."):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content
