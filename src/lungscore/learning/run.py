"""From an experiment file to a finished run."""

from collections.abc import Callable
from pathlib import Path

from lungscore.datasets.training_slices import data_root, load_healthy
from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.experiment_file import at, load_experiment, referred, run_folder
from lungscore.learning.loop import WEIGHTS, Progress, finished, use_threads
from lungscore.learning.maps import priors_of_training
from lungscore.learning.pretrain import pretrain
from lungscore.learning.pseudo_labels import make_pseudo_labels, pseudo_labelled
from lungscore.learning.selection import manifest_images, training_slices, unlabelled_slices
from lungscore.learning.train import train


def run_experiment(
    file: Path,
    out: Path | None = None,
    *,
    fold: int | None = None,
    seed: int | None = None,
    resume: bool = False,
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train what ``file`` describes, with ``fold`` and ``seed`` in place of its own where given.

    Returns the folder of the run. Raises InputError for a wrong file, missing data, a missing run
    that it starts from, or a checkpoint of another experiment.
    """
    config = at(load_experiment(file), fold=fold, seed=seed)
    folder = out or run_folder(config)
    if resume and finished(config, folder):
        return folder
    use_threads(threads)
    root = data_root()
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
    infected = training_slices(config, root)
    start = _start(config, file)
    if config.pseudo_labelling is not None:
        make_pseudo_labels(
            config, infected, root, folder, start=start, resume=resume, report=tell, say=report
        )
        return folder
    # The published multi-class stage trains with the annotated infection itself as the prior.
    with_priors = config.target == "lesions" and config.training.recipe != "paper"
    infected += pseudo_labelled(config, file, root)
    healthy = load_healthy(config.data.healthy, config.data.healthy_part, root)
    report(f"{config.name}: {len(infected)} labelled and {len(healthy)} healthy slices")
    train(
        config,
        infected=infected,
        healthy=healthy,
        out=folder,
        imagenet=imagenet,
        start=start,
        priors=priors_of_training(config, file) if with_priors else None,
        resume=resume,
        report=tell,
    )
    return folder


def _start(config: ExperimentConfig, file: Path) -> Path | None:
    if config.network.start is None:
        return None
    weights = run_folder(referred(config.network.start, config, file)) / WEIGHTS
    if not weights.is_file():
        raise InputError(
            "run-missing",
            f"{config.name} starts from {weights.parent.parent.name}/{weights.parent.name}, "
            "which has no weights",
            hint=f"run {config.network.start.experiment}.yaml first, or lungscore benchmark run",
        )
    return weights


def _imagenet(config: ExperimentConfig, root: Path) -> Path | None:
    if config.network.encoder_weights is None:
        return None
    weights = root / config.network.encoder_weights
    if not weights.exists():
        raise InputError(
            "dataset-incomplete", f"there are no encoder weights {config.network.encoder_weights!r}"
        )
    return weights


def _line(name: str, progress: Progress) -> str:
    left_out = progress.figures.get("left_out")
    return (
        f"{name}  epoch {progress.epoch}/{progress.epochs}  loss {progress.figures['loss']:.3f}  "
        f"{progress.seconds:.0f} s  about {progress.seconds_left / 60:.0f} min left"
        + (f"  {left_out:.0f} images without lungs left out" if left_out else "")
    )
