"""MedSeg: the full slices that COVID-SemiSeg's crops were cut from, in another window.

"100 axial CT slices" of medicalsegmentation.com; terms at the source. Layout: images/*.png and
labels/*.png in normal orientation (0 background, 1 ground-glass opacity, 2 consolidation,
3 pleural effusion), and crop_of_covid_semiseg.csv, which maps a crop back to its slice. The
original download is two NIfTI stacks, tr_im with its labels tr_mask and val_im without; lungs of
the first are a download of their own.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.images import pair, read_grey, read_indices
from lungscore.datasets.records import Companion, Entry, Group
from lungscore.datasets.sample import Sample
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit, stem
from lungscore.errors import InputError
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan.nifti import open_nifti
from lungscore.scan.window import crop

NAME = "medseg"
CROPS = "crop_of_covid_semiseg.csv"
CLINICAL = "Test-Images-Clinical-Details.csv"

SLICES, TEST_SLICES = 100, 10

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
    """The original stacks, or the same slices as pictures (see the module's text)."""
    pictures = visit.root.joinpath("images").is_dir()
    yield from _pictures(visit) if pictures else _stacks(visit)


def _pictures(visit: Visit) -> Iterator[Entry]:
    split = _sides(visit)
    images = visit.files("images")
    visit.count("slices", len(images), SLICES)
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


def _stacks(visit: Visit) -> Iterator[Entry]:
    """A stack is one file and one row: slices of different patients, not a volume of one."""
    training, test = (_stack(visit, name) for name in ("tr_im", "val_im"))
    labels, lungs = (_stack(visit, name) for name in ("tr_mask", "tr_lungmasks_updated"))
    visit.use(CLINICAL)
    for name, stack, published in (
        ("slices", training, SLICES),
        ("slices without labels", test, TEST_SLICES),
    ):
        visit.count(name, 0 if stack is None else _depth(stack), published)
    if training is not None:
        if labels is None:
            visit.problem("file-missing", "tr_mask.nii.gz", "tr_im has no labels")
        yield Entry(
            visit.relative(training),
            "tr_im",
            "volume",
            # Among its slices are those that COVID-SemiSeg tests on, and a row has one side.
            group="test",
            mask=None if labels is None else visit.relative(labels),
            mask_values=(0, 1, 2, 3),
            companions=() if lungs is None else (Companion(visit.relative(lungs), (0, 1, 2)),),
        )
    if test is not None:
        yield Entry(visit.relative(test), "val_im", "volume", group="test")


def _stack(visit: Visit, name: str) -> Path | None:
    """The stack called so, packed or not; None where it is not there."""
    paths = (visit.root / f"{name}{ending}" for ending in (".nii.gz", ".nii"))
    return next((path for path in paths if path.is_file()), None)


def _depth(path: Path) -> int:
    """Slices that the header promises; 0 where it cannot be read (the file is told later)."""
    try:
        with open_nifti(path) as stored:
            return stored.shape[2]
    except (InputError, OSError):
        return 0


DATASET = Dataset(
    name=NAME,
    title="MedSeg COVID-19 CT segmentation, dataset 1",
    what="axial CT slices with GGO, consolidation and pleural effusion; ten more without labels",
    size="100 labelled and 10 unlabelled slices of more than 40 patients, in NIfTI stacks",
    licence="CC0",
    citation="MedSeg, Jenssen HB, Sakinis T. MedSeg Covid Dataset 1. figshare 2021. "
    "doi:10.6084/m9.figshare.13521488.v2",
    where="https://medicalsegmentation.com/covid19",
    seen="readers of the original download; PNG written from the original stacks",
    unverified="headers of the stacks; the name of the table that tells where a slice comes from",
    walk=_walk,
    overlaps=("covid-semiseg",),
)
