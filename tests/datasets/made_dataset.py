"""A made-up dataset of pictures, CLASS/PATIENT/SCAN/NUMBER.png, for the tests of the framework."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry
from lungscore.datasets.visit import Visit

CLASSES = ("mild", "severe")


def picture(seed: int, shape: tuple[int, ...] = (8, 9)) -> np.ndarray:
    """Grey levels, different for every seed."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path: Path, values: np.ndarray, **options) -> Path:
    """Write uint8 values as a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def make_tree(root: Path, *, patients: int = 4, slices: int = 2) -> Path:
    """So many patients, mild and severe in turn, of one scan each."""
    for patient in range(patients):
        for index in range(slices):
            scan = root / CLASSES[patient % 2] / f"p{patient}" / "s1"
            save(scan / f"{index}.png", picture(100 * patient + index))
    return root


def walk(visit: Visit) -> Iterator[Entry]:
    """All pictures; a label beside one is NAME.mask.png below masks/."""
    count = 0
    for label in CLASSES:
        for patient in visit.folders(label):
            for scan in visit.folders(f"{label}/{patient.name}"):
                case = f"{label}/{patient.name}/{scan.name}"
                for image in visit.files(case):
                    count += 1
                    yield Entry(
                        visit.relative(image), case, "slice", patient=patient.name, label=label
                    )
    visit.count("slices", count, None)


def made(read=walk, **changes) -> Dataset:
    """The dataset, read by ``read``, with other facts where given."""
    facts = dict.fromkeys(
        ("title", "what", "size", "licence", "citation", "where", "seen", "unverified"), "made up"
    )
    return Dataset(**{"name": "made", "labels": CLASSES, "walk": read, **facts, **changes})


def of_entries(*entries: Entry, **changes) -> Dataset:
    """A dataset of these entries."""
    return made(lambda visit: iter(entries), **changes)


def told(problems) -> list[tuple[str, str]]:
    """(code, path) of every problem, sorted."""
    return sorted((problem.code, problem.path) for problem in problems)
