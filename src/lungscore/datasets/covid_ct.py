"""COVID-CT: figures of CT slices out of papers, of patients with and without COVID-19.

Zhao et al., arXiv 2003.13865. ``Images-processed/CT_COVID`` and ``CT_NonCOVID``, the authors' split
in ``Data-split``, and a table of patients for each class. The table of the COVID-19 images is a
spreadsheet: save its sheet ``positive_captions`` as CSV in UTF-8 beside it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry, Group
from lungscore.datasets.tables import read_lines, read_table
from lungscore.datasets.visit import Visit, stem

NAME = "covid-ct"
SPREADSHEET = "COVID-CT-MetaInfo.xlsx"


class Part(NamedTuple):
    """One class. image, patient: columns of its table. published: images by side of the split."""

    label: str
    table: str
    image: str
    patient: str
    published: dict[Group, int]


PARTS = (
    Part(
        "NonCOVID",
        "NonCOVID-CT-MetaInfo.csv",
        "image name",
        "patient id",
        {"train": 234, "validation": 58, "test": 105},
    ),
    Part(
        "COVID",
        "COVID-CT-MetaInfo.csv",
        "File name",
        "Patient ID",
        {"train": 191, "validation": 60, "test": 98},
    ),
)
_LISTS: dict[Group, str] = {"train": "train", "validation": "val", "test": "test"}


def _walk(visit: Visit) -> Iterator[Entry]:
    for part in PARTS:
        yield from _part(visit, part)
    visit.use(visit.root / SPREADSHEET)
    for place in ("baseline methods", "Data-split"):  # code, and splits that were given up
        visit.use_folder(place)


def _part(visit: Visit, part: Part) -> Iterator[Entry]:
    folder = f"Images-processed/CT_{part.label}"
    images = {image.name: image for image in visit.files(folder)}
    visit.count(f"{part.label} images", len(images), sum(part.published.values()))
    sides, patients = _sides(visit, part), _patients(visit, part)
    for table, named in ((f"Data-split/{part.label}", sides), (part.table, patients)):
        for name in sorted((named or {}).keys() - images.keys()):
            if images:  # one missing folder is one problem
                visit.problem("file-missing", f"{folder}/{name}", f"{table} names it")
    known = images.keys() & (patients or {}).keys()
    visit.count(f"{part.label} images whose patient is known", len(known), None)
    for name, image in images.items():
        groups = () if sides is None else sides.get(name, ())
        if sides is not None and len(groups) != 1:
            found = f"{len(groups)} lists in Data-split/{part.label} name it; it was left out"
            visit.problem("table-values", image, found)
            visit.use(image)
            continue
        yield Entry(
            visit.relative(image),
            f"{part.label}/{stem(image)}",
            "slice",
            # The two tables number their patients each by itself.
            patient=f"{part.label} {patients[name]}" if patients and name in patients else None,
            label=part.label,
            group=groups[0] if groups else None,
        )


def _sides(visit: Visit, part: Part) -> dict[str, tuple[Group, ...]] | None:
    """Name of an image -> the sides of the split that list it; None where a list is missing."""
    sides: dict[str, tuple[Group, ...]] = {}
    whole = True
    for group, name in _LISTS.items():
        lines = read_lines(visit, f"Data-split/{part.label}/{name}CT_{part.label}.txt")
        whole = whole and lines is not None
        for line in sorted(set(lines or ())):
            sides[line] = (*sides.get(line, ()), group)
    return sides if whole else None


def _patients(visit: Visit, part: Part) -> dict[str, str] | None:
    """Name of an image -> its patient in the table; None where there is no table."""
    if part.label == "COVID" and not (visit.root / part.table).is_file():
        found = "there is no such table"
        if (visit.root / SPREADSHEET).is_file():
            found = f"save the sheet positive_captions of {SPREADSHEET} as CSV (UTF-8) so named"
        visit.problem("table-missing", part.table, found)
        return None
    known: dict[str, str] = {}
    for line, cells in read_table(visit, part.table, (part.image, part.patient)):
        name, patient = cells[part.image], cells[part.patient]
        if not name or not patient:
            found = f"line {line} has no {part.image if not name else part.patient}"
            visit.problem("table-values", part.table, found)
            continue
        if not name.lower().endswith((".png", ".jpg", ".jpeg")):
            name += ".png"  # some names of the published table lack it
        if known.setdefault(name, patient) != patient:
            found = f"line {line}: {name} is of {known[name]} and of {patient}"
            visit.problem("duplicate-patient", part.table, found)
            visit.in_conflict |= {f"{part.label} {known[name]}", f"{part.label} {patient}"}
    return known or None


DATASET = Dataset(
    name=NAME,
    title="COVID-CT (UCSD)",
    what="CT slices cut out of the figures of papers, PNG and JPEG of every size, often with "
    "arrows and letters in them: COVID-19 or not; no HU",
    size="746 images: 349 with COVID-19 of 216 patients, 397 without",
    licence="the images belong to the authors and publishers of the papers",
    citation="Zhao J, Zhang Y, He X, Xie P. COVID-CT-Dataset: a CT scan dataset about COVID-19. "
    "arXiv:2003.13865, 2020",
    where="https://github.com/UCSD-AI4H/COVID-CT",
    seen="the repository's README and baseline, readers and copies of the tables by others",
    unverified="the first row of the spreadsheet's sheet; further columns of the table of images "
    "without COVID-19; whether every image stands in a table, and no patient on two sides",
    walk=_walk,
    labels=tuple(part.label for part in PARTS),
    overlaps=("covid-chestxray",),
)
