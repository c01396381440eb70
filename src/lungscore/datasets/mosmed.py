"""MosMedData COVID19_1110: chest CT of 1110 people by severity class, 50 of them with masks.

Morozov et al. 2020 (arXiv:2005.06465; Digital Diagnostics 1:49-59), CC BY-NC-ND 3.0. Layout, counts
and classes: the dataset's own README. Every study shows another patient, so its number stands for
the patient. Only every tenth image of a series was kept; the classes were given before.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import VOLUMES, Visit, stem

#: class -> studies of it, from no signs to more than 75 % of the lungs.
CLASSES = {"CT-0": 254, "CT-1": 684, "CT-2": 125, "CT-3": 45, "CT-4": 2}
MASKS = 50

REGISTRY = "dataset_registry.csv"
_WORKBOOK = "dataset_registry.xlsx"


def _walk(visit: Visit) -> Iterator[Entry]:
    studies = {label: _files(visit, f"studies/{label}") for label in CLASSES}
    masks = {stem(path).removesuffix("_mask"): path for path in _files(visit, "masks")}
    for label, published in CLASSES.items():
        visit.count(f"studies of {label}", len(studies[label]), published)
    visit.count("masks", len(masks), MASKS)
    named = {stem(path) for paths in studies.values() for path in paths}
    categories = _categories(visit, named, masks)
    for label, paths in studies.items():
        for path in paths:
            study = stem(path)
            if not _agrees(visit, path, label, categories):
                visit.use(path)
                continue
            mask = masks.get(study)
            yield Entry(
                visit.relative(path),
                study,
                "volume",
                patient=study,
                label=label,
                mask=None if mask is None else visit.relative(mask),
                mask_values=(0, 1),
            )
    for study in sorted(masks.keys() - named):
        visit.problem("file-missing", masks[study], "there is no study of its name")
    visit.use(*masks.values())


def _files(visit: Visit, place: str) -> list[Path]:
    """The volumes called study_NNNN…; others are left for the list of unknown files."""
    files = visit.files(place, VOLUMES)
    return [path for path in files if path.name.startswith("study_") and " " not in path.name]


def _categories(
    visit: Visit, studies: set[str], masks: Mapping[str, Path]
) -> dict[str, str] | None:
    """study -> class of the registry; None where it is not there as CSV.

    The registry says nothing that folders and names do not say, so the published workbook alone
    is enough; a CSV of it (in UTF-8) is compared with them, row by row.
    """
    if not (visit.root / REGISTRY).is_file() and (visit.root / _WORKBOOK).is_file():
        visit.use(_WORKBOOK)
        return None
    visit.use(_WORKBOOK)
    columns = ("study_id", "category", "study_file", "mask_file")
    categories: dict[str, str] = {}
    for line, row in read_table(visit, REGISTRY, columns):
        if not row["study_id"].isdecimal():
            found = f"line {line}: study_id is {row['study_id']!r}"
            visit.problem("table-values", REGISTRY, found)
            continue
        study = f"study_{int(row['study_id']):04d}"
        if study in categories:
            visit.problem("duplicate-patient", REGISTRY, f"{study} stands twice (line {line})")
        if row["category"] not in CLASSES:
            found = f"line {line}: the class {row['category']!r}; known are {', '.join(CLASSES)}"
            visit.problem("class-unknown", REGISTRY, found)
        for place, known in ((row["study_file"], studies), (row["mask_file"], masks)):
            if place and study not in known:
                visit.problem("file-missing", place.lstrip("/"), "the registry names it")
        categories.setdefault(study, row["category"])
    return categories or None


def _agrees(visit: Visit, path: Path, label: str, categories: Mapping[str, str] | None) -> bool:
    """Whether the registry says nothing else of a study than the folder that it lies in."""
    study = stem(path)
    if categories is None:
        return True
    if study not in categories:
        visit.problem("table-values", REGISTRY, f"it has no row for {study}")
        return True
    if categories[study] == label or categories[study] not in CLASSES:
        return True  # an unknown class was told of its row
    found = f"it lies in {label}, the registry says {categories[study]}"
    visit.problem("patient-in-two-classes", path, found)
    visit.in_conflict.add(study)
    return False


DATASET = Dataset(
    name="mosmed",
    title="MosMedData COVID19_1110",
    what="chest CT by severity class CT-0 to CT-4 (radiologists, no PCR), every tenth image of a "
    "series; 50 of class CT-1 with masks of ground-glass opacity and consolidation together",
    size="1110 volumes (NIfTI) of 1110 patients, 33 GB unpacked; 50 masks",
    licence="CC BY-NC-ND 3.0",
    citation="Morozov SP, Andreychenko AE, Pavlov NA, et al. MosMedData: data set of 1110 chest CT "
    "scans performed during the COVID-19 epidemic. Digital Diagnostics 2020;1(1):49-59. "
    "doi:10.17816/DD46826 (arXiv:2005.06465)",
    where="https://mosmed.ai/datasets/covid19_1110",
    seen="README_EN.md of the download; dataset_registry.csv",
    unverified="headers of the volumes; checksums, of which none are published",
    walk=_walk,
    labels=tuple(CLASSES),
)
