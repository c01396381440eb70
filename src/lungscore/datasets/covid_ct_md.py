"""COVID-CT-MD: chest CT of 169 patients with COVID-19, 60 with another pneumonia and 76 without.

Afshar et al., Scientific Data 8:121, 2021 (doi:10.1038/s41597-021-00900-3). One folder a class, in
it one a patient with DICOM slices. Layout: the authors' README and the loaders of others, who read
the published archive. Slices are ordered by Slice Location, as the authors ask, never by name; one
SOPInstanceUID may stand in all slices of a series. Folders of single patients may lie in the root,
too, without their class's folder: their names tell the class.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from lungscore.datasets.covid_ct_md_labels import (
    INDEX,
    LOBE_ORDER,
    SLICE_LABELS,
    label_slices,
    read_labels,
)
from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry, Patient
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit, files_in

#: class -> (its folder, patients). The folder may also end in "subjects".
CLASSES = {
    "Normal": ("Normal Cases", 76),
    "CAP": ("Cap Cases", 60),
    "COVID-19": ("COVID-19 Cases", 169),
}

#: class -> the names of its patients' folders.
_NAMES = {"Normal": r"normal\d+", "CAP": r"cap\d+", "COVID-19": r"P\d+"}

#: So many missing numbers of slices are told of one patient.
_GAPS_TOLD = 6

CLINICAL = "Clinical-data.csv"
_CLINICAL_COLUMNS = ("Diagnosis", "Folder", "Patient Gender", "Patient Age")


def _patients(visit: Visit) -> Iterator[Patient]:
    """Diagnosis, sex, age, weight and symptoms (1 or 0) as the table gives them."""
    seen: set[str] = set()
    for line, row in read_table(visit, CLINICAL, _CLINICAL_COLUMNS):
        label, who, sex, age = (row.pop(name) for name in _CLINICAL_COLUMNS)
        if label not in CLASSES:
            visit.problem("class-unknown", CLINICAL, f"line {line}: the class {label!r}")
        elif who in seen or not who:
            visit.problem("duplicate-patient", CLINICAL, f"{who!r} stands twice (line {line})")
        else:
            seen.add(who)
            known = {"patient": who, "label": label, "sex": sex or None}
            more = {name.lower(): _value(cell) for name, cell in row.items() if name}
            yield {**more, **known, "age": _value(age.removesuffix("Y"))}


def _value(cell: str) -> str | float | None:
    """The number in a cell, or else its text; None for what is not known."""
    if cell in ("", "NA"):
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def _walk(visit: Visit) -> Iterator[Entry]:
    slices, lobes = read_labels(visit)
    visit.patients = [_with_lobes(row, lobes) for row in visit.patients or ()]
    diagnoses = {str(row["patient"]): str(row["label"]) for row in visit.patients}
    unseen = {**dict.fromkeys(slices, INDEX), **dict.fromkeys(diagnoses, CLINICAL)}
    for label, (place, published) in CLASSES.items():
        alone = [path for path in visit.folders(".") if re.fullmatch(_NAMES[label], path.name)]
        own = _folder(visit, place)
        patients = (
            alone if alone and not (visit.root / own).is_dir() else visit.folders(own) + alone
        )
        visit.count(f"patients with {label}", len(patients), published)
        for folder in patients:
            who = folder.name
            unseen.pop(who, None)
            if _agrees(visit, folder, label, diagnoses):
                yield from _entries(visit, folder, label, slices.get(who))
            else:
                visit.use(*files_in(folder, (".dcm",)))
    for who, table in unseen.items():
        visit.problem("file-missing", who, f"{table} names this patient, there is no such folder")


def _folder(visit: Visit, place: str) -> str:
    """The name that a class's folder has here: it is published in two spellings."""
    other = place.replace("Cases", "subjects")
    names = {each.name.casefold(): each.name for each in visit.root.iterdir() if each.is_dir()}
    return names.get(place.casefold()) or names.get(other.casefold()) or place


def _with_lobes(row: Patient, lobes: Mapping[str, np.ndarray]) -> Patient:
    """The row with the number of slices whose infection reaches each lobe; None if unlabelled."""
    cases = lobes.get(str(row["patient"]))
    counts = [None] * len(LOBE_ORDER) if cases is None else cases.sum(axis=0).tolist()
    return {**row, **{f"{name} slices": n for name, n in zip(LOBE_ORDER, counts, strict=True)}}


def _agrees(visit: Visit, folder: Path, label: str, diagnoses: Mapping[str, str]) -> bool:
    """Whether the table says of a patient what the folder says."""
    who = folder.name
    if diagnoses and who not in diagnoses:
        visit.problem("table-values", CLINICAL, f"it has no row for {who}")
    if diagnoses.get(who, label) == label:
        return True
    found = f"the folder says {label}, {CLINICAL} says {diagnoses[who]}"
    visit.problem("patient-in-two-classes", folder, found)
    visit.in_conflict.add(who)
    return False


def _entries(
    visit: Visit, folder: Path, label: str, infected: np.ndarray | None
) -> Iterator[Entry]:
    who, files = folder.name, files_in(folder, (".dcm",))
    if not files:
        visit.problem("file-missing", folder, "it holds no slice")
    gaps = _gaps(files)
    if gaps:
        visit.problem("number-gap", folder, f"no slice is numbered {', '.join(map(str, gaps))}")
    labels: Mapping[Path, str] = {}
    if infected is not None and files:
        labels = label_slices(visit, files, infected, complete=not gaps)
    for path in files:
        place = visit.relative(path)
        yield Entry(place, who, "dicom", patient=who, label=label, slice_label=labels.get(path))


def _gaps(files: Sequence[Path]) -> list[int]:
    """The first numbers that are missing below the highest in names such as IM0001.dcm."""
    found = [re.fullmatch(r"\D*(\d+)", path.stem) for path in files]
    numbers = {int(match[1]) for match in found if match}
    missing = (n for n in range(1, max(numbers, default=0)) if n not in numbers)
    return list(islice(missing, _GAPS_TOLD))


DATASET = Dataset(
    name="covid-ct-md",
    title="COVID-CT-MD",
    what="chest CT of patients with COVID-19, with another pneumonia (CAP) and without (Normal); "
    "79 of them with infected slices and lobes marked by radiologists",
    size="305 patients (169 COVID-19, 60 CAP, 76 Normal), about 45 000 DICOM slices, 11 GB packed",
    licence="see the data's page",
    citation="Afshar P, Heidarian S, Enshaei N, et al. COVID-CT-MD, COVID-19 computed tomography "
    "scan dataset applicable in machine learning and deep learning. Sci Data 2021;8:121. "
    "doi:10.1038/s41597-021-00900-3",
    where="https://doi.org/10.6084/m9.figshare.12991592",
    seen="the authors' README and Index.csv (github.com/ShahinSHH/COVID-CT-MD), readers of "
    "COVIDNet-CT and MEDFAIR",
    unverified="licence of the data; shape and number type of the arrays; whether slices are "
    "numbered without gaps; the name of the table with three radiologists' diagnoses",
    walk=_walk,
    labels=tuple(CLASSES),
    slice_labels=SLICE_LABELS,
    patients=_patients,
)
