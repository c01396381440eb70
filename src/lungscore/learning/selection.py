"""Which slices an experiment trains on, pre-trains on and holds out."""

from pathlib import Path

import numpy as np

from lungscore.datasets import covid_semiseg
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import (
    UNLABELLED,
    data_root,
    find_manifest,
    fold_of,
    load_infected,
    load_unlabelled,
)
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.manifest_images import ManifestImages

#: The sources whose slices the folds are made of; both show the same slices under the same names.
ANNOTATED = ("covid-semiseg", "medseg")

#: Shuffles the slices once for ``data.slices``, so that 5 slices are among the 10.
_SEED_OF_SUBSETS = 20201123


def training_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The annotated slices, without those held out; only ``data.slices`` of them where given."""
    samples = _without_held_out(load_infected(config.data.infected, root), config)
    if config.data.slices is None:
        return samples
    names = sorted({sample.name for sample in samples if sample.source in ANNOTATED})
    order = np.random.default_rng(_SEED_OF_SUBSETS).permutation(names)
    kept = {str(name) for name in order[: config.data.slices]}
    return [s for s in samples if s.source not in ANNOTATED or s.name in kept]


def held_out_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The annotated slices that the experiment's fold holds out; none without a fold."""
    samples = load_infected(("covid-semiseg",), root)
    out = _held_out_names(config)
    return [sample for sample in samples if sample.name in out]


def unlabelled_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The images of pre-training that are kept in memory; none that the fold holds out."""
    if config.pretraining is None:
        return []
    names = tuple(name for name in config.pretraining.unlabelled if name in UNLABELLED)
    return _without_held_out(load_unlabelled(names, root), config)


def manifest_images(config: ExperimentConfig, root: Path) -> ManifestImages | None:
    """The images of pre-training that manifests name; none that the fold holds out.

    Raises InputError config-invalid for a name that is none, or manifest-invalid.
    """
    names = () if config.pretraining is None else config.pretraining.unlabelled
    manifests = {name: find_manifest(name, root) for name in names if name not in UNLABELLED}
    if not manifests:
        return None
    held_out = frozenset(_held_out_names(config))
    return ManifestImages(manifests, held_out=held_out, annotated=ANNOTATED)


def _without_held_out(samples: list[Sample], config: ExperimentConfig) -> list[Sample]:
    out = _held_out_names(config)
    return [s for s in samples if s.source not in ANNOTATED or s.name not in out]


def _held_out_names(config: ExperimentConfig) -> set[str]:
    if config.data.fold is None:
        return set()
    folds = annotated_folds(config.data.folds)
    return {name for name, fold in folds.items() if fold == config.data.fold}


def annotated_folds(folds: int) -> dict[str, int]:
    """name -> fold of the 50 annotated training slices."""
    return fold_of(covid_semiseg.names(data_root() / "covid-semiseg"), folds)
