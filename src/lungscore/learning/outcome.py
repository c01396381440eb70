"""What a finished run finds in slices that it did not train on: held out, or of the test set."""

from pathlib import Path
from typing import Literal

import numpy as np

from lungscore.datasets import covid_semiseg
from lungscore.datasets.registry import data_root
from lungscore.datasets.sample import Sample
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.maps import load_network, predict, read_map, write_maps
from lungscore.learning.references import referred, referred_file, run_folder
from lungscore.learning.selection import annotated_folds, held_out_slices

Part = Literal["held-out", "test"]


def slices_of(part: Part, config: ExperimentConfig, root: Path) -> list[Sample]:
    """The slices that a run is measured on."""
    if part == "test":
        return covid_semiseg.load(root / "covid-semiseg", "test")
    return held_out_slices(config, root)


def ensure_maps(config: ExperimentConfig, file: Path, part: Part) -> dict[str, np.ndarray]:
    """name -> probabilities (C, H, W) of the run of ``config``, from its folder or made now.

    file: the experiment file, beside which other experiments are looked up. Raises run-missing.
    """
    folder = run_folder(config) / part
    samples = slices_of(part, config, data_root())
    missing = [sample for sample in samples if not (folder / f"{sample.name}.png").is_file()]
    if missing:
        network = load_network(run_folder(config), config)
        priors = None
        if config.target == "lesions":
            priors = priors_of_part(config, file, part)
        found = predict(network, missing, config, priors=priors)
        write_maps(folder, ((s.name, probs) for s, probs in zip(missing, found, strict=True)))
    return {sample.name: read_map(folder / f"{sample.name}.png") for sample in samples}


def priors_of_part(config: ExperimentConfig, file: Path, part: Part) -> dict[str, np.ndarray]:
    """Infection priors (H, W) for a run's held-out or test slices: from the same fold's network."""
    if config.data.priors is None:
        raise ValueError("the experiment names no priors")
    other = referred(config.data.priors, config, file)
    maps = ensure_maps(other, referred_file(config.data.priors, file), part)
    return {name: probs[0] for name, probs in maps.items()}


def priors_of_training(config: ExperimentConfig, file: Path) -> dict[str, np.ndarray]:
    """Infection priors (H, W) of the 50 annotated slices, each from the fold that held it out."""
    if config.data.priors is None:
        raise ValueError("the experiment names no priors")
    priors: dict[str, np.ndarray] = {}
    for fold in sorted(set(annotated_folds(config.data.folds).values())):
        other = referred(config.data.priors, config, file, fold=fold)
        maps = ensure_maps(other, referred_file(config.data.priors, file), "held-out")
        priors |= {name: probs[0] for name, probs in maps.items()}
    return priors
