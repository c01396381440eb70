"""The slices that an experiment names, from the folder of real data."""

import difflib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from lungscore.datasets import covid_semiseg, healthy, medseg, medseg_volumes
from lungscore.datasets.manifest import FORMATS
from lungscore.datasets.sample import Sample
from lungscore.errors import InputError


def data_root() -> Path:
    """The folder that the environment variable LUNGSCORE_DATA names. Raises input-not-found."""
    root = os.environ.get("LUNGSCORE_DATA")
    if not root or not Path(root).is_dir():
        raise InputError(
            "input-not-found",
            "LUNGSCORE_DATA is not set",
            hint="Set it to the folder that contains the datasets (docs/training.md)",
        )
    return Path(root)


#: Datasets of annotated slices that need no manifest. "covid-semiseg-pseudo" are Semi-Inf-Net's
#: released pseudo-labels.
ANNOTATED_DATASETS = ("covid-semiseg", "covid-semiseg-pseudo", "medseg", "medseg-volumes")


def load_infected(names: tuple[str, ...], root: Path) -> list[Sample]:
    """The annotated training slices of the named datasets; test slices are never among them."""
    loaders = {
        "covid-semiseg": lambda: covid_semiseg.load(root / "covid-semiseg", "train"),
        "covid-semiseg-pseudo": lambda: covid_semiseg.load_pseudo(root / "covid-semiseg"),
        "medseg": lambda: medseg.load_training_crops(root / "medseg-slices"),
        "medseg-volumes": lambda: medseg_volumes.load(root / "medseg-volumes"),
    }
    return [sample for name in names for sample in loaders[name]()]


#: Datasets whose images train without labels and need no manifest.
UNLABELLED = ("covid-semiseg", "covid-semiseg-unlabelled")


def load_unlabelled(names: tuple[str, ...], root: Path) -> list[Sample]:
    """Training images whose labels are not looked at: the infection of every sample is empty."""
    loaders = {
        "covid-semiseg": lambda: covid_semiseg.load(root / "covid-semiseg", "train"),
        "covid-semiseg-unlabelled": lambda: covid_semiseg.load_unlabelled(root / "covid-semiseg"),
    }
    samples = [sample for name in names for sample in loaders[name]()]
    return [
        replace(sample, infection=np.zeros(sample.image.shape, bool), lesions=None)
        for sample in samples
    ]


def find_manifest(
    name: str,
    root: Path,
    *,
    key: str = "pretraining.unlabelled",
    known: tuple[str, ...] = UNLABELLED,
) -> Path:
    """The manifest of the name: manifests/NAME.parquet or .csv below ``root``.

    key: of the experiment that names it; known: the other names that it may give. Raises InputError
    config-invalid, which lists those that are there.
    """
    folder = root / "manifests"
    inside = folder.iterdir() if folder.is_dir() else ()
    # What prepare writes beside a manifest has a second suffix.
    there = sorted(p for p in inside if p.suffix in FORMATS and "." not in p.stem)
    matches = [path for path in there if path.stem == name]
    if len(matches) == 1:
        return matches[0]
    names = sorted({path.stem for path in there})
    close = difflib.get_close_matches(name, [*known, *names], n=1)
    raise InputError(
        "config-invalid",
        f"{key}: {name!r} is " + ("there as Parquet and as CSV" if matches else "no dataset"),
        expected=f"{', '.join(known)}, or a manifest in LUNGSCORE_DATA/manifests "
        f"({', '.join(names) or 'there is none'})",
        hint="Keep one of them" if matches else f"Did you mean {close[0]}?" if close else "",
    )


def load_healthy(folder: str | None, part: healthy.Part, root: Path) -> list[Sample]:
    """Slices of a healthy person's CT, or none."""
    return [] if folder is None else healthy.load(root / folder, part=part)


def fold_of(names: list[str], folds: int, seed: int = 20200414) -> dict[str, int]:
    """name -> fold 0…folds-1, the same for every run: a seeded shuffle of the sorted names."""
    order = np.random.default_rng(seed).permutation(sorted(set(names)))
    return {str(name): index % folds for index, name in enumerate(order)}
