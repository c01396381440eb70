"""What two raters can be compared in: every number of a result, by the name of its field."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.severity.category import CATEGORIES
from lungscore.severity.edges import highest_score
from lungscore.severity.scores import MOSMED_CLASSES, ZONES

#: A volume that no chest holds.
MAX_ML = 100_000.0

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Measure:
    """One number of a case.

    name: the column of a table. path: where it stands in result.json. kind: "number" is a
    measurement from 0 to ``highest`` in ``unit``; "total" a score that adds up parts, whole from 0
    to ``highest``; "class" one of ``classes``, in order, as 0…``highest``. lobe: the one it is of.
    """

    name: str
    title: str
    path: tuple[str, ...]
    kind: Literal["number", "total", "class"]
    highest: float
    unit: str = ""
    classes: tuple[str, ...] = ()
    lobe: str | None = None

    @property
    def ordinal(self) -> bool:
        """Whether its values are ordered classes 0…highest."""
        return self.kind != "number"

    @property
    def family(self) -> str:
        """What the same measure is called in every lobe; its own name where it is of none."""
        return self.name if self.lobe is None else self.name.removeprefix(f"{self.lobe} ")


def _percent(name: str, title: str, *path: str) -> Measure:
    return Measure(name, title, path, "number", 100.0, "%")


def _volume(name: str, title: str, *path: str) -> Measure:
    return Measure(name, title, path, "number", MAX_ML, "ml")


def _total(name: str, title: str, parts: int) -> Measure:
    return Measure(name, title, ("scores", name, "total"), "total", parts * highest_score(name))


def _classes(name: str, title: str, path: tuple[str, ...], classes: tuple[str, ...]) -> Measure:
    return Measure(name, title, path, "class", len(classes) - 1, classes=classes)


def _whole() -> Iterator[Measure]:
    yield _percent("infection_percent", "Infection of the lungs", "burden", "infection_percent")
    yield _percent("ggo_percent", "Ground-glass opacity", "burden", "ggo_percent")
    yield _percent("consolidation_percent", "Consolidation", "burden", "consolidation_percent")
    yield _volume("infection_ml", "Infected volume", "burden", "infection_ml")
    yield _percent("right_percent", "Infection of the right lung", "burden", "right_percent")
    yield _percent("left_percent", "Infection of the left lung", "burden", "left_percent")
    yield _total("ct_ss", "CT-SS", len(REGIONS))
    yield _total("tss", "TSS", len(LOBE_ORDER))
    yield _total("ctsi", "CTSI", len(LOBE_ORDER))
    yield _total("lss", "LSS", len(LOBE_ORDER))
    yield _total("lhos", "LHOS", len(LOBE_ORDER))
    yield _total("zones", "Six zones", len(ZONES))
    yield _percent("po", "PO", "scores", "po")
    yield _percent("pho", "PHO", "scores", "pho")
    yield _classes("mosmed", "MosMed", ("scores", "mosmed"), MOSMED_CLASSES)
    yield _classes("category", "Severity category", ("severity", "category"), CATEGORIES)
    for band in ("well_aerated", "poorly_aerated", "not_aerated"):
        title = f"{band.replace('_', ' ').capitalize()} lung"
        yield _percent(f"{band}_percent", title, "aeration", "bands", band, "percent")
    for share in ("peripheral", "posterior", "lower"):
        title = f"{share.capitalize()} part of the infection"
        yield _percent(f"{share}_percent", title, "distribution", share, "infection_percent")
    yield _volume("largest_ml", "Largest lesion", "lesions", "largest_ml")
    yield _volume("volume_ml", "Lung volume", "lungs", "volume_ml")
    yield _volume("right_ml", "Volume of the right lung", "lungs", "right_ml")
    yield _volume("left_ml", "Volume of the left lung", "lungs", "left_ml")


def _of_lobe(lobe: str) -> Iterator[Measure]:
    numbers = (
        ("infection_percent", "infection", "%"),
        ("ggo_percent", "ground-glass opacity", "%"),
        ("consolidation_percent", "consolidation", "%"),
        ("volume_ml", "volume", "ml"),
    )
    for field, title, unit in numbers:
        make = _percent if unit == "%" else _volume
        measure = make(f"{lobe} {field}", f"{lobe} {title}", "lobes", lobe, field)
        yield replace(measure, lobe=lobe)
    for score in ("tss", "ctsi", "lss", "lhos"):
        classes = tuple(str(value) for value in range(highest_score(score) + 1))
        path = ("lobes", lobe, "scores", score)
        measure = _classes(f"{lobe} {score}", f"{lobe} {score.upper()}", path, classes)
        yield replace(measure, lobe=lobe)


#: name -> measure, in the order in which they are listed.
MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (*_whole(), *(m for lobe in LOBE_ORDER for m in _of_lobe(lobe)))
}


def parse(measure: Measure, text: str) -> float:
    """The value that ``text`` means: a number, or for classes the name of one or its number.

    Raises ValueError, which says what was expected, for anything else.
    """
    named = {name.casefold(): float(number) for number, name in enumerate(measure.classes)}
    if (value := named.get(text.casefold())) is not None:
        return value
    # The numbers of the categories are ours alone: 1 may be anybody's "none".
    if measure.name == "category" or not _NUMBER.fullmatch(text):
        raise ValueError(_expected(measure))
    value = float(text)
    if not 0 <= value <= measure.highest or (measure.ordinal and value != int(value)):
        raise ValueError(_expected(measure))
    return value + 0.0  # no −0


def _expected(measure: Measure) -> str:
    highest = f"{measure.highest:g}"
    if measure.name == "category":
        return " | ".join(CATEGORIES)
    if measure.name == "mosmed":
        return "CT-0 … CT-4, or 0 … 4"
    if measure.ordinal:
        return f"a whole number from 0 to {highest}"
    if measure.unit == "ml":
        return f"millilitres, from 0 to {highest}"
    return f"a percent from 0 to {highest}"
