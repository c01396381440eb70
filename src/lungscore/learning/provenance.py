"""Which weights a run builds on: those of its start, of its pseudo-labels and of its priors."""

from pathlib import Path

from lungscore.inference.bundle import sha256
from lungscore.learning.config import ExperimentConfig, RunReference
from lungscore.learning.experiment_file import referred, run_folder
from lungscore.learning.loop import WEIGHTS


def built_on(config: ExperimentConfig, file: Path) -> list[Path]:
    """The folders of the runs that ``config`` refers to: its start, pseudo-labels and priors.

    file: the experiment file, beside which others are looked up. A slice's prior is from the fold
    that held it out, so that training needs every fold; the published recipe trains without.
    """
    if config.pretraining is not None:  # its images have neither labels nor priors
        return []
    start = None if config.network.start is None else config.network.start.run
    folders = [_folder(reference, config, file) for reference in (start, config.data.pseudo_labels)]
    if config.data.priors is not None and config.training.recipe != "paper":
        folds = range(config.data.folds)
        folders += [_folder(config.data.priors, config, file, fold=fold) for fold in folds]
    return list(dict.fromkeys(folder for folder in folders if folder is not None))


def sums_of(folders: list[Path]) -> dict[str, str]:
    """NAME/fold2-seed0 -> the checksum of its weights, of those that have any."""
    return {
        f"{folder.parent.name}/{folder.name}": sha256(folder / WEIGHTS)
        for folder in folders
        if (folder / WEIGHTS).is_file()
    }


def _folder(
    reference: RunReference | None, config: ExperimentConfig, file: Path, *, fold: int | None = None
) -> Path | None:
    if reference is None:
        return None
    return run_folder(referred(reference, config, file, fold=fold))
