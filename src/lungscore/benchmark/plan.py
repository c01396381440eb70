"""The runs that rows need, each after those that it builds on."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lungscore.benchmark.rows import Row
from lungscore.errors import InputError
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.experiment_file import (
    at,
    load_experiment,
    referred,
    referred_file,
    run_folder,
)


@dataclass(frozen=True)
class Run:
    """One training: an experiment file with a fold (None: all slices) and a seed."""

    file: Path
    config: ExperimentConfig

    @property
    def folder(self) -> Path:
        """Where it lies: runs/NAME/fold2-seed0."""
        return run_folder(self.config)

    @property
    def name(self) -> str:
        """NAME/fold2-seed0."""
        return f"{self.folder.parent.name}/{self.folder.name}"


def runs_of(row: Row, folder: Path) -> list[Run]:
    """The runs whose networks are the row, seed by seed.

    Raises InputError where its experiment file is missing or wrong.
    """
    file = folder / f"{row.name}.yaml"
    config = load_experiment(file)
    if config.target != row.target:
        raise InputError(
            "config-invalid", f"The row {row.name} has the target {row.target}, its experiment not"
        )
    count = config.data.folds if row.folds == "each" else row.folds
    if isinstance(count, int) and count > config.data.folds:
        raise InputError(
            "config-invalid",
            f"The row {row.name} holds out {count} folds, its experiment has {config.data.folds}",
        )
    folds = list(range(count)) if isinstance(count, int) else [None]
    return [Run(file, at(config, fold=fold, seed=seed)) for seed in row.seeds for fold in folds]


def built_on(run: Run) -> list[Run]:
    """The runs that ``run`` refers to: what it starts from, its pseudo-labels and its priors."""
    config, file = run.config, run.file
    if config.pretraining is not None:  # its images have neither labels nor priors
        return []
    start = None if config.network.start is None else config.network.start.run
    files = [
        Run(referred_file(reference, file), referred(reference, config, file))
        for reference in (start, config.data.pseudo_labels)
        if reference is not None
    ]
    if (priors := config.data.priors) is not None:
        # A slice's prior is from the fold that held it out, so training needs every fold; what is
        # predicted later has it from the run's own. The published recipe trains without.
        training = [] if config.training.recipe == "paper" else range(config.data.folds)
        for fold in dict.fromkeys([*training, config.data.fold]):
            named = referred(priors, config, file, fold=fold)
            files.append(Run(referred_file(priors, file), named))
    return files


def before(run: Run) -> list[Run]:
    """All runs that must be finished before ``run``, each once, in an order that works.

    Raises InputError config-invalid where an experiment builds on itself.
    """
    return in_order([run])[:-1]


def in_order(runs: Iterable[Run]) -> list[Run]:
    """``runs`` and all that they build on, each once, in an order that works."""
    ordered: dict[Path, Run] = {}
    for run in runs:
        _add(run, ordered, ())
    return list(ordered.values())


def _add(run: Run, ordered: dict[Path, Run], above: tuple[Path, ...]) -> None:
    """Add what ``run`` builds on, then ``run``. above: the runs that led here."""
    if run.folder in above:
        raise InputError("config-invalid", f"{run.name} builds on itself")
    if run.folder not in ordered:
        for earlier in built_on(run):
            _add(earlier, ordered, (*above, run.folder))
        ordered[run.folder] = run
