"""The label values of every mask, in one place. They never change between versions."""

from collections.abc import Sequence
from typing import NamedTuple

#: lungs.nii.gz
RIGHT_LUNG, LEFT_LUNG = 1, 2

#: lesions.nii.gz (value 3 exists only in datasets and counts as background)
GGO, CONSOLIDATION, PLEURAL_EFFUSION = 1, 2, 3

#: lobes.nii.gz, numbered as lungmask does.
LOBES: dict[str, int] = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}

#: The order in which lobes are listed.
LOBE_ORDER = ("RUL", "RML", "RLL", "LUL", "LLL")

LOBE_NAMES: dict[str, str] = {
    "RUL": "right upper lobe",
    "RML": "right middle lobe",
    "RLL": "right lower lobe",
    "LUL": "left upper lobe",
    "LLL": "left lower lobe",
}

#: regions.nii.gz: 1–20 in this order (Yang et al. 2020), each with the lobe it lies in.
REGIONS: tuple[tuple[str, str], ...] = (
    ("RUL apical", "RUL"),
    ("RUL posterior", "RUL"),
    ("RUL anterior", "RUL"),
    ("RML lateral", "RML"),
    ("RML medial", "RML"),
    ("RLL superior", "RLL"),
    ("RLL medial basal", "RLL"),
    ("RLL anterior basal", "RLL"),
    ("RLL lateral basal", "RLL"),
    ("RLL posterior basal", "RLL"),
    ("LUL apical", "LUL"),
    ("LUL posterior", "LUL"),
    ("LUL anterior", "LUL"),
    ("LUL superior lingular", "LUL"),
    ("LUL inferior lingular", "LUL"),
    ("LLL superior", "LLL"),
    ("LLL anterior basal", "LLL"),
    ("LLL medial basal", "LLL"),
    ("LLL lateral basal", "LLL"),
    ("LLL posterior basal", "LLL"),
)


class Label(NamedTuple):
    """One value of a mask: its short name, its name in words, and its colour (sRGB)."""

    value: int
    name: str
    title: str
    colour: str


#: Colours of the lobes: Okabe and Ito's palette, distinct for colour-blind readers too.
_LOBE_COLOURS = {
    "RUL": "#0072b2",
    "RML": "#f0e442",
    "RLL": "#009e73",
    "LUL": "#cc79a7",
    "LLL": "#d55e00",
}

#: What every value of a mask is called and how it is coloured, by mask, in rising order.
MASK_LABELS: dict[str, tuple[Label, ...]] = {
    "lungs": (
        Label(RIGHT_LUNG, "right lung", "Right lung", "#56b4e9"),
        Label(LEFT_LUNG, "left lung", "Left lung", "#d583b5"),
    ),
    "lobes": tuple(
        Label(value, lobe, LOBE_NAMES[lobe].capitalize(), _LOBE_COLOURS[lobe])
        for lobe, value in LOBES.items()
    ),
    "regions": tuple(
        Label(number, name, f"{name} (CT-SS region)", _LOBE_COLOURS[lobe])
        for number, (name, lobe) in enumerate(REGIONS, start=1)
    ),
    "lesions": (
        Label(GGO, "GGO", "Ground-glass opacity", "#56b4e9"),
        Label(CONSOLIDATION, "consolidation", "Consolidation", "#e69f00"),
    ),
}


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of ``#rrggbb``."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def colour_table(labels: Sequence[Label]) -> str:
    """A colour table of 3D Slicer (.ctbl): value, name and colour, 0 transparent."""
    rows = ["# Color table of lungscore, for 3D Slicer", "0 background 0 0 0 0"]
    for label in labels:
        red, green, blue = rgb(label.colour)
        rows.append(f"{label.value} {label.name.replace(' ', '_')} {red} {green} {blue} 255")
    return "\n".join(rows) + "\n"
