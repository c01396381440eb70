"""The columns of a cohort's tables, and what is read of one case for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lungscore.labels import REGIONS
from lungscore.result.numbers import MEASURES, NUMBERS, Number, stored_value, value_at
from lungscore.result.schema import engine_text
from lungscore.result.table_columns import RANGE_COLUMNS, REGION_COLUMNS

#: Before the measures: code of the failure. Behind them: codes joined by semicolons, and by what
#: the numbers were made.
BEFORE = ("case", "status", "code")
BEHIND = ("reliability", "withheld", "warnings", "lungscore", "models", "engine")
#: Empty unless they were asked for (--identifiers).
JOINING = ("study_uid", "series_uid", "study_date", "accession_number")
COLUMNS = (*BEFORE, *MEASURES, *RANGE_COLUMNS, *REGION_COLUMNS, *BEHIND, *JOINING)

#: Of the columns that are not numbers of a result: what they hold.
MEANINGS = {
    "case": "name of the case",
    "status": "analysed or failed",
    "code": "code of the failure",
    "withheld": "why the category is withheld: codes joined by semicolons",
    "warnings": "notices: codes joined by semicolons",
    "lungscore": "version of lungscore",
    "models": "networks used, with their versions",
    "engine": "what ran the networks, its precision, and cuda if a graphics card did",
    "study_uid": "DICOM StudyInstanceUID; only with --identifiers",
    "series_uid": "DICOM SeriesInstanceUID; only with --identifiers",
    "study_date": "DICOM StudyDate, YYYYMMDD; only with --identifiers",
    "accession_number": "DICOM AccessionNumber; only with --identifiers",
}

Row = dict[str, Any]


def row_of(
    content: Mapping[str, Any],
    case: str,
    version: str | None,
    identifiers: Mapping[str, str | None],
) -> Row:
    """The row of an analysed case; content: of its result.json.

    version: of lungscore. identifiers: of identifiers.json. Raises LookupError, TypeError or
    ValueError for what is not a result.
    """
    row: Row = {"case": case, "status": "analysed", "code": None}
    for measure in MEASURES.values():
        row[measure.name] = typed(measure, measure.value(content))
    for name, (number, end) in RANGE_COLUMNS.items():
        span = value_at(content.get("ranges"), ".".join(number.range_keys))
        row[name] = None if span is None else typed(number, span[end])
    for name, number in REGION_COLUMNS.items():
        row[name] = typed(number, number.value(content))
    row["withheld"] = ";".join(content["severity"]["withheld"])
    row["warnings"] = ";".join(dict.fromkeys(notice["code"] for notice in content["warnings"]))
    row["reliability"] = value_at(content, NUMBERS["reliability"].path)
    row["lungscore"] = version
    models = [f"{model['name']} {model['version']}" for model in content["models"]]
    row["models"] = ";".join(models) or None
    engine = content["engine"]
    row["engine"] = None if engine is None else engine_text(engine)
    row.update({name: identifiers.get(name) for name in JOINING})
    return row


def typed(measure: Number, value: Any) -> float | int | str | None:
    """``value`` as the type that its column has; ValueError for one that there cannot be."""
    if stored_value(measure, value) is None:
        return None
    if kind_of(measure) == "integer":
        return int(value)
    return float(value) if kind_of(measure) == "number" else str(value)


def kind_of(measure: Number) -> Literal["integer", "number", "text"]:
    """What type the column of ``measure`` has."""
    if measure.kind == "total" or (measure.kind == "class" and measure.classes[0].isdigit()):
        return "integer"
    return "number" if measure.kind == "number" else "text"


@dataclass(frozen=True)
class Column:
    """One column: its number, None where it is none of a result; what it holds, in words."""

    name: str
    number: Number | None
    meaning: str

    @property
    def kind(self) -> Literal["integer", "number", "text"]:
        """The type of its values."""
        return "text" if self.number is None else kind_of(self.number)


def columns() -> list[Column]:
    """All columns, in order."""
    described = {name: Column(name, None, meaning) for name, meaning in MEANINGS.items()}
    described["reliability"] = Column(
        "reliability", NUMBERS["reliability"], NUMBERS["reliability"].title
    )
    for name, number in MEASURES.items():
        described[name] = Column(name, number, f"{number.title}{number.scale}")
    for name, (number, end) in RANGE_COLUMNS.items():
        meaning = f"{number.title}, {('lowest', 'highest')[end]} value of its range"
        described[name] = Column(name, number, meaning)
    lobes = dict(REGIONS)
    for name, number in REGION_COLUMNS.items():
        region = name.rpartition(" ")[0]
        described[name] = Column(name, number, f"{number.title} ({lobes[region]})")
    return [described[name] for name in COLUMNS]
