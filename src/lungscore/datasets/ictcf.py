"""iCTCF (HUST-19): chest CTs of patients with and without COVID-19, and their clinical tables.

Ning et al., Nat Biomed Eng 2020. Two parts: CTs of single patients (``Patient 1/CT/*.jpg``, 8-bit,
lung window, no spacing), and slices that radiologists sorted (``nCT``, ``pCT``, ``NiCT``), whose
names tell no patient.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.ictcf_patients import CLASSES, TABLE, patients
from lungscore.datasets.records import Entry
from lungscore.datasets.visit import Visit, stem
from lungscore.scan.slices import natural_order

NAME = "ictcf"

#: Folder of sorted slices -> how many were published. n: negative, p: positive for COVID-19,
#: Ni: not informative (too little lung).
SORTED = {"nCT": 9979, "pCT": 4001, "NiCT": 5705}

#: Patients in the table.
PATIENTS = 1521

_FOLDER = re.compile(r"Patient ([1-9][0-9]*)")


def _walk(visit: Visit) -> Iterator[Entry]:
    told = {str(each["patient"]): each for each in visit.patients or ()}
    if told:
        visit.count("patients in the table", len(told), PATIENTS)
    folders = _patient_folders(visit)
    visit.count("patients with a CT", len(folders), None)
    for name, folder in folders.items():
        if told and name not in told:
            visit.problem("table-values", TABLE, f"it has no row of {name}, whose CT is there")
            visit.in_conflict.add(name)
        label = told[name]["label"] if name in told else None
        yield from _scan(visit, folder, name, None if label is None else str(label))
    for name, each in told.items():
        if each["ct_reading"] is not None and name not in folders:
            visit.problem(
                "file-missing", name, f"{TABLE} gives the reading of a CT that is not here"
            )
    for kind, published in SORTED.items():
        images = visit.files(kind)
        visit.count(f"{kind} slices", len(images), published)
        for image in images:
            # Whose slice it is nobody says: it may be of any patient, so it never tests.
            place = visit.relative(image)
            yield Entry(place, f"{kind}/{stem(image)}", "slice", slice_label=kind, group="train")


def _scan(visit: Visit, folder: Path, name: str, label: str | None) -> Iterator[Entry]:
    images = visit.files(f"{visit.relative(folder)}/CT")
    if not images and (folder / "CT").is_dir():
        visit.problem("file-missing", folder / "CT", "it holds no image")
    for image in images:
        yield Entry(visit.relative(image), name, "slice", patient=name, label=label)


def _patient_folders(visit: Visit) -> dict[str, Path]:
    """patient -> folder, in natural order; they lie in the root, or in one folder together."""
    found: dict[str, Path] = {}
    inside = [*visit.root.glob("Patient *"), *visit.root.glob("*/Patient *")]
    for path in sorted(inside, key=lambda path: natural_order(Path(path.name, path.parent.name))):
        wanted = path.is_dir() and _FOLDER.fullmatch(path.name)
        if not wanted or _FOLDER.fullmatch(path.parent.name):
            continue
        if path.name in found:
            first = visit.relative(found[path.name])
            visit.problem("duplicate-patient", path, f"the patient lies in {first} too")
            visit.in_conflict.add(path.name)
        else:
            found[path.name] = path
    if not found:
        visit.problem("folder-missing", "Patient 1", "there is no folder of a patient")
    return found


DATASET = Dataset(
    name=NAME,
    title="iCTCF (HUST-19)",
    what="chest CTs of patients with COVID-19 and of controls as JPEG slices (lung window, no HU, "
    "no spacing), their clinical class, laboratory values and outcome; slices sorted by "
    "radiologists into negative, positive and not informative",
    size="1521 patients in the table, not all with a CT; 19,685 sorted slices",
    licence="CC BY 4.0",
    citation="Ning W, Lei S, Yang J, et al. Open resource of clinical data from patients with "
    "pneumonia for the prediction of COVID-19 outcomes via deep learning. Nat Biomed Eng "
    "2020;4(12):1197-1207. doi:10.1038/s41551-020-00633-5",
    where="https://ngdc.cncb.ac.cn/ictcf/HUST-19.php (also http://ictcf.biocuckoo.cn)",
    seen="readers and downloaders of others: COVIDNet-CT, case studies of the clinical table; one "
    "scan itself",
    unverified="the clinical table is no file of the site but an export, so its encoding and the "
    "names of its laboratory columns; whether every patient with a CT reading has images; whether "
    "a scan's slices are numbered without gaps",
    walk=_walk,
    labels=CLASSES,
    slice_labels=tuple(SORTED),
    patients=patients,
)
