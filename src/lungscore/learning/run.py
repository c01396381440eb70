"""From an experiment file to a finished run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root
from lungscore.errors import InputError
from lungscore.inference.bundle import Bundle
from lungscore.learning.bundles import bundle_to_start_from, facts_of_start
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.experiment_file import at, load_experiment, referred, run_folder
from lungscore.learning.labelled_slices import manifest_sums
from lungscore.learning.loop import WEIGHTS, Progress, finished, use_threads
from lungscore.learning.maps import priors_of_training
from lungscore.learning.pretrain import pretrain
from lungscore.learning.provenance import built_on, sums_of
from lungscore.learning.pseudo_labels import make_pseudo_labels, pseudo_labelled
from lungscore.learning.selection import (
    healthy_slices,
    manifest_images,
    own_training_slices,
    training_slices,
    unlabelled_slices,
)
from lungscore.learning.train import train


def run_experiment(
    file: Path,
    out: Path | None = None,
    *,
    fold: int | None = None,
    folds: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train what ``file`` describes, with ``fold``, ``folds`` and ``seed`` in place of its own.

    Returns the folder of the run. Raises InputError for a wrong file, missing data, a missing run
    that it starts from, or a checkpoint of another experiment.
    """
    config = at(load_experiment(file), fold=fold, seed=seed, folds=folds)
    folder = out or run_folder(config)
    if resume and finished(config, folder):
        return folder
    use_threads(threads)
    root = data_root()
    bundle = bundle_to_start_from(config)
    imagenet = _imagenet(config, root)

    def tell(progress: Progress) -> None:
        report(_line(config.name, progress))

    if config.pretraining is not None:
        images, manifests = unlabelled_slices(config, root), manifest_images(config, root)
        counts = {} if manifests is None else manifests.counts
        of_manifests = "".join(f", {count} images of {name}" for name, count in counts.items())
        report(f"{config.name}: {len(images)} slices without labels{of_manifests}")
        pretrain(
            config,
            images,
            folder,
            manifests=manifests,
            imagenet=imagenet,
            resume=resume,
            report=tell,
        )
        return folder
    start = bundle or _run_to_start_from(config, file)
    infected = training_slices(config, root)
    facts = _facts(config, root, bundle, sums_of(built_on(config, file)))
    if config.pseudo_labelling is not None:
        make_pseudo_labels(
            config,
            infected,
            root,
            folder,
            start=start,
            facts=facts,
            resume=resume,
            report=tell,
            say=report,
        )
        return folder
    # The published multi-class stage trains with the annotated infection itself as the prior.
    with_priors = config.target == "lesions" and config.training.recipe != "paper"
    infected += pseudo_labelled(config, file, root)
    healthy = healthy_slices(config, root)
    unused = "" if config.training.healthy_fraction else _UNUSED
    report(
        f"{config.name}: {len(infected)} labelled and {len(healthy)} healthy slices"
        + (unused if healthy else "")
    )
    train(
        config,
        infected=infected,
        healthy=healthy,
        out=folder,
        imagenet=imagenet,
        start=start,
        priors=priors_of_training(config, file) if with_priors else None,
        facts=facts,
        resume=resume,
        report=tell,
    )
    return folder


#: What is said where slices without infection take no part.
_UNUSED = ", which are left out: training.healthy_fraction is 0"


def run_folds(
    file: Path,
    runs: Path | None = None,
    *,
    folds: int,
    seed: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train ``file`` once for each of ``folds`` held-out folds, then on everything.

    The first runs measure the recipe, the last one is the network to use. Each lies in its own
    folder below ``runs`` (by default runs/NAME), which is returned. Raises InputError as
    ``run_experiment``.
    """
    config = at(load_experiment(file), seed=seed, fold=None, folds=folds)
    parent = runs or run_folder(config).parent
    for fold in (*range(folds), None):
        own = run_folder(at(config, fold=fold, seed=None)).name
        report(f"{config.name}: {'all cases' if fold is None else f'fold {fold + 1} of {folds}'}")
        run_experiment(
            file,
            parent / own,
            fold=fold,
            folds=folds,
            seed=seed,
            resume=resume,
            threads=threads,
            report=report,
        )
    return parent


def _facts(
    config: ExperimentConfig, root: Path, bundle: Bundle | None, runs: dict[str, str]
) -> dict[str, Any]:
    """What weights say of one's own data, and of the bundle or runs that they build on."""
    facts: dict[str, Any] = {"built_on": runs} if runs else {}
    if sums := manifest_sums(config, root):
        facts["manifests"] = sums
        facts["own_data"] = _counts(own_training_slices(config, root))
    if bundle is not None:
        facts["start"] = facts_of_start(bundle)
    return facts


def _counts(samples: list[Sample]) -> dict[str, int]:
    return {
        "slices": len(samples),
        "infected": sum(bool(sample.infection.any()) for sample in samples),
        "patients": len({sample.patient for sample in samples}),
    }


def _run_to_start_from(config: ExperimentConfig, file: Path) -> Path | None:
    reference = None if config.network.start is None else config.network.start.run
    if reference is None:
        return None
    weights = run_folder(referred(reference, config, file)) / WEIGHTS
    if not weights.is_file():
        raise InputError(
            "run-missing",
            f"{config.name} starts from {weights.parent.parent.name}/{weights.parent.name}, "
            "which has no weights",
            hint=f"Run {reference.experiment}.yaml first, or lungscore benchmark run",
        )
    return weights


def _imagenet(config: ExperimentConfig, root: Path) -> Path | None:
    if config.network.encoder_weights is None:
        return None
    weights = root / config.network.encoder_weights
    if not weights.exists():
        raise InputError(
            "dataset-incomplete", f"No such encoder weights: {config.network.encoder_weights!r}"
        )
    return weights


def _line(name: str, progress: Progress) -> str:
    left_out = progress.figures.get("left_out")
    return (
        f"{name}  epoch {progress.epoch}/{progress.epochs}  loss {progress.figures['loss']:.3f}  "
        f"{progress.seconds:.0f} s  about {progress.seconds_left / 60:.0f} min left"
        + (f"  {left_out:.0f} images without lungs left out" if left_out else "")
    )
