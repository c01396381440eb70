"""Which slices an experiment trains on, pre-trains on and holds out."""

from pathlib import Path

import numpy as np

from lungscore.datasets import covid_semiseg
from lungscore.datasets.lungs_of_slices import with_lungs
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import (
    ANNOTATED_DATASETS,
    UNLABELLED,
    data_root,
    find_manifest,
    fold_of,
    load_healthy,
    load_infected,
    load_unlabelled,
)
from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.labelled_slices import held_out, own_manifests, own_slices
from lungscore.learning.manifest_images import ManifestImages

#: The sources whose slices the folds are made of; both show the same slices under the same names.
ANNOTATED = ("covid-semiseg", "medseg")

#: Shuffles the slices once for ``data.slices``, so that 5 slices are among the 10.
_SEED_OF_SUBSETS = 20201123


def training_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The annotated slices, without those held out; only ``data.slices`` of them where given.

    Of one's own, those that show infection: the others are ``healthy_slices``. Raises
    dataset-incomplete where none is left.
    """
    public = _without_held_out(load_infected(_public(config), root), config)
    own = [sample for sample in own_training_slices(config, root) if sample.infection.any()]
    if config.data.infected and not public and not own:
        raise InputError(
            "dataset-incomplete",
            f"{config.name}: none of the slices that train shows infection",
            expected="marked infection in the group train",
        )
    samples = _limited(public, own, config)
    return with_lungs(samples, root) if config.data.made_disease else samples


def healthy_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """Slices without infection, which teach silence: a healthy person's, those of further CTs
    without pneumonia, and one's own."""
    healthy = [
        sample
        for scan in (config.data.healthy, *config.data.clean)
        for sample in load_healthy(scan, config.data.healthy_part, root)
    ]
    own = own_training_slices(config, root)
    return healthy + [sample for sample in own if not sample.infection.any()]


def own_training_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The slices of one's own manifests that train."""
    if not own_manifests(config, root):
        return []
    samples = own_slices(config, root, "train")
    out = held_out(samples, config)
    return [sample for sample in samples if sample.patient not in out]


def _public(config: ExperimentConfig) -> tuple[str, ...]:
    return tuple(name for name in config.data.infected if name in ANNOTATED_DATASETS)


def _limited(public: list[Sample], own: list[Sample], config: ExperimentConfig) -> list[Sample]:
    """Only ``data.slices`` of the annotated slices, where it is given."""
    if config.data.slices is None:
        return public + own
    names = {sample.name for sample in public if sample.source in ANNOTATED}
    order = np.random.default_rng(_SEED_OF_SUBSETS).permutation(
        sorted(names | {sample.name for sample in own})
    )
    kept = {str(name) for name in order[: config.data.slices]}
    return [
        *(s for s in public if s.source not in ANNOTATED or s.name in kept),
        *(s for s in own if s.name in kept),
    ]


def held_out_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The annotated slices that the experiment's fold holds out; none without a fold."""
    samples = load_infected(("covid-semiseg",), root) if _uses_annotated(config) else []
    out = _held_out_names(config)
    return [s for s in samples if s.name in out] + own_held_out_slices(config, root)


def own_held_out_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The slices of one's own manifests that the experiment's fold holds out."""
    if config.data.fold is None or not own_manifests(config, root):
        return []
    samples = own_slices(config, root, "train")
    out = held_out(samples, config)
    return [sample for sample in samples if sample.patient in out]


def _uses_annotated(config: ExperimentConfig) -> bool:
    """Whether the folds are (also) of the 50 annotated slices: not where all labels are own."""
    return not config.data.infected or bool(_public(config))


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
    out = frozenset(_held_out_names(config))
    return ManifestImages(manifests, held_out=out, annotated=ANNOTATED)


def _without_held_out(samples: list[Sample], config: ExperimentConfig) -> list[Sample]:
    out = _held_out_names(config)
    return [s for s in samples if s.source not in ANNOTATED or s.name not in out]


def _held_out_names(config: ExperimentConfig) -> set[str]:
    if config.data.fold is None or not _uses_annotated(config):
        return set()
    folds = annotated_folds(config.data.folds)
    return {name for name, fold in folds.items() if fold == config.data.fold}


def annotated_folds(folds: int) -> dict[str, int]:
    """name -> fold of the 50 annotated training slices."""
    return fold_of(covid_semiseg.names(data_root() / "covid-semiseg"), folds)
