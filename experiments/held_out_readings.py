"""The 50 annotated slices, each read by the network that had its fold held out, as analyze reads.

A full slice is seen as a slice of a volume is, in the lungs that lungscore finds; the published
crop as a lone slice is. Needs LUNGSCORE_DATA.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lungscore.anatomy import include_infection, lung_field
from lungscore.anatomy.lungs import Lungs
from lungscore.datasets import covid_semiseg
from lungscore.datasets.images import read_indices
from lungscore.datasets.training_slices import data_root, fold_of
from lungscore.files import atomic_path
from lungscore.inference import Segmenter
from lungscore.inference.bundle import WEIGHTS, sha256
from lungscore.inference.readings import THRESHOLD
from lungscore.inference.segment import find_lungs_of
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan import Scan, read_scan
from trained import bundle_in

FOLDS = 5


class Readings(NamedTuple):
    """One slice, full or a crop.

    probability: (READINGS, H, W) float32, the reading that counts first. counted: (H, W) bool,
    where infection counts. drawn: (H, W) bool, what radiologists drew.
    """

    probability: np.ndarray
    counted: np.ndarray
    drawn: np.ndarray

    def percents(self, levels: tuple[float, ...]) -> np.ndarray:
        """The infected percent at each level by each reading, (levels, READINGS)."""
        found = self.probability[:, self.counted]
        return np.array([100 * (found >= level).mean(axis=1) for level in levels])

    @property
    def drawn_percent(self) -> float:
        """All that is drawn, also where lung was not found, in percent of what counts."""
        return 100 * float(self.drawn.sum() / self.counted.sum())


class HeldOutSlice(NamedTuple):
    """An annotated slice and the fold that held it out."""

    fold: int
    full: Readings
    crop: Readings


def run_of_fold(runs: Path, fold: int) -> Path:
    """The run of a fold of an experiment, or a bundle in its place."""
    return runs / f"fold{fold}-seed0"


def weights_of_folds(runs: Path) -> list[str]:
    """The checksums of the weights, for a result file."""
    return [sha256(run_of_fold(runs, fold) / WEIGHTS) for fold in range(FOLDS)]


def held_out_slices(runs: Path) -> Iterator[HeldOutSlice]:
    """Every annotated slice, fold by fold; what is read is kept beside the weights."""
    for fold in range(FOLDS):
        run = run_of_fold(runs, fold)
        kept = run / f"held-out-readings-{sha256(run / WEIGHTS)[:12]}.npz"
        if not kept.is_file():
            _keep(list(_read_fold(fold, Segmenter(bundle_in(run), threads=1))), kept)
        yield from _kept(fold, kept)


def _read_fold(fold: int, segmenter: Segmenter) -> Iterator[HeldOutSlice]:
    root = data_root()
    samples = covid_semiseg.load(root / "covid-semiseg", "train")
    files = covid_semiseg.image_files(root / "covid-semiseg", "train")
    folds = fold_of([sample.name for sample in samples], FOLDS)
    for sample in samples:
        if folds[sample.name] != fold:
            continue
        name = f"{sample.name}.png"
        labels = read_indices(root / "medseg-slices/labels" / name, allowed=(0, 1, 2, 3))
        infection = np.isin(labels, (GGO, CONSOLIDATION))
        full = root / "medseg-slices/images" / name
        yield HeldOutSlice(
            fold,
            read_full_slice(full, infection, segmenter),
            read_crop(files[sample.name], sample.infection.T, segmenter),
        )


def _keep(slices: list[HeldOutSlice], file: Path) -> None:
    arrays = {
        f"{number:02}.{kind}.{field}": array
        for number, held_out in enumerate(slices)
        for kind, readings in (("full", held_out.full), ("crop", held_out.crop))
        for field, array in readings._asdict().items()
    }
    with atomic_path(file) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def _kept(fold: int, file: Path) -> Iterator[HeldOutSlice]:
    with np.load(file, allow_pickle=False) as arrays:
        for number in sorted({key.partition(".")[0] for key in arrays}):
            full, crop = (
                Readings(*(arrays[f"{number}.{kind}.{field}"] for field in Readings._fields))
                for kind in ("full", "crop")
            )
            yield HeldOutSlice(fold, full, crop)


def read_full_slice(file: Path, drawn: np.ndarray, segmenter: Segmenter) -> Readings:
    """Counted in its lungs. Two copies of it are a volume, and seen as one."""
    scan = read_scan(file)
    lungs = find_lungs_of(scan, lambda: segmenter)
    scan = replace(scan, values=np.repeat(scan.values, 2, axis=0))
    lungs = Lungs(np.repeat(lungs.labels, 2, axis=0), lungs.sides_known)
    field = lung_field(lungs, scan.spacing_mm)
    probability = readings(segmenter, scan, lungs)
    infected = np.repeat([(probability[0] >= THRESHOLD) & field[0]], 2, axis=0)
    lungs = include_infection(lungs, infected, scan)
    return Readings(probability, lungs.labels[0] > 0, drawn)


def read_crop(file: Path, drawn: np.ndarray, segmenter: Segmenter) -> Readings:
    """Counted everywhere."""
    probability = readings(segmenter, read_scan(file), None)
    return Readings(probability, np.ones(drawn.shape, bool), drawn)


def readings(segmenter: Segmenter, scan: Scan, lungs: Lungs | None) -> np.ndarray:
    """The probabilities (READINGS, H, W) of the first slice, those that count first."""
    finding = next(segmenter.find(scan, lungs))
    _, further = next(segmenter.read_otherwise(scan, lungs, {0}))
    return np.stack([finding.probability, *further])
