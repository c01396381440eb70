"""MedSeg: the full slices that COVID-SemiSeg's crops were cut from, in another window.

"100 axial CT slices" of medicalsegmentation.com; terms at the source. Layout: images/*.png and
labels/*.png in normal orientation (0 background, 1 ground-glass opacity, 2 consolidation,
3 pleural effusion), and crop_of_covid_semiseg.csv, which maps a crop back to its slice.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lungscore.datasets.dataset import Dataset, Entry, Group
from lungscore.datasets.images import pair, read_grey, read_indices
from lungscore.datasets.sample import Sample
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit, stem
from lungscore.errors import InputError
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan.window import crop

NAME = "medseg"
CROPS = "crop_of_covid_semiseg.csv"
_SIDES: dict[str, Group] = {"train": "train", "test": "test"}


def load_training_crops(root: Path, *, margin: float = 0.1) -> list[Sample]:
    """The 50 training slices of COVID-SemiSeg as this dataset shows them: other grey levels.

    margin: how much more than the published crop is kept on each side, as a fraction of its size.
    Slices of the test set are never returned. Raises dataset-incomplete or label-invalid.
    """
    files = {name: (image, label) for name, image, label in pair(root / "images", root / "labels")}
    try:
        with open(root / CROPS, newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
        boxes = {row["name"]: _box(row, margin) for row in rows}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            "dataset-incomplete",
            f"{CROPS} is missing or damaged",
            expected="name, split, height, width, row0_in_transposed and col0_in_transposed",
        ) from error
    samples = []
    for name, box in boxes.items():
        if name not in files:
            raise InputError("dataset-incomplete", f"slice {name} is missing")
        image_file, label_file = files[name]
        image = read_grey(image_file)
        lesions = read_indices(label_file, allowed=(0, 1, 2, 3))
        if image.shape != lesions.shape:
            raise InputError("label-invalid", f"{name}: image and labels differ in size")
        lesions = crop(lesions, box)
        lesions = np.where(np.isin(lesions, (GGO, CONSOLIDATION)), lesions, 0).astype(np.uint8)
        samples.append(Sample(crop(image, box), lesions > 0, name, NAME, lesions=lesions))
    return samples


def _box(row: dict[str, str], margin: float) -> tuple[int, int, int, int]:
    """The crop's box in the slice's normal orientation (the table speaks of the transposed)."""
    column0, row0 = int(row["row0_in_transposed"]), int(row["col0_in_transposed"])
    width, height = int(row["height"]), int(row["width"])
    down, right = round(margin * height), round(margin * width)
    return row0 - down, row0 + height + down, column0 - right, column0 + width + right


def _sides(visit: Visit) -> dict[str, Group]:
    """name -> its side in COVID-SemiSeg."""
    split: dict[str, Group] = {}
    for line, cells in read_table(visit, CROPS, ("name", "split")):
        side = _SIDES.get(cells["split"])
        if side is None or split.setdefault(cells["name"], side) != side:
            visit.problem("table-values", CROPS, f"line {line}: split is {cells['split']!r}")
    return split


def _walk(visit: Visit) -> Iterator[Entry]:
    split = _sides(visit)
    images = visit.files("images")
    visit.count("slices", len(images), 100)
    for name in sorted(split.keys() - {stem(image) for image in images}):
        visit.problem("file-missing", f"images/{name}.png", f"{CROPS} names it")
    for image, labels in visit.pairs(images, visit.files("labels")):
        yield Entry(
            visit.relative(image),
            f"slice-{stem(image)}",
            "slice",
            # What COVID-SemiSeg tests on must not train, nor what nobody knows a side of.
            group=split.get(stem(image), "test"),
            mask=visit.relative(labels),
            mask_values=(0, 1, 2, 3),
        )


DATASET = Dataset(
    name=NAME,
    title="MedSeg COVID-19 CT segmentation",
    what="axial CT slices with GGO, consolidation and pleural effusion",
    size="100 slices of more than 40 patients",
    licence="at the source",
    citation="MedSeg, Jenssen HB, Sakinis T. COVID-19 CT segmentation dataset. 2020.",
    where="https://medicalsegmentation.com/covid19",
    seen="PNG written from the original NIfTI stacks",
    unverified="the stacks themselves",
    walk=_walk,
    overlaps=("covid-semiseg",),
)
