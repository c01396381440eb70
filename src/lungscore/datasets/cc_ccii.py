"""CC-CCII: slices of chest CTs with COVID-19 (NCP), other pneumonia (CP) or neither.

Zhang et al., Cell 2020. ``NCP|CP|Normal/<patient>/<scan>/<slice>``, PNG or JPEG, and two tables.
Beside them, ``ct_lesion_seg`` has slices with masks, whose folders name no patient of the others.
"""

from collections.abc import Iterator
from pathlib import Path

from lungscore.datasets.cc_ccii_tables import (
    CLASSES,
    LESIONS,
    SCANS,
    Key,
    Scans,
    read_lesions,
    read_scans,
)
from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry
from lungscore.datasets.visit import Visit, files_in

NAME = "cc-ccii"
MASKS = "ct_lesion_seg"

#: What is counted -> how many were published.
PUBLISHED = {"slices": 617_775, "patients": 4154, "slices with masks": 750, "masked cases": 150}


def _walk(visit: Visit) -> Iterator[Entry]:
    yield from _masked(visit)
    scans, lesions = read_scans(visit), read_lesions(visit)
    listed = bool(scans)
    slices, patients = 0, set()
    for label in CLASSES:
        for patient in visit.folders(label):
            patients.add(patient.name)
            for scan in visit.folders(f"{label}/{patient.name}"):
                key = (label, patient.name, scan.name)
                if listed and key not in scans:
                    _unlisted(visit, key)
                    continue
                images = _images(visit, key, scans)
                slices += len(images)
                yield from _scan(visit, key, images, lesions)
    visit.count("slices", slices, PUBLISHED["slices"])
    visit.count("patients", len(patients), PUBLISHED["patients"])
    for key, (count, archive) in scans.items():
        if (visit.root / key[0]).is_dir():
            found = f"{archive} holds this scan of {count} slices"
            visit.problem("folder-missing", "/".join(key), found)
    for place, names in lesions.items():
        if (visit.root / place.split("/")[0]).is_dir():
            visit.problem("file-missing", place, f"{LESIONS} names {len(names)} slices of it")


def _unlisted(visit: Visit, key: Key) -> None:
    place = "/".join(key)
    visit.problem("file-unknown", place, f"{SCANS} does not list this scan; it was left out")
    visit.use(*files_in(visit.root / place))


def _images(visit: Visit, key: Key, scans: Scans) -> list[Path]:
    """The slices of one scan, which leaves the table; are they as many as the table says?"""
    place = "/".join(key)
    images = files_in(visit.root / place)
    count, archive = scans.pop(key, (len(images), ""))
    if len(images) != count:
        code = "count-short" if len(images) < count else "count-above"
        visit.problem(code, place, f"{len(images)} slices of {count} in {archive}")
    return images


def _scan(
    visit: Visit, key: Key, images: list[Path], lesions: dict[str, set[str]]
) -> Iterator[Entry]:
    place = "/".join(key)
    label, patient, _ = key
    marked = lesions.pop(place, set())
    for image in images:
        lesion = "lesion" if image.name in marked else None
        marked.discard(image.name)
        own = f"{place}/{image.name}"
        yield Entry(own, place, "slice", patient=patient, label=label, slice_label=lesion)
    for name in sorted(marked):
        visit.problem("file-missing", f"{place}/{name}", f"{LESIONS} names it")


def _masked(visit: Visit) -> Iterator[Entry]:
    slices, cases = 0, visit.folders(f"{MASKS}/image")
    for folder in cases:
        images = files_in(folder)
        slices += len(images)
        for image, mask in visit.pairs(images, visit.files(f"{MASKS}/mask/{folder.name}")):
            place = visit.relative(image)
            case = f"{MASKS}/{folder.name}"
            mask_place = visit.relative(mask)
            yield Entry(
                place, case, "slice", label="NCP", mask=mask_place, mask_values=(0, 1, 2, 3)
            )
    visit.count("slices with masks", slices, PUBLISHED["slices with masks"])
    visit.count("masked cases", len(cases), PUBLISHED["masked cases"])


DATASET = Dataset(
    name=NAME,
    title="CC-CCII",
    what="slices of chest CTs as PNG or JPEG (lung window, no HU, no spacing) of patients with "
    "COVID-19 (NCP), other pneumonia (CP) and neither (Normal); 750 slices with masks of lung, GGO "
    "and consolidation",
    size="617,775 slices of 4154 patients",
    licence="CC BY 3.0 CN",
    citation="Zhang K, Liu X, Shen J, et al. Clinically applicable AI system for accurate "
    "diagnosis, quantitative measurements, and prognosis of COVID-19 pneumonia using computed "
    "tomography. Cell 2020;181(6):1423-1433. doi:10.1016/j.cell.2020.04.045",
    where="http://ncov-ai.big.ac.cn/download?lang=en",
    seen="readers of others: COVIDNet-CT, readers of ct_lesion_seg; the heads of both tables",
    unverified="which of the mask's values 2 and 3 is GGO (the description names background, lung, "
    "GGO, consolidation in this order); which patients the masked slices show; the clinical table, "
    "which is not read; whether the files for download are as many as the paper counts",
    walk=_walk,
    labels=CLASSES,
    slice_labels=("lesion",),
)
