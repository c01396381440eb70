"""From an experiment file to a finished run."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from lungscore.datasets.registry import (
    data_root,
    fold_of,
    load_healthy,
    load_infected,
    load_unlabelled,
)
from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig, RunReference
from lungscore.learning.experiment_file import load_experiment
from lungscore.learning.loop import WEIGHTS, Progress, finished, use_threads
from lungscore.learning.pretrain import pretrain
from lungscore.learning.train import train

#: Where runs are kept, below the working folder.
RUNS = Path("runs")


def run_folder(config: ExperimentConfig, runs: Path = RUNS) -> Path:
    """runs/NAME/fold2-seed0, or all-seed0 where no fold is left out."""
    fold = "all" if config.data.fold is None else f"fold{config.data.fold}"
    return runs / config.name / f"{fold}-seed{config.training.seed}"


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

    def tell(progress: Progress) -> None:
        report(_line(config.name, progress))

    imagenet = _imagenet(config, root)
    start = _start(config, file)
    if config.pretraining is not None:
        images = unlabelled_slices(config, root)
        report(f"{config.name}: {len(images)} slices without labels")
        pretrain(config, images, folder, imagenet=imagenet, resume=resume, report=tell)
        return folder
    infected = [sample for sample in labelled_slices(config, root) if not held_out(sample, config)]
    healthy = load_healthy(config.data.healthy, config.data.healthy_part, root)
    report(f"{config.name}: {len(infected)} annotated and {len(healthy)} healthy slices")
    train(
        config,
        infected=infected,
        healthy=healthy,
        out=folder,
        imagenet=imagenet,
        start=start,
        resume=resume,
        report=tell,
    )
    return folder


def at(config: ExperimentConfig, *, fold: int | None, seed: int | None) -> ExperimentConfig:
    """``config`` with another fold or seed. Raises config-invalid."""
    try:
        return config.at(fold=fold, seed=seed)
    except ValidationError as error:
        raise InputError(
            "config-invalid", f"{config.name}: {error.errors()[0]['msg']}", hint="see data.folds"
        ) from error


def labelled_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The annotated training slices, those of the fold that is held out among them."""
    return load_infected(config.data.infected, root)


def unlabelled_slices(config: ExperimentConfig, root: Path) -> list[Sample]:
    """The images of pre-training; of the annotated ones, none that the fold holds out."""
    if config.pretraining is None:
        return []
    samples = load_unlabelled(config.pretraining.unlabelled, root)
    return [sample for sample in samples if not held_out(sample, config)]


#: The sources whose slices the folds are made of; both show the same slices under the same names.
ANNOTATED = ("covid-semiseg", "medseg")


def held_out(sample: Sample, config: ExperimentConfig) -> bool:
    """Whether ``sample`` is one of the slices that the experiment's fold keeps for validation."""
    if config.data.fold is None or sample.source not in ANNOTATED:
        return False
    return folds_of_training_slices(config.data.folds)[sample.name] == config.data.fold


def folds_of_training_slices(folds: int) -> dict[str, int]:
    """name -> fold of the 50 annotated training slices."""
    names = [sample.name for sample in load_infected(("covid-semiseg",), data_root())]
    return fold_of(names, folds)


def referred(reference: RunReference, config: ExperimentConfig, file: Path) -> Path:
    """The folder of the run that ``reference`` of the experiment in ``file`` means."""
    other = load_experiment(file.parent / f"{reference.experiment}.yaml")
    seed = config.training.seed if reference.seed is None else reference.seed
    return run_folder(at(other, fold=config.data.fold if reference.folds else None, seed=seed))


def _start(config: ExperimentConfig, file: Path) -> Path | None:
    if config.network.start is None:
        return None
    weights = referred(config.network.start, config, file) / WEIGHTS
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
    return (
        f"{name}  epoch {progress.epoch}/{progress.epochs}  loss {progress.figures['loss']:.3f}  "
        f"{progress.seconds:.0f} s  about {progress.seconds_left / 60:.0f} min left"
    )
