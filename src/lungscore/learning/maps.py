"""What the network of a finished run finds in slices, kept as pictures beside its weights:

slices that it did not train on, held out or of the test set.

Slices are whole lung-box crops in standard view, resized to the network's input and back.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import nn

from lungscore.datasets import covid_semiseg
from lungscore.datasets.images import read_colour
from lungscore.datasets.sample import Sample
from lungscore.datasets.training_slices import data_root
from lungscore.errors import InputError
from lungscore.files import atomic_path
from lungscore.learning.checkpoints import load_weights
from lungscore.learning.config import ExperimentConfig
from lungscore.learning.experiment_file import referred, referred_file, run_folder
from lungscore.learning.loop import WEIGHTS
from lungscore.learning.selection import annotated_folds, held_out_slices
from lungscore.networks import InfectionProbability, LesionProbabilities, make_network
from lungscore.scan.window import resize, window

#: What a run is measured on.
Subset = Literal["held-out", "test"]


def load_network(run: Path, config: ExperimentConfig) -> nn.Module:
    """The network of a finished run, giving probabilities. Raises run-missing."""
    if not (run / WEIGHTS).is_file():
        raise InputError(
            "run-missing",
            f"{run.parent.name}/{run.name} has no weights",
            hint="Run that experiment first, or lungscore benchmark run",
        )
    network = make_network(
        config.network.name, encoder=config.network.encoder, base_width=config.network.base_width
    )
    load_weights(network, run / WEIGHTS)
    kind = LesionProbabilities if config.target == "lesions" else InfectionProbability
    return kind(network).eval()


def predict(
    network: nn.Module,
    samples: Iterable[Sample],
    config: ExperimentConfig,
    *,
    priors: dict[str, np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """Probabilities (1 or 3, H, W) float32 of every sample, at its own size.

    priors: by slice name, for the target "lesions".
    """
    size = config.input.height, config.input.width
    lower, upper = config.input.window_hu
    for sample in samples:
        grey = sample.image.dtype == np.uint8
        image = window(sample.image, *((0.0, 255.0) if grey else (lower, upper)))
        inputs = [image] if priors is None else [image, priors[sample.name]]
        tensors = [torch.from_numpy(resize(array, *size).copy())[None, None] for array in inputs]
        with torch.inference_mode():
            probs = network(*tensors)[0].float().numpy()
        yield np.stack([resize(channel, *sample.image.shape) for channel in probs])


def write_maps(folder: Path, maps: Iterable[tuple[str, np.ndarray]]) -> None:
    """NAME.png of probabilities (C, H, W): 8-bit grey, or red, green and blue for three classes."""
    for name, probs in maps:
        levels = np.floor(probs * 255 + 0.5).astype(np.uint8)
        picture = levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)
        with atomic_path(folder / f"{name}.png") as temporary:
            Image.fromarray(picture).save(temporary, format="PNG")


def read_map(file: Path) -> np.ndarray:
    """(C, H, W) float32 in 0…1 of a map that write_maps wrote. Raises input-unreadable."""
    levels = read_colour(file)
    channels = levels[None] if levels.ndim == 2 else np.moveaxis(levels, -1, 0)
    return channels.astype(np.float32) / 255


def slices_of(subset: Subset, config: ExperimentConfig, root: Path) -> list[Sample]:
    """The slices that a run is measured on."""
    if subset == "test":
        return covid_semiseg.load(root / "covid-semiseg", "test")
    return held_out_slices(config, root)


def ensure_maps(config: ExperimentConfig, file: Path, subset: Subset) -> dict[str, np.ndarray]:
    """name -> probabilities (C, H, W) of the run of ``config``, from its folder or made now.

    file: the experiment file, beside which other experiments are looked up. Raises run-missing.
    """
    folder = run_folder(config) / subset
    samples = slices_of(subset, config, data_root())
    missing = [sample for sample in samples if not (folder / f"{sample.name}.png").is_file()]
    if missing:
        network = load_network(run_folder(config), config)
        priors = None
        if config.target == "lesions":
            priors = priors_of(config, file, subset)
        maps = predict(network, missing, config, priors=priors)
        write_maps(folder, ((s.name, probs) for s, probs in zip(missing, maps, strict=True)))
    return {sample.name: read_map(folder / f"{sample.name}.png") for sample in samples}


def priors_of(config: ExperimentConfig, file: Path, subset: Subset) -> dict[str, np.ndarray]:
    """Infection priors (H, W) for a run's held-out or test slices: from the same fold's network."""
    if config.data.priors is None:
        raise ValueError("the experiment names no priors")
    experiment = referred(config.data.priors, config, file)
    maps = ensure_maps(experiment, referred_file(config.data.priors, file), subset)
    return {name: probs[0] for name, probs in maps.items()}


def priors_of_training(config: ExperimentConfig, file: Path) -> dict[str, np.ndarray]:
    """Infection priors (H, W) of the 50 annotated slices, each from the fold that held it out."""
    if config.data.priors is None:
        raise ValueError("the experiment names no priors")
    priors: dict[str, np.ndarray] = {}
    for fold in sorted(set(annotated_folds(config.data.folds).values())):
        experiment = referred(config.data.priors, config, file, fold=fold)
        maps = ensure_maps(experiment, referred_file(config.data.priors, file), "held-out")
        priors |= {name: probs[0] for name, probs in maps.items()}
    return priors
