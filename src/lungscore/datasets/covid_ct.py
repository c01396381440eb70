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


class ImageKind(NamedTuple):
    """One class. image, patient: columns of its table. published: images by side of the split."""

    label: str
    table: str
    image: str
    patient: str
    published: dict[Group, int]


CLASSES = (
    ImageKind(
        "NonCOVID",
        "NonCOVID-CT-MetaInfo.csv",
        "image name",
        "patient id",
        {"train": 234, "validation": 58, "test": 105},
    ),
    ImageKind(
        "COVID",
        "COVID-CT-MetaInfo.csv",
        "File name",
        "Patient ID",
        {"train": 191, "validation": 60, "test": 98},
    ),
)
_LISTS: dict[Group, str] = {"train": "train", "validation": "val", "test": "test"}


def _walk(visit: Visit) -> Iterator[Entry]:
    for kind in CLASSES:
        yield from _of_kind(visit, kind)
    visit.use(visit.root / SPREADSHEET)
    for folder in ("baseline methods", "Data-split"):  # code, and splits that were given up
        visit.use_folder(folder)


def _of_kind(visit: Visit, kind: ImageKind) -> Iterator[Entry]:
    folder = f"Images-processed/CT_{kind.label}"
    images = {image.name: image for image in visit.files(folder)}
    visit.count(f"{kind.label} images", len(images), sum(kind.published.values()))
    sides, patients = _sides(visit, kind), _patients(visit, kind)
    for table, named in ((f"Data-split/{kind.label}", sides), (kind.table, patients)):
        for name in sorted((named or {}).keys() - images.keys()):
            if images:  # one missing folder is one problem
                visit.problem("file-missing", f"{folder}/{name}", f"{table} names it")
    known = images.keys() & (patients or {}).keys()
    visit.count(f"{kind.label} images whose patient is known", len(known), None)
    for name, image in images.items():
        groups = () if sides is None else sides.get(name, ())
        if sides is not None and len(groups) != 1:
            fault = f"{len(groups)} lists in Data-split/{kind.label} name it; it was left out"
            visit.problem("table-values", image, fault)
            visit.use(image)
            continue
        yield Entry(
            visit.relative(image),
            f"{kind.label}/{stem(image)}",
            "slice",
            # The two tables number their patients each by itself.
            patient=f"{kind.label} {patients[name]}" if patients and name in patients else None,
            label=kind.label,
            group=groups[0] if groups else None,
        )


def _sides(visit: Visit, kind: ImageKind) -> dict[str, tuple[Group, ...]] | None:
    """Name of an image -> the sides of the split that list it; None where a list is missing."""
    sides: dict[str, tuple[Group, ...]] = {}
    whole = True
    for group, name in _LISTS.items():
        lines = read_lines(visit, f"Data-split/{kind.label}/{name}CT_{kind.label}.txt")
        whole = whole and lines is not None
        for line in sorted(set(lines or ())):
            sides[line] = (*sides.get(line, ()), group)
    return sides if whole else None


def _patients(visit: Visit, kind: ImageKind) -> dict[str, str] | None:
    """Name of an image -> its patient in the table; None where there is no table."""
    if kind.label == "COVID" and not (visit.root / kind.table).is_file():
        fault = "there is no such table"
        if (visit.root / SPREADSHEET).is_file():
            fault = f"save the sheet positive_captions of {SPREADSHEET} as CSV (UTF-8) so named"
        visit.problem("table-missing", kind.table, fault)
        return None
    known: dict[str, str] = {}
    for line, cells in read_table(visit, kind.table, (kind.image, kind.patient)):
        name, patient = cells[kind.image], cells[kind.patient]
        if not name or not patient:
            fault = f"line {line} has no {kind.image if not name else kind.patient}"
            visit.problem("table-values", kind.table, fault)
            continue
        if not name.lower().endswith((".png", ".jpg", ".jpeg")):
            name += ".png"  # some names of the published table lack it
        if known.setdefault(name, patient) != patient:
            fault = f"line {line}: {name} is of {known[name]} and of {patient}"
            visit.problem("duplicate-patient", kind.table, fault)
            visit.in_conflict |= {f"{kind.label} {known[name]}", f"{kind.label} {patient}"}
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
    labels=tuple(kind.label for kind in CLASSES),
    overlaps=("covid-chestxray",),
)
