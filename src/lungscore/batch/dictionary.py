"""cohort-dictionary.csv: what every column of cohort.csv is, as REDCap imports it."""

import re
from collections.abc import Iterator

from lungscore.batch.columns import JOINING, Column, columns
from lungscore.files import csv_text

#: The columns of a data dictionary of REDCap, in its order.
HEAD = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
FORM = "lungscore"


def dictionary_csv() -> str:
    """The dictionary as CSV, one row a column of cohort.csv, in its order."""
    return csv_text(HEAD, _rows())


def variable(name: str) -> str:
    """What REDCap calls a column: lower-case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _rows() -> Iterator[tuple[str, ...]]:
    for column in columns():
        choices, validation, least, most = _field(column)
        unit = "" if column.number is None else column.number.symbol
        row = dict.fromkeys(HEAD, "")
        row["Variable / Field Name"] = variable(column.name)
        row["Form Name"] = FORM
        row["Field Type"] = "radio" if choices else "text"
        row["Field Label"] = column.meaning + (f", {unit}" if unit else "")
        row["Choices, Calculations, OR Slider Labels"] = choices
        row["Field Note"] = f"cohort.csv: {column.name}"
        row["Text Validation Type OR Show Slider Number"] = validation
        row["Text Validation Min"], row["Text Validation Max"] = least, most
        row["Identifier?"] = "y" if column.name in JOINING else ""
        yield tuple(row.values())


def _field(column: Column) -> tuple[str, str, str, str]:
    """Choices, type of validation, least and largest value; empty where there is none."""
    number = column.number
    if number is None:
        return "", "", "", ""
    if column.kind == "text":
        return " | ".join(f"{name}, {name}" for name in number.classes), "", "", ""
    most = f"{number.highest:g}" if number.unit in ("percent", "points", "class") else ""
    return "", column.kind, "0", most
