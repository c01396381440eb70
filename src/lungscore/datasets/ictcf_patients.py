"""iCTCF's table of patients: clinical class, age, sex and laboratory values.

The site shows it page by page and offers no file: export it as CSV in UTF-8 and call it
``clinical.csv``. The first column holds the patients, under any name; ``COLUMNS`` must be there;
every other column is a laboratory value under its own name.
"""

import math
import re
from collections.abc import Iterator

from lungscore.datasets.records import Patient
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit

TABLE = "clinical.csv"

#: "Morbidity outcome", from the mildest to the gravest.
CLASSES = (
    "Control",
    "Control (Community-acquired pneumonia)",
    "Suspected",
    "Suspected (COVID-19-confirmed later)",
    "Mild",
    "Regular",
    "Severe",
    "Critically ill",
)

#: Column of the table -> its name in the table of patients.
COLUMNS = {
    "Hospital": "hospital",
    "Age": "age",
    "Gender": "sex",
    "Body temperature": "body_temperature",
    "Underlying diseases": "underlying_diseases",
    "SARS-CoV-2 nucleic acids": "nucleic_acids",
    "Computed tomography (CT)": "ct_reading",
    "Morbidity outcome": "label",
    "Mortality outcome": "mortality",
}

_SEXES = {"male": "male", "female": "female", "": None}
_PATIENT = re.compile(r"(?:patient\s*)?0*([1-9][0-9]{0,5})", re.IGNORECASE)
_MISSING = frozenset({"", "-", "na", "n/a", "nan", "none"})

#: Signs beside a value: beyond the limit of detection, or outside the normal range.
_SIGNS = re.compile(r"[<>≤≥↓↑]|&#859[35];?")


def patients(visit: Visit) -> Iterator[Patient]:
    """One patient a row. Numbers are floats, None where missing; a limit (<0.05) is its number.

    A column of laboratory values in which most cells are not numbers is kept as text.
    """
    rows: dict[str, tuple[int, dict[str, str]]] = {}
    for line, cells in read_table(visit, TABLE, tuple(COLUMNS)):
        match = _PATIENT.fullmatch(next(iter(cells.values())))
        if match is None:  # what stands there may be a person's name: it is not repeated
            fault = f"line {line}: the first cell is not a patient such as Patient 1"
            visit.problem("table-values", TABLE, fault)
            continue
        name = f"Patient {match[1]}"
        if name in rows:
            fault = f"{name} occurs on lines {rows[name][0]} and {line}"
            visit.problem("duplicate-patient", TABLE, fault)
            visit.in_conflict.add(name)
            continue
        rows[name] = line, cells
    columns = list(next(iter(rows.values()))[1])[1:] if rows else []
    laboratory = {
        column: _values(visit, column, [(line, cells[column]) for line, cells in rows.values()])
        for column in columns
        if column not in COLUMNS
    }
    for index, (name, (line, cells)) in enumerate(rows.items()):
        basic = _basic(visit, name, line, cells)
        yield basic | {column: values[index] for column, values in laboratory.items()}


def _basic(
    visit: Visit, name: str, line: int, cells: dict[str, str]
) -> dict[str, str | float | None]:
    values: dict[str, str | float | None] = {"patient": name, "label": cells["Morbidity outcome"]}
    for column, key in COLUMNS.items():
        if key != "label":
            values[key] = None if cells[column].lower() in _MISSING else cells[column]
    if values["label"] not in CLASSES:
        told = f"line {line}: {name} is {values['label']!r}; known are {', '.join(CLASSES)}"
        visit.problem("class-unknown", TABLE, told)
        visit.in_conflict.add(name)
        values["label"] = None
    sex = cells["Gender"].lower()
    if sex not in _SEXES:
        told = f"line {line}: the gender {cells['Gender']!r}; known are Male and Female"
        visit.problem("class-unknown", TABLE, told)
    values["sex"] = _SEXES.get(sex)
    for column in ("Age", "Body temperature"):
        cell = cells[column].rstrip("°℃Cc ")
        values[COLUMNS[column]] = _values(visit, column, [(line, cell)], text=False)[0]
    return values


def _values(
    visit: Visit, column: str, cells: list[tuple[int, str]], *, text: bool = True
) -> list[float | str | None]:
    """The cells of a column as numbers, or as text where most of them are none."""
    numbers: list[float | str | None] = [_number(cell) for _, cell in cells]
    wrong = [
        (line, cell)
        for (line, cell), value in zip(cells, numbers, strict=True)
        if value is None and cell.lower() not in _MISSING
    ]
    if text and 2 * len(wrong) >= sum(cell.lower() not in _MISSING for _, cell in cells) > 0:
        return [None if cell.lower() in _MISSING else cell for _, cell in cells]
    if wrong:
        line, cell = wrong[0]
        told = (
            f"{len(wrong)} cells of {column!r} are not numbers; first on line {line}: {cell[:40]!r}"
        )
        visit.problem("table-values", TABLE, told)
    return numbers


def _number(cell: str) -> float | None:
    try:
        value = float(_SIGNS.sub("", cell))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
